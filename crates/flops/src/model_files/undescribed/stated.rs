//! What a configuration says of experts and layers, and of parts whose work the tensors do not show.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::config::text_part;
use crate::MetadataValue;
use crate::config_json::one_count;

/// What a configuration says of a model whose family is not described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Stated {
    pub layers: Option<u64>,
    pub experts: Option<u64>,
    pub experts_per_token: Option<u64>,
    /// Why tensors alone do not tell how much of the model works on a token, in words; `None` where nothing is said.
    pub doubt: Option<String>,
}

const LAYERS: [&str; 4] = ["num_hidden_layers", "n_layer", "n_layers", "num_layers"];
/// Where the words on experts may stand apart.
const NESTED: [&str; 4] = ["ffn_config", "moe_config", "mlp_config", "moe"];

/// Keys in lower case with their values.
type Keys<'a> = Vec<(String, &'a Value)>;

impl Stated {
    /// Reads a `config.json`.
    pub fn of_config(config: &Value) -> Self {
        let text = text_part(config);
        let mut named = keys(text);
        for nested in NESTED {
            named.extend(text.get(nested).map(keys).unwrap_or_default());
        }
        let outer = if std::ptr::eq(text, config) {
            Vec::new()
        } else {
            keys(config)
        };
        Self::of_keys(&named, &outer, |key| LAYERS.contains(&key))
    }

    /// Reads the metadata of a GGUF.
    pub fn of_gguf(architecture: &str, metadata: &BTreeMap<String, MetadataValue>) -> Self {
        let of = |(key, value): (&String, &MetadataValue)| {
            let key = key.strip_prefix(architecture)?.strip_prefix('.')?;
            Some((key.to_owned(), plain(value)))
        };
        let values: Value = metadata.iter().filter_map(of).collect();
        Self::of_keys(&keys(&values), &[], |key| key == "block_count")
    }

    fn of_keys(named: &Keys<'_>, outer: &[(String, &Value)], is_layers: impl Fn(&str) -> bool) -> Self {
        let mut stated = Self::default();
        stated.layers = stated.agreed(named, "layers", is_layers);
        stated.experts = stated.agreed(named, "experts", is_number_of_experts);
        stated.experts_per_token = stated.agreed(named, "experts of a token", is_number_of_chosen);
        let unknown = || {
            named
                .iter()
                .chain(outer)
                .find_map(|(key, value)| unknown_part(key, value))
        };
        stated.doubt = stated.doubt.or_else(unknown).or_else(|| lists(named, stated.layers));
        stated
    }

    /// Returns the count that the keys give; where they give none, or several, it is not known.
    fn agreed(&mut self, named: &Keys<'_>, what: &str, is_key: impl Fn(&str) -> bool) -> Option<u64> {
        let mut counts = Vec::new();
        for (key, value) in named.iter().filter(|(key, _)| is_key(key)) {
            match (one_count(value), *value) {
                (Some(count), _) => counts.push((key, count)),
                (None, Value::Null | Value::Bool(_) | Value::Object(_)) => {}
                (None, value) => {
                    let value = crate::shortened(&value.to_string());
                    self.doubt
                        .get_or_insert(format!("`{key}` is {value}, which is no number of {what}"));
                }
            }
        }
        let (key, count) = *counts.first()?;
        if let Some((other, differs)) = counts.iter().find(|(_, other)| *other != count) {
            self.doubt
                .get_or_insert(format!("`{key}` is {count}, but `{other}` is {differs}"));
        }
        Some(count)
    }
}

fn keys(part: &Value) -> Keys<'_> {
    let keys = part.as_object().into_iter().flatten();
    keys.map(|(key, value)| (key.to_ascii_lowercase(), value)).collect()
}

fn has(key: &str, words: &[&str]) -> bool {
    words.iter().any(|word| key.contains(word))
}

/// `num_experts`, `n_routed_experts`, `num_local_experts`, `moe_num_experts`, `expert_count` and the like.
fn is_number_of_experts(key: &str) -> bool {
    const ENDS: [&str; 6] = [
        "experts",
        "expert",
        "expert_count",
        "experts_count",
        "expert_num",
        "experts_num",
    ];
    const OTHERS: &[&str] = &[
        "shared",
        "zero",
        "null",
        "per_",
        "active",
        "activated",
        "used",
        "select",
        "top",
        "chosen",
        "group",
        "redundant",
        "dense",
        "drop",
        "fused",
        "token",
        "rank",
        "parallel",
    ];
    ENDS.iter().any(|end| key.ends_with(end)) && !has(key, OTHERS)
}

/// `num_experts_per_tok`, `experts_per_token`, `moe_topk`, `num_selected_experts`, `expert_used_count` and the like.
fn is_number_of_chosen(key: &str) -> bool {
    const CHOSEN: &[&str] = &[
        "per_tok",
        "topk",
        "top_k",
        "active",
        "activated",
        "used_count",
        "selected",
        "chosen",
    ];
    const OTHERS: &[&str] = &[
        "prob", "norm", "method", "group", "scal", "weight", "loss", "coef", "shared", "zero", "aux", "func", "layer",
        "size", "dim", "bias", "type",
    ];
    key == "moe_k" || has(key, &["expert", "moe", "router"]) && has(key, CHOSEN) && !has(key, OTHERS)
}

/// Parts that tensors do not show, or not how often they work: words of their keys, the greatest number that means
/// nothing, and what is not known.
const UNKNOWN: [(&[&str], f64, &str); 6] = [
    (
        &[
            "zero_expert",
            "null_expert",
            "identity_expert",
            "copy_expert",
            "constant_expert",
            "noop_expert",
        ],
        0.0,
        "some of a token's experts compute nothing, how many is not known",
    ),
    (
        &[
            "loop",
            "recurrence",
            "recurrent_",
            "recursi",
            "ut_step",
            "mem_block",
            "repeat",
            "cycle",
            "iteration",
            "unroll",
            "hidden_group",
            "inner_group",
            "shared_",
            "share_",
            "sharing",
            "mixture_of_depth",
            "early_exit",
            "layer_skip",
            "skip_layer",
            "diffusion",
            "denois",
            "_steps",
            "depth",
        ],
        1.0,
        "how often a token passes each layer is not known",
    ),
    (
        &[
            "ngram",
            "n_gram",
            "engram",
            "per_layer",
            "lookup",
            "product_key",
            "memory_",
        ],
        0.0,
        "how much of its tables works on a token is not known",
    ),
    (
        &["adapter", "lora", "peft"],
        0.0,
        "how its adapters work on a token is not known",
    ),
    (&["encoder"], 0.0, "how its encoder works on a token is not known"),
    (
        &[
            "vision",
            "visual",
            "image",
            "video",
            "audio",
            "speech",
            "cross_attention",
            "talker",
            "code2wav",
        ],
        f64::INFINITY,
        "how that part works on a token is not known",
    ),
];
/// Words of keys that mean something else.
const HARMLESS: [&str; 9] = [
    "_lora_rank",
    "no_repeat_ngram_size",
    "shared_expert",
    "shared_intermediate",
    "experts_per_layer",
    "share_embed",
    "shared_embed",
    "share_input_output",
    "memory_efficient",
];
/// Objects that describe no part of their own.
const CONFIGS: &[&str] = &[
    "text",
    "language",
    "llm",
    "thinker",
    "quant",
    "compress",
    "ffn",
    "mlp",
    "moe",
    "attn",
    "attention",
    "rope",
    "ssm",
    "mamba",
    "generation",
    "tokenizer",
    "init",
    "norm",
];

/// Returns why a key means that tensors do not tell all, in words.
fn unknown_part(key: &str, value: &Value) -> Option<String> {
    if has(key, &HARMLESS) {
        return None;
    }
    let known = |(words, least, reason): &(&[&str], f64, &'static str)| {
        (has(key, words) && is_set(value, *least)).then_some(*reason)
    };
    let is_config = value.is_object() && key.ends_with("_config") && !has(key, CONFIGS);
    let other = || (is_config && is_set(value, 0.0)).then_some("how that part works on a token is not known");
    let reason = UNKNOWN.iter().find_map(known).or_else(other)?;
    let number = if value.is_number() {
        format!(" of {value}")
    } else {
        String::new()
    };
    Some(format!(
        "the configuration has `{}`{number}: {reason}",
        crate::shortened(key)
    ))
}

/// Returns whether a value turns something on: a number above `least`, or anything that is not empty.
fn is_set(value: &Value, least: f64) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64().is_some_and(|number| number > least),
        Value::String(text) => !["", "none", "no"].contains(&text.to_ascii_lowercase().as_str()),
        Value::Array(items) => items.iter().any(|item| is_set(item, least)),
        Value::Object(items) => !items.is_empty(),
    }
}

/// Returns why a list of the layers is not that of the model's, in words.
fn lists(named: &Keys<'_>, layers: Option<u64>) -> Option<String> {
    let layers = layers?;
    named.iter().find_map(|(key, value)| {
        let length = match (key.as_str(), *value) {
            ("layer_types" | "layers_block_type" | "mlp_layer_types", Value::Array(items)) => items.len(),
            ("hybrid_override_pattern", Value::String(pattern)) => {
                let letters = || pattern.chars().filter(|letter| *letter != '|');
                if let Some(letter) = letters().find(|letter| !"M*-E".contains(*letter)) {
                    return Some(format!("`{key}` has `{letter}`; known are M, *, - and E"));
                }
                letters().count()
            }
            _ => return None,
        };
        (length as u64 != layers).then(|| format!("`{key}` lists {length} layers, the configuration has {layers}"))
    })
}

/// Returns the value as JSON has it; of a long list only that it is there.
fn plain(value: &MetadataValue) -> Value {
    match value {
        MetadataValue::Unsigned(number) => Value::from(*number),
        MetadataValue::Signed(number) => Value::from(*number),
        // What is no number stays told from what is not there.
        MetadataValue::Float(number) if number.is_finite() => Value::from(*number),
        MetadataValue::Float(number) => Value::from(number.to_string()),
        MetadataValue::Bool(flag) => Value::from(*flag),
        MetadataValue::Text(text) => Value::from(text.as_str()),
        MetadataValue::List(items) => items.iter().map(plain).collect(),
        MetadataValue::LongList(_) => Value::from("a long list"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::Stated;
    use crate::MetadataValue;

    #[test]
    fn experts_are_stated_in_many_words() {
        for (config, experts, chosen) in [
            (json!({"num_experts": 8, "num_experts_per_tok": 2}), 8, 2),
            (json!({"n_routed_experts": 8, "num_experts_per_token": 2}), 8, 2),
            (json!({"num_local_experts": 8, "experts_per_token": 2}), 8, 2),
            (json!({"moe_num_experts": [8, 8], "moe_k": 2}), 8, 2),
            (json!({"num_moe_experts": 8, "moe_router_topk": 2}), 8, 2),
            (json!({"n_experts": 8, "n_activated_experts": 2}), 8, 2),
            (
                json!({"num_experts": 8, "moe_topk": [2, 2], "num_shared_expert": [1, 1]}),
                8,
                2,
            ),
            (json!({"ffn_config": {"moe_num_experts": 8, "moe_top_k": 2}}), 8, 2),
            (
                json!({"text_config": {"num_experts": 8, "top_k_experts": 2, "norm_topk_prob": true}}),
                8,
                2,
            ),
            (
                json!({"num_local_experts": 8, "num_experts": 8, "num_selected_experts": 2, "n_shared_experts": 1,
                       "moe_intermediate_size": 4, "moe_activation": "silu", "router_aux_loss_coef": 0.1}),
                8,
                2,
            ),
        ] {
            let stated = Stated::of_config(&config);
            assert_eq!(
                (stated.experts, stated.experts_per_token),
                (Some(experts), Some(chosen)),
                "{config}"
            );
            assert_eq!(stated.doubt, None, "{config}");
        }
    }

    fn doubt(more: &Value) -> String {
        let mut config = json!({"num_hidden_layers": 4});
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        Stated::of_config(&config).doubt.unwrap_or_default()
    }

    #[test]
    fn a_part_that_tensors_do_not_tell_is_named() {
        for (config, words) in [
            (json!({"total_ut_steps": 4}), "`total_ut_steps` of 4: how often"),
            (json!({"num_mem_blocks": 2}), "`num_mem_blocks` of 2: how often"),
            (json!({"num_loops": 2}), "`num_loops`"),
            (json!({"mean_recurrence": 32}), "`mean_recurrence`"),
            (json!({"recurrent_depth": 8}), "`recurrent_depth`"),
            (json!({"shared_transformer": true}), "`shared_transformer`"),
            (json!({"zero_expert_num": 256}), "compute nothing"),
            (json!({"zero_expert_type": "identity"}), "compute nothing"),
            (json!({"ngram_vocab_size": 100_000}), "tables"),
            (json!({"hidden_size_per_layer_input": 256}), "tables"),
            (json!({"is_encoder_decoder": true}), "encoder"),
            (json!({"encoder_layers": 6}), "encoder"),
            (json!({"vision_config": {"depth": 32}}), "`vision_config`"),
            (json!({"audio_config": {"num_hidden_layers": 32}}), "`audio_config`"),
            (json!({"protein_config": {"num_hidden_layers": 32}}), "`protein_config`"),
            (
                json!({"text_config": {"num_hidden_layers": 4}, "vision_config": {"depth": 32}}),
                "`vision_config`",
            ),
            (json!({"adapter_rank": 128}), "adapters"),
            (json!({"use_lora": true}), "adapters"),
            (json!({"num_experts": "NaN"}), "`num_experts` is \"NaN\""),
            (json!({"num_experts": -8}), "`num_experts` is -8"),
            (json!({"num_experts_per_tok": 2.5}), "`num_experts_per_tok` is 2.5"),
            (json!({"num_experts_per_tok": [1, 2]}), "`num_experts_per_tok` is [1,2]"),
            (
                json!({"num_experts": 8, "num_local_experts": 4}),
                "`num_experts` is 8, but `num_local_experts` is 4",
            ),
            (json!({"num_hidden_layers": "four"}), "`num_hidden_layers` is \"four\""),
            (
                json!({"layer_types": ["full_attention"]}),
                "lists 1 layers, the configuration has 4",
            ),
            (json!({"hybrid_override_pattern": "M*-"}), "lists 3 layers"),
            (json!({"hybrid_override_pattern": "M*?-"}), "`?`; known are"),
        ] {
            let doubt = doubt(&config);
            assert!(doubt.contains(words), "{config}: {doubt}");
        }
    }

    #[test]
    fn keys_that_turn_nothing_on_leave_no_doubt() {
        for config in [
            json!({"is_encoder_decoder": false, "add_cross_attention": false, "cross_attention_hidden_size": null}),
            json!({"no_repeat_ngram_size": 3, "encoder_no_repeat_ngram_size": 0, "tie_encoder_decoder": false}),
            json!({"vision_config": null, "zero_expert_num": 0, "total_ut_steps": 1, "num_nextn_predict_layers": 1}),
            json!({"q_lora_rank": 1536, "kv_lora_rank": 512, "image_token_id": 7, "repetition_penalty": 1.1}),
            json!({"ffn_config": {"a": 1}, "quantization_config": {"bits": 4}, "generation_config": {"a": 1}}),
            json!({"linear_attn_config": {"num_heads": 32}, "rope_scaling": {"factor": 2.0}, "layerdrop": 0.0}),
            json!({"layer_types": ["a", "b", "c", "d"], "hybrid_override_pattern": "M*-E", "first_k_dense_replace": 1}),
            json!({"n_shared_experts": 2, "moe_shared_expert_intermediate_size": 64, "decoder_sparse_step": 2}),
        ] {
            assert_eq!(doubt(&config), "", "{config}");
        }
    }

    #[test]
    fn a_gguf_is_read_by_the_same_words() {
        let stated = |entries: &[(&str, MetadataValue)]| {
            let entry = |(key, value): &(&str, MetadataValue)| (format!("new.{key}"), value.clone());
            Stated::of_gguf("new", &entries.iter().map(entry).collect::<BTreeMap<_, _>>())
        };
        let plain = stated(&[
            ("block_count", MetadataValue::Unsigned(4)),
            ("expert_count", MetadataValue::Unsigned(8)),
            ("expert_used_count", MetadataValue::Unsigned(2)),
            ("expert_shared_count", MetadataValue::Unsigned(1)),
            ("attention.kv_lora_rank", MetadataValue::Unsigned(512)),
        ]);
        let expected = Stated {
            layers: Some(4),
            experts: Some(8),
            experts_per_token: Some(2),
            doubt: None,
        };
        assert_eq!(plain, expected);
        let broken = stated(&[("expert_count", MetadataValue::Float(f64::NAN))]);
        assert!(broken.doubt.unwrap().contains("`expert_count` is \"NaN\""));
        let tables = stated(&[("embedding_length_per_layer_input", MetadataValue::Unsigned(256))]);
        assert!(tables.doubt.unwrap().contains("tables"));
    }
}
