//! Numbers of experts and layers in a configuration, and its parts whose use the tensors do not show.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::config::text_part;
use super::unknown::unknown_part;
use crate::MetadataValue;
use crate::config_json::one_count;

/// Statements of a configuration about a model of an unknown family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Stated {
    pub layers: Option<u64>,
    pub experts: Option<u64>,
    pub experts_per_token: Option<u64>,
    /// Reason why the tensors do not show how much of the model each token uses, in words; `None` where the
    /// configuration gives none.
    pub caveat: Option<String>,
}

const LAYERS: [&str; 4] = ["num_hidden_layers", "n_layer", "n_layers", "num_layers"];
/// Objects that may contain the keys on experts.
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
        let mut stated = Self::of_keys(&keys(&values), &[], |key| key == "block_count");
        // Only diffusion models have such a key, so its value does not matter.
        if let Some(key) = metadata.keys().find(|key| key.starts_with("diffusion.")) {
            let key = crate::shortened(key);
            stated.caveat.get_or_insert(format!(
                "the file has `{key}`: it is unknown how often a token passes each layer"
            ));
        }
        stated
    }

    /// Reads the keys of the text model and of the whole configuration.
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
        stated.caveat = stated.caveat.or_else(unknown).or_else(|| lists(named, stated.layers));
        stated
    }

    /// Returns the count that the keys state; `None` where they state none. Keys that disagree give a caveat.
    fn agreed(&mut self, named: &Keys<'_>, what: &str, is_key: impl Fn(&str) -> bool) -> Option<u64> {
        let mut counts = Vec::new();
        for (key, value) in named.iter().filter(|(key, _)| is_key(key)) {
            match (one_count(value), *value) {
                (Some(count), _) => counts.push((key, count)),
                (None, Value::Null | Value::Bool(_) | Value::Object(_)) => {}
                (None, value) => {
                    let value = crate::shortened(&value.to_string());
                    self.caveat
                        .get_or_insert(format!("`{key}` is {value}, which is not a number of {what}"));
                }
            }
        }
        let (key, count) = *counts.first()?;
        if let Some((other, differs)) = counts.iter().find(|(_, other)| *other != count) {
            self.caveat
                .get_or_insert(format!("`{key}` is {count}, but `{other}` is {differs}"));
        }
        Some(count)
    }
}

/// Returns the keys of an object.
fn keys(part: &Value) -> Keys<'_> {
    let keys = part.as_object().into_iter().flatten();
    keys.map(|(key, value)| (key.to_ascii_lowercase(), value)).collect()
}

/// Returns whether a key contains one of the words.
fn has(key: &str, words: &[&str]) -> bool {
    words.iter().any(|word| key.contains(word))
}

/// Returns whether a key is a number of experts: `num_experts`, `n_routed_experts`, `num_local_experts`,
/// `moe_num_experts`, `expert_count` and similar keys.
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

/// Returns whether a key is a number of chosen experts: `num_experts_per_tok`, `experts_per_token`, `moe_topk`,
/// `num_selected_experts`, `expert_used_count` and similar keys.
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

/// Returns why a list of layers does not fit the number of layers, in words.
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

/// Returns the value as JSON; a long list becomes a placeholder.
fn plain(value: &MetadataValue) -> Value {
    match value {
        MetadataValue::Unsigned(number) => Value::from(*number),
        MetadataValue::Signed(number) => Value::from(*number),
        // NaN and infinities become text, so that they differ from a missing value.
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

    use serde_json::json;

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
            assert_eq!(stated.caveat, None, "{config}");
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
            caveat: None,
        };
        assert_eq!(plain, expected);
        let broken = stated(&[("expert_count", MetadataValue::Float(f64::NAN))]);
        assert!(broken.caveat.unwrap().contains("`expert_count` is \"NaN\""));
        let tables = stated(&[("embedding_length_per_layer_input", MetadataValue::Unsigned(256))]);
        assert!(tables.caveat.unwrap().contains("tables"));
        let tower = stated(&[("vision.block_count", MetadataValue::Unsigned(2))]);
        assert!(tower.caveat.unwrap().contains("`vision.block_count` of 2"));
        let diffusion = BTreeMap::from([("diffusion.shift_logits".to_owned(), MetadataValue::Bool(false))]);
        let caveat = Stated::of_gguf("dream", &diffusion).caveat.unwrap();
        assert!(caveat.contains("`diffusion.shift_logits`"), "{caveat}");
    }
}
