//! Counts the parameters of a model whose family is not described, by its tensors. Owns which of them work on a token;
//! where that cannot be told, it says why.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::config::{packing, text_part};
use crate::companion::{Packing, Weights, is_no_parameter};
use crate::config_json::one_count;
use crate::{FlopsMethod, MetadataValue, Parameters, TensorInfo};

/// What the configuration says of the parts that the tensors show.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    pub layers: Option<u64>,
    pub experts: Option<u64>,
    pub experts_per_token: Option<u64>,
    pub packing: Packing,
    /// Whether lm_head is the embedding matrix.
    pub tied: bool,
}

/// Parameters by the tensors' elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub total: u64,
    /// Those that one token passes, where the model has experts.
    pub active: Option<u64>,
    /// Why it is not known how much of the model works on a token; `None` for a plain stack of layers.
    pub doubt: Option<String>,
}

impl Counted {
    pub fn parameters(&self, reason: &str) -> Parameters {
        let basis = format!("the tensors' sizes, because {reason}");
        let (method, basis) = match &self.doubt {
            None => (FlopsMethod::Architecture, basis),
            Some(doubt) => (FlopsMethod::ParameterEstimate, format!("{basis}; {doubt}")),
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
    /// Reads the facts of a `config.json`.
    pub fn of_config(config: &Value, tied: bool) -> Self {
        let text = text_part(config);
        let nested = text.get("ffn_config").unwrap_or(&Value::Null);
        let count = |names: &[&str]| {
            let found = names
                .iter()
                .find_map(|name| text.get(*name).or_else(|| nested.get(*name)));
            found.and_then(one_count)
        };
        Self {
            layers: count(&["num_hidden_layers", "n_layer", "n_layers", "num_layers"]),
            experts: count(&[
                "num_experts",
                "num_local_experts",
                "n_routed_experts",
                "moe_num_experts",
                "num_moe_experts",
                "n_experts",
            ]),
            experts_per_token: count(&[
                "num_experts_per_tok",
                "num_experts_per_token",
                "experts_per_token",
                "moe_topk",
                "moe_top_k",
                "moe_k",
                "moe_router_topk",
                "num_selected_experts",
                "top_k_experts",
            ]),
            packing: packing(config),
            tied,
        }
    }

    /// Reads the facts of a GGUF's metadata.
    pub fn of_gguf(architecture: &str, metadata: &BTreeMap<String, MetadataValue>) -> Self {
        let count = |key: &str| {
            let value = metadata.get(&format!("{architecture}.{key}"));
            value.and_then(MetadataValue::as_count)
        };
        Self {
            layers: count("block_count"),
            experts: count("expert_count").filter(|count| *count > 0),
            experts_per_token: count("expert_used_count"),
            packing: Packing::default(),
            tied: false,
        }
    }

    /// Counts the tensors; `None` where weights are packed and nothing tells how many.
    pub fn count(&self, tensors: &[TensorInfo]) -> Option<Counted> {
        let weights = Weights::new(tensors, self.packing);
        let repeats = |tensor: &TensorInfo| self.tied && tensor.name.ends_with("lm_head.weight");
        let mut sum = Sum::default();
        for tensor in tensors
            .iter()
            .filter(|tensor| !is_no_parameter(tensor) && !repeats(tensor))
        {
            sum.add(tensor, weights.count(tensor)?, self.experts);
        }
        (sum.total > 0).then(|| Counted {
            total: sum.total,
            active: self.active(&sum),
            doubt: self.doubt(&sum),
        })
    }

    fn active(&self, sum: &Sum) -> Option<u64> {
        let all = self.experts.unwrap_or(sum.experts);
        let chosen = self.experts_per_token.filter(|chosen| (1..=all).contains(chosen))?;
        if sum.in_experts == 0 {
            return None;
        }
        let idle = u128::from(sum.in_experts) * u128::from(all - chosen) / u128::from(all);
        Some(sum.total.saturating_sub(u64::try_from(idle).unwrap_or(u64::MAX)))
    }

    fn doubt(&self, sum: &Sum) -> Option<String> {
        let layers = sum.layers.len() as u64;
        let named_experts = self.experts.filter(|count| *count > 1);
        if let Some(name) = &sum.strange {
            let more = match sum.strange_count - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let name = crate::shortened(name);
            return Some(format!("how `{name}`{more} work on a token is not known"));
        }
        match (self.layers, named_experts) {
            (Some(stated), _) if stated != layers => Some(format!(
                "the configuration has {stated} layers, the files {layers}: how the others work is not known"
            )),
            _ if sum.stacks.len() > 1 => Some("there is more than one stack of layers".to_owned()),
            _ if sum.in_experts > 0 && self.active(sum).is_none() => {
                Some("how many of its experts a token passes is not said, so all are counted".to_owned())
            }
            (_, Some(count)) if sum.in_experts == 0 => Some(format!(
                "the configuration has {count} experts, which the tensors do not show"
            )),
            _ => None,
        }
    }
}

/// What the tensors are, taken together.
#[derive(Default)]
struct Sum {
    total: u64,
    in_experts: u64,
    /// As many as the tensors' names or first dimensions show.
    experts: u64,
    layers: BTreeSet<u64>,
    /// What stands before the numbers of layers.
    stacks: BTreeSet<String>,
    /// The first tensor that belongs to no plain stack, and how many there are.
    strange: Option<String>,
    strange_count: u64,
}

impl Sum {
    fn add(&mut self, tensor: &TensorInfo, weights: u64, stated_experts: Option<u64>) {
        self.total = self.total.saturating_add(weights);
        if let Some(experts) = routed_experts(tensor, stated_experts) {
            self.in_experts = self.in_experts.saturating_add(weights);
            self.experts = self.experts.max(experts);
        }
        let layer = layer(&tensor.name);
        if !is_plain(&tensor.name, layer.map(|(stack, _)| stack)) {
            self.strange_count += 1;
            self.strange.get_or_insert_with(|| tensor.name.clone());
        } else if let Some((stack, number)) = layer {
            self.layers.insert(number);
            if !self.stacks.contains(stack) {
                self.stacks.insert(stack.to_owned());
            }
        }
    }
}

/// What stands before the layer's number, and the number.
fn layer(name: &str) -> Option<(&str, u64)> {
    let mut start = 0;
    for word in name.split('.') {
        if let Ok(number) = word.parse()
            && start > 0
        {
            return Some((&name[..start - 1], number));
        }
        start += word.len() + 1;
    }
    None
}

/// Parts that do not work on each token as the layers do, by words of their names.
const STRANGE: [&str; 24] = [
    "vision",
    "visual",
    "image",
    "video",
    "audio",
    "speech",
    "encoder",
    "cross",
    "lora",
    "adapter",
    "mtp",
    "nextn",
    "eh_proj",
    "projector",
    "talker",
    "code2wav",
    "perceiver",
    "resampler",
    "connector",
    "medusa",
    "eagle",
    "per_layer",
    "altup",
    "clip",
];
/// Modules around and containers of the layers of a text model.
const STACK: [&str; 14] = [
    "model",
    "transformer",
    "backbone",
    "decoder",
    "language_model",
    "text_model",
    "base_model",
    "gpt_neox",
    "rwkv",
    "layers",
    "layer",
    "h",
    "blocks",
    "blk",
];
/// Parts of the names of what stands outside of the layers.
const OUTSIDE: [&str; 8] = ["emb", "wte", "wpe", "norm", "ln", "head", "output", "score"];

fn is_plain(name: &str, stack: Option<&str>) -> bool {
    let name = name.to_ascii_lowercase();
    if STRANGE.iter().any(|word| name.contains(word)) {
        return false;
    }
    match stack {
        Some(stack) => stack.split('.').all(|word| STACK.contains(&word)),
        None => OUTSIDE.iter().any(|word| name.contains(word)),
    }
}

/// The number of experts that a tensor of routed experts shows; `None` for other tensors.
fn routed_experts(tensor: &TensorInfo, stated: Option<u64>) -> Option<u64> {
    let name = tensor.name.as_str();
    if name.contains("shared") || name.contains("shexp") {
        return None;
    }
    let words: Vec<&str> = name.split('.').collect();
    let stacked = || tensor.shape.first().copied().filter(|_| tensor.shape.len() >= 2);
    for (position, word) in words.iter().enumerate() {
        let number = || words.get(position + 1).and_then(|word| word.parse::<u64>().ok());
        let found = match *word {
            "experts" | "switch_mlp" => number().map(|number| number.saturating_add(1)).or_else(stacked),
            "ffn_gate" | "ffn_up" | "ffn_down" => number().map(|number| number.saturating_add(1)),
            word if word.ends_with("_exps") => stacked(),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    stated.filter(|count| *count > 1 && tensor.shape.len() == 3 && tensor.shape[0] == *count)
}

#[cfg(test)]
mod tests {
    use super::{Counted, Facts};
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
    const FACTS: Facts = Facts {
        layers: Some(2),
        experts: None,
        experts_per_token: None,
        packing: crate::companion::Packing {
            bits: None,
            group_size: None,
        },
        tied: false,
    };

    fn with(more: &[(&str, &[u64])], facts: Facts) -> Counted {
        facts.count(&tensors(&[&PLAIN[..], more].concat())).unwrap()
    }

    #[test]
    fn a_plain_stack_is_counted_without_doubt() {
        let counted = with(&[], FACTS);
        assert_eq!((counted.total, counted.active, &counted.doubt), (76, None, &None));
        assert_eq!(counted.parameters("it is new").method, FlopsMethod::Architecture);
    }

    #[test]
    fn of_experts_only_the_chosen_are_active() {
        let facts = Facts {
            experts: Some(4),
            experts_per_token: Some(1),
            ..FACTS
        };
        for experts in [
            &[
                ("model.layers.0.moe.experts.0.w1.weight", &[4, 4][..]),
                ("model.layers.0.moe.experts.3.w1.weight", &[4, 4]),
            ][..],
            &[("model.layers.0.block_sparse_moe.input_linear.weight", &[4, 2, 4])],
            &[("model.layers.0.mlp.switch_mlp.up_proj.weight", &[4, 2, 4])],
        ] {
            let counted = with(experts, facts);
            assert_eq!(
                (counted.total, counted.active, counted.doubt),
                (108, Some(84), None),
                "{experts:?}"
            );
        }
        let shared = with(&[("model.layers.0.mlp.shared_experts.up_proj.weight", &[4, 2])], facts);
        assert!(shared.doubt.unwrap().contains("4 experts"));
    }

    #[test]
    fn whatever_may_not_work_on_each_token_leaves_a_doubt() {
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
        ] {
            let counted = with(&[(name, &[4, 4])], FACTS);
            assert!(counted.doubt.is_some(), "{name}");
            assert_eq!(counted.parameters("it is new").method, FlopsMethod::ParameterEstimate);
        }
        assert_eq!(FACTS.count(&[]), None);
    }
}
