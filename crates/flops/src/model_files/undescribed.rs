//! Counting the parameters of a model of an unknown family by its tensors. Owns which tensors each token uses, or the
//! reason why that is unknown.

mod part;
mod stated;
mod sum;
mod unknown;

use std::collections::BTreeMap;

use serde_json::Value;

use self::stated::Stated;
use self::sum::Sum;
use super::config::{packing, uncounted_packing};
use crate::companion::{Packing, Weights, is_no_parameter};
use crate::{FlopsMethod, MetadataValue, Parameters, TensorInfo};

/// Facts from a configuration about the parts that the tensors show.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub stated: Stated,
    pub packing: Packing,
    /// Whether lm_head is the embedding matrix.
    pub tied: bool,
}

/// Numbers of parameters by the tensors' elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub total: u64,
    /// Number that one token uses, where the model has experts; `None` otherwise.
    pub active: Option<u64>,
    /// Reason why it is unknown how much of the model each token uses; `None` for a plain stack of layers.
    pub caveat: Option<String>,
}

impl Counted {
    /// Returns the counts as an estimate; `reason` is why operators are unknown.
    pub fn parameters(&self, reason: &str) -> Parameters {
        let basis = format!("the tensors' sizes, because {reason}");
        let (method, basis) = match &self.caveat {
            None => (FlopsMethod::Architecture, basis),
            Some(caveat) => (FlopsMethod::ParameterEstimate, format!("{basis}; {caveat}")),
        };
        Parameters {
            total: Some(self.total),
            active: self.active,
            method,
            basis,
        }
    }
}

impl Facts {
    /// Reads the facts from a `config.json`.
    pub fn of_config(config: &Value, tied: bool) -> Self {
        let mut stated = Stated::of_config(config);
        stated.caveat = uncounted_packing(config)
            .map(|method| {
                let method = crate::shortened(method);
                format!("the number of weights in tensors of `{method}` is unknown")
            })
            .or(stated.caveat);
        Self {
            stated,
            packing: packing(config),
            tied,
        }
    }

    /// Reads the facts from a GGUF's metadata.
    pub fn of_gguf(architecture: &str, metadata: &BTreeMap<String, MetadataValue>) -> Self {
        Self {
            stated: Stated::of_gguf(architecture, metadata),
            ..Self::default()
        }
    }

    /// Counts the parameters; `None` where weights are packed and their number is unknown.
    pub fn count(&self, tensors: &[TensorInfo]) -> Option<Counted> {
        let weights = Weights::new(tensors, self.packing);
        let repeats = |tensor: &TensorInfo| self.tied && tensor.name.ends_with("lm_head.weight");
        let mut sum = Sum::new(self.stated.experts);
        for tensor in tensors
            .iter()
            .filter(|tensor| !is_no_parameter(tensor) && !repeats(tensor))
        {
            sum.add(tensor, weights.count(tensor)?);
        }
        sum.settle();
        (sum.total > 0).then(|| Counted {
            total: sum.total,
            active: self.active(&sum),
            caveat: self.caveat(&sum),
        })
    }

    /// Returns the number of parameters that one token uses; `None` without experts, or where the number of chosen
    /// experts is unknown.
    fn active(&self, sum: &Sum<'_>) -> Option<u64> {
        let all = *sum.experts.last()?;
        let chosen = self
            .stated
            .experts_per_token
            .filter(|chosen| (1..=all).contains(chosen))?;
        let idle = u128::from(sum.in_experts) * u128::from(all - chosen) / u128::from(all);
        Some(sum.total.saturating_sub(u64::try_from(idle).unwrap_or(u64::MAX)))
    }

    /// Returns the reason why it is unknown how much of the model each token uses.
    fn caveat(&self, sum: &Sum<'_>) -> Option<String> {
        let layers = sum.layers.len() as u64;
        if let Some(name) = sum.strange {
            let name = crate::shortened(name);
            return Some(match sum.strange_count - 1 {
                0 => format!("it is unknown how `{name}` processes a token"),
                more => format!("it is unknown how `{name}` and {more} more process a token"),
            });
        }
        if self.stated.caveat.is_some() {
            return self.stated.caveat.clone();
        }
        match self.stated.layers {
            Some(stated) if stated != layers => Some(format!(
                "the configuration has {stated} layers, the files {layers}: it is unknown how the others process a token"
            )),
            None if layers == 0 => Some("the files have no layers".to_owned()),
            _ if sum.stacks.len() > 1 => Some("there is more than one stack of layers".to_owned()),
            _ => self.caveat_of_experts(sum),
        }
    }

    /// Returns the reason why it is unknown how many experts each token uses.
    fn caveat_of_experts(&self, sum: &Sum<'_>) -> Option<String> {
        let stated = self.stated.experts;
        let Some(found) = sum.experts.last().copied() else {
            let routes = sum
                .routes
                .map(|count| format!("its router chooses among {count} experts, which the tensors do not show"));
            return stated
                .filter(|count| *count > 1)
                .map(|count| format!("the configuration has {count} experts, which the tensors do not show"))
                .or(routes);
        };
        let least = sum.experts.first().copied().unwrap_or(found);
        match (stated, self.stated.experts_per_token, sum.routes) {
            _ if least != found => Some(format!("its layers have from {least} to {found} experts")),
            (Some(stated), _, _) if stated != found => {
                Some(format!("the configuration has {stated} experts, the files {found}"))
            }
            (_, _, Some(routes)) if routes != found => Some(format!(
                "its router chooses among {routes}, the files have {found} experts"
            )),
            (_, None | Some(0), _) => {
                Some("the number of experts for each token is not stated, so all are counted".to_owned())
            }
            (_, Some(chosen), _) if chosen > found => Some(format!(
                "a token cannot use {chosen} of {found} experts, so all are counted"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counted, Facts, Stated};
    use crate::{FlopsMethod, TensorInfo};

    fn tensors(names: &[(&str, &[u64])]) -> Vec<TensorInfo> {
        let tensor = |(name, shape): &(&str, &[u64])| TensorInfo {
            name: (*name).to_owned(),
            shape: shape.to_vec(),
            dtype: "BF16".to_owned(),
            bytes: 2 * shape.iter().product::<u64>(),
        };
        names.iter().map(tensor).collect()
    }

    const PLAIN: [(&str, &[u64]); 4] = [
        ("model.embed_tokens.weight", &[10, 4]),
        ("model.layers.0.self_attn.q_proj.weight", &[4, 4]),
        ("model.layers.1.self_attn.q_proj.weight", &[4, 4]),
        ("model.norm.weight", &[4]),
    ];
    fn facts(experts: Option<u64>, experts_per_token: Option<u64>) -> Facts {
        Facts {
            stated: Stated {
                layers: Some(2),
                experts,
                experts_per_token,
                caveat: None,
            },
            ..Facts::default()
        }
    }

    fn with(more: &[(&str, &[u64])], facts: &Facts) -> Counted {
        facts.count(&tensors(&[&PLAIN[..], more].concat())).unwrap()
    }

    #[test]
    fn a_plain_stack_is_counted_without_a_caveat() {
        let counted = with(&[], &facts(None, None));
        assert_eq!((counted.total, counted.active, &counted.caveat), (76, None, &None));
        assert_eq!(counted.parameters("it is new").method, FlopsMethod::Architecture);
    }

    #[test]
    fn of_experts_only_the_chosen_are_active() {
        let facts = facts(Some(4), Some(1));
        for experts in [
            &[
                ("model.layers.0.moe.experts.0.w1.weight", &[4, 4][..]),
                ("model.layers.0.moe.experts.3.w1.weight", &[4, 4]),
            ][..],
            &[("model.layers.0.block_sparse_moe.input_linear.weight", &[4, 2, 4])],
            &[("model.layers.0.mlp.switch_mlp.up_proj.weight", &[4, 2, 4])],
        ] {
            let counted = with(experts, &facts);
            assert_eq!(
                (counted.total, counted.active, counted.caveat),
                (108, Some(84), None),
                "{experts:?}"
            );
        }
        let shared = with(&[("model.layers.0.mlp.shared_experts.up_proj.weight", &[4, 2])], &facts);
        assert!(shared.caveat.unwrap().contains("4 experts"));
    }

    #[test]
    fn experts_are_known_by_whatever_names_they_have() {
        for (name, shape) in [
            ("model.layers.0.ffn.local_{}.w1.weight", &[4, 4][..]),
            ("model.layers.0.mlp.expert_{}.up_proj.weight", &[4, 4]),
            ("model.layers.0.mlp.experts_{}.up_proj.weight", &[4, 4]),
            ("model.layers.0.mlp.expert{}.up_proj.weight", &[4, 4]),
            ("model.layers.0.mlp.experts.expert_{}.up_proj.weight", &[4, 4]),
            ("model.layers.0.mlp.up_proj.{}.weight", &[4, 4]),
            ("model.layers.0.mlp.experts.{}.gate.weight", &[4, 4]),
            ("blk.0.ffn_up.{}.weight", &[4, 4]),
            ("model.layers.0.mlp.routed_experts.{}.up_proj.weight", &[4, 4]),
            (
                "model.layers.0.mlp.deepspeed_moe.experts.deepspeed_experts.{}.up_proj.weight",
                &[4, 4],
            ),
            ("model.layers.0.moe.{}.w1.weight", &[4, 4]),
            ("model.layers.0.moe.w1", &[4, 4, 4]),
            ("model.layers.0.ffn.w1", &[4, 4, 4]),
            ("transformer.blocks.0.ffn.experts.mlp.w1", &[16, 4]),
            ("model.layers.0.feed_forward.experts.w1", &[4, 16]),
            ("blk.0.ffn_up_exps.weight", &[4, 4, 4]),
            ("model.layers.0.mlp.experts.gate_up_proj", &[4, 4, 2, 2]),
        ] {
            let copies = if name.contains("{}") { 4 } else { 1 };
            let names: Vec<String> = (0..copies)
                .map(|number: u64| name.replace("{}", &number.to_string()))
                .collect();
            let mut experts: Vec<(&str, &[u64])> = names.iter().map(|name| (name.as_str(), shape)).collect();
            // GGUF's and DBRX's containers would be a second stack.
            let plain: Vec<String> = PLAIN.iter().map(|(other, _)| stack_of(name, other)).collect();
            experts.extend(
                plain
                    .iter()
                    .map(String::as_str)
                    .zip(PLAIN.iter().map(|(_, shape)| *shape)),
            );
            let counted = facts(Some(4), Some(1)).count(&tensors(&experts)).unwrap();
            assert_eq!(
                (counted.total, counted.active),
                (76 + 64, Some(76 + 16)),
                "{name}: {counted:?}"
            );
            assert_eq!(counted.caveat, None, "{name}");
        }
    }

    /// Returns the name with another stack.
    fn stack_of(name: &str, other: &str) -> String {
        let stack = name.split(".0.").next().unwrap();
        other.replace("model.layers", stack)
    }

    #[test]
    fn experts_that_differ_from_the_configuration_have_a_caveat() {
        let experts: [(&str, &[u64]); 2] = [
            ("model.layers.0.mlp.experts.0.up_proj.weight", &[4, 4]),
            ("model.layers.0.mlp.experts.3.up_proj.weight", &[4, 4]),
        ];
        let fewer: [(&str, &[u64]); 1] = [("model.layers.1.mlp.experts.1.up_proj.weight", &[4, 4])];
        let router: [(&str, &[u64]); 1] = [("model.layers.0.mlp.router.weight", &[6, 8])];
        let gate: [(&str, &[u64]); 1] = [("model.layers.0.mlp.gate.weight", &[6, 8])];
        let numbered: [(&str, &[u64]); 3] = [
            ("model.layers.0.mlp.up_proj_0.weight", &[4, 4]),
            ("model.layers.0.mlp.up_proj_1.weight", &[4, 4]),
            ("model.layers.0.mlp.up_proj_2.weight", &[4, 4]),
        ];
        let stacked: [(&str, &[u64]); 1] = [("model.layers.0.moe.w1", &[8, 4, 4])];
        for (more, stated, chosen, words) in [
            (&experts[..], Some(8), Some(1), "8 experts, the files 4"),
            (&stacked, Some(4), Some(1), "4 experts, the files 8"),
            (&stacked, Some(0), Some(1), "0 experts, the files 8"),
            (&stacked, None, None, "is not stated"),
            (&experts, Some(4), None, "is not stated"),
            (&experts, Some(4), Some(5), "5 of 4 experts"),
            (&[], Some(4), Some(1), "4 experts, which the tensors do not show"),
            (
                &[&experts[..], &fewer].concat(),
                Some(4),
                Some(1),
                "from 2 to 4 experts",
            ),
            (&[&experts[..], &router].concat(), Some(4), Some(1), "among 6"),
            (&[&experts[..], &gate].concat(), Some(4), Some(1), "among 6"),
            (&router, None, None, "among 6 experts"),
            (&gate, None, None, "among 6 experts"),
            (&numbered, None, None, "and 2 more"),
        ] {
            let counted = with(more, &facts(stated, chosen));
            let caveat = counted.caveat.unwrap_or_default();
            assert!(caveat.contains(words), "{words}: {caveat}");
        }
    }

    #[test]
    fn parts_that_may_not_process_each_token_have_a_caveat() {
        for name in [
            "visual.blocks.0.attn.qkv.weight",
            "model.vision_tower.patch.weight",
            "encoder.block.0.layer.0.q.weight",
            "model.mtp.0.proj.weight",
            "model.layers.0.self_attn.q_proj.lora_A.weight",
            "model.layers.0.cross_attn.q_proj.weight",
            "mm.0.weight",
            "model.layers.2.self_attn.q_proj.weight",
            "model.layers.0.mlp.experts.0.up_proj.weight",
            "model.layers.0.mlp.branch_5.up_proj.weight",
            "model.layers.0.shared_transformer.q_proj.weight",
            "model.layers.0.shared_attn.q_proj.weight",
            "model.layers.0.mtp_block.q_proj.weight",
            "model.layers.0.mlp.zero_experts.weight",
            "model.layers.0.ngram_table.weight",
            "model.layers.0.lm_head.weight",
            "model.ngram_embeddings.weight",
            "model.embed_tokens_per_layer.weight",
            "model.embed_tokens.1.weight",
            "model.input_embedding.weight",
            "lm_head_2.weight",
            "model.mem_blocks.0.self_attn.q_proj.weight",
            "model.decoder.block.0.layer.0.q.weight",
            "adapter.down_proj.weight",
        ] {
            let counted = with(&[(name, &[4, 4])], &facts(None, None));
            assert!(counted.caveat.is_some(), "{name}");
            assert_eq!(counted.parameters("it is new").method, FlopsMethod::ParameterEstimate);
        }
        assert_eq!(facts(None, None).count(&[]), None);
    }

    #[test]
    fn the_usual_names_of_a_plain_layer_have_no_caveat() {
        for (name, shape) in [
            ("model.layers.0.self_attn.o_proj.weight", &[4, 4][..]),
            ("model.layers.0.self_attn.W_pack.weight", &[12, 4]),
            ("model.layers.0.self_attn.kv_a_proj_with_mqa.weight", &[4, 4]),
            ("model.layers.0.attention.wqkv.weight", &[12, 4]),
            ("model.layers.0.attn.attention.q_proj.weight", &[4, 4]),
            ("model.layers.0.mlp.c_fc_0.weight", &[4, 4]),
            ("model.layers.0.mlp.c_fc_1.weight", &[4, 4]),
            ("model.layers.0.mlp.gate.weight", &[8, 4]),
            ("model.layers.0.mlp.0.weight", &[8, 4]),
            ("model.layers.0.mlp.dense_h_to_4h.weight", &[16, 4]),
            ("model.layers.0.mlp.shared_experts.0.up_proj.weight", &[4, 4]),
            ("model.layers.0.share_expert.up_proj.weight", &[4, 4]),
            ("model.layers.0.feed_forward.w1.weight", &[4, 4]),
            ("model.layers.0.norm_2.weight", &[4]),
            ("model.layers.0.self_attn_layer_norm.weight", &[4]),
            ("model.layers.0.mixer.conv1d.weight", &[4, 1, 4]),
            ("model.layers.0.mixer.A_log", &[4]),
            ("model.layers.0.mamba.dt_bias", &[4]),
            ("lm_head.weight", &[10, 4]),
            ("embed_out.weight", &[10, 4]),
            ("model.decoder.embed_positions.weight", &[10, 4]),
            ("transformer.ln_f.weight", &[4]),
            ("transformer.wpe.weight", &[10, 4]),
        ] {
            let counted = with(&[(name, shape)], &facts(None, None));
            assert_eq!(counted.caveat, None, "{name}");
        }
    }
}
