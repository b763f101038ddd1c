//! Kinds of layers that a configuration lists by words. A word for a layer that the family does not have is an error.

use super::keys::Config;
use crate::family::{Family, Quirk, SlidingLayers};
use crate::shape::{MAX_LAYERS, ShapeError};

/// Keys of the lists with a word for each layer.
const LISTS: [&str; 2] = ["layer_types", "layers_block_type"];
/// Key with a letter for each layer, in families that are not described here.
const PATTERN: &str = "hybrid_override_pattern";

const FULL: [&str; 2] = ["full_attention", "attention"];
const SLIDING: &str = "sliding_attention";
const CHUNKED: &str = "chunked_attention";
/// Words for recurrent layers; transformers 5 writes the second one for all recurrences.
const MAMBA: [&str; 2] = ["mamba", LINEAR];
const LINEAR: &str = "linear_attention";

impl Config<'_> {
    /// Returns an error for a list of layers with a word that the family does not have, or of the wrong length.
    pub(super) fn check_layer_words(&self, family: &Family, layers: u64) -> Result<(), ShapeError> {
        // This is checked here too, because lists are built before the shape.
        if layers > MAX_LAYERS {
            return Err(ShapeError::bad("num_hidden_layers", layers, "at most 16384"));
        }
        let known = words(family);
        for list in LISTS {
            let listed = self.words(&[list], layers)?.unwrap_or_default();
            if let Some(word) = listed.iter().find(|word| !known.contains(word)) {
                return Err(ShapeError::bad(list, word, known.join(", ")));
            }
        }
        match self.keys.get(PATTERN).filter(|value| !value.is_null()) {
            Some(pattern) => Err(ShapeError::bad(
                PATTERN,
                pattern,
                "a missing key: layer_types lists the layers of this family",
            )),
            None => Ok(()),
        }
    }

    /// Returns the recurrent layers that the configuration lists; without a list, those for which `by_rule` holds.
    pub(super) fn recurrent_layers(&self, layers: u64, by_rule: impl Fn(u64) -> bool) -> Result<Vec<u64>, ShapeError> {
        let listed = self.words(&LISTS, layers)?;
        let is_recurrent = |layer: &u64| match &listed {
            Some(words) => MAMBA.contains(&words[*layer as usize]),
            None => by_rule(*layer),
        };
        Ok((0..layers).filter(is_recurrent).collect())
    }

    /// Returns the number of layers that the configuration lists as sliding or chunked; `None` without a list.
    pub(super) fn windowed_layers(&self, layers: u64) -> Result<Option<u64>, ShapeError> {
        let listed = self.words(&LISTS, layers)?;
        let is_windowed = |word: &&&str| [SLIDING, CHUNKED].contains(*word);
        Ok(listed.map(|words| words.iter().filter(is_windowed).count() as u64))
    }
}

/// Returns the words for the layers that the family has.
fn words(family: &Family) -> Vec<&'static str> {
    let mut words = match family.quirk {
        Quirk::Mamba | Quirk::Mamba2 => Vec::new(),
        _ => FULL.to_vec(),
    };
    words.extend(match family.quirk {
        Quirk::GraniteHybrid | Quirk::Jamba | Quirk::Mamba | Quirk::Mamba2 => &MAMBA[..],
        Quirk::MiniMax | Quirk::QwenDelta => &[LINEAR],
        Quirk::Llama4 => &[CHUNKED],
        _ => &[],
    });
    if !matches!(family.wiring.sliding, SlidingLayers::None) {
        words.push(SLIDING);
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::from_config_json;

    fn refusal(config: &Value) -> String {
        from_config_json(config).map_or_else(|error| error.to_string(), |shape| panic!("{config}: {shape:?}"))
    }

    #[test]
    fn a_layer_that_the_family_does_not_have_is_refused_with_those_that_it_has() {
        let listed = |family: &str, list: &str, words: &[&str]| json!({"model_type": family, "num_hidden_layers": words.len(), list: words});
        for (family, list, word, known) in [
            (
                "granitemoehybrid",
                "layer_types",
                "conv",
                "full_attention, attention, mamba, linear_attention",
            ),
            (
                "granitemoehybrid",
                "layers_block_type",
                "hybrid",
                "full_attention, attention, mamba, linear_attention",
            ),
            (
                "jamba",
                "layers_block_type",
                "rwkv",
                "full_attention, attention, mamba, linear_attention",
            ),
            (
                "qwen3_next",
                "layer_types",
                "mamba",
                "full_attention, attention, linear_attention",
            ),
            (
                "minimax",
                "layer_types",
                "sliding_attention",
                "full_attention, attention, linear_attention",
            ),
            ("mamba", "layer_types", "full_attention", "mamba, linear_attention"),
            (
                "mistral",
                "layer_types",
                "chunked_attention",
                "full_attention, attention, sliding_attention",
            ),
            (
                "gemma3",
                "layer_types",
                "linear_attention",
                "full_attention, attention, sliding_attention",
            ),
            (
                "llama4_text",
                "layer_types",
                "sliding_attention",
                "full_attention, attention, chunked_attention",
            ),
            ("llama", "layer_types", "mamba", "full_attention, attention"),
            ("glm4_moe_lite", "mlp_layer_types", "moe", "sparse, dense"),
        ] {
            let known_one = known.split(", ").next().unwrap();
            let expected = format!("`{list}` is {word}; accepted is {known}");
            assert_eq!(refusal(&listed(family, list, &[known_one, word])), expected);
        }
        let pattern = json!({"model_type": "mamba2", "hybrid_override_pattern": "M*M*"});
        assert!(refusal(&pattern).contains("layer_types lists"), "{}", refusal(&pattern));
    }

    #[test]
    fn a_list_of_another_length_than_the_layers_is_refused() {
        for (family, list, entry) in [
            ("granitemoehybrid", "layer_types", json!("mamba")),
            ("jamba", "layers_block_type", json!("mamba")),
            ("qwen3_next", "layer_types", json!("linear_attention")),
            ("minimax", "attn_type_list", json!(1)),
            ("gemma3", "layer_types", json!("sliding_attention")),
            ("qwen2", "layer_types", json!("full_attention")),
            ("llama4_text", "no_rope_layers", json!(1)),
            ("glm4_moe_lite", "mlp_layer_types", json!("dense")),
        ] {
            for length in [3, 5] {
                let config = json!({"model_type": family, "num_hidden_layers": 4, list: vec![entry.clone(); length]});
                let expected =
                    format!("`{list}` is a list of {length}; accepted is one entry for each of the 4 layers");
                assert_eq!(refusal(&config), expected, "{config}");
            }
            let config = json!({"model_type": family, "num_hidden_layers": 4, list: vec![entry; 4]});
            assert!(from_config_json(&config).is_ok(), "{config}");
        }
        let flags = json!({"model_type": "minimax", "num_hidden_layers": 2, "attn_type_list": [0, 2]});
        assert!(refusal(&flags).contains("`attn_type_list` is 2"));
    }

    #[test]
    fn both_names_of_a_recurrence_mean_the_same_layers() {
        let config =
            |words: [&str; 2]| json!({"model_type": "granitemoehybrid", "num_hidden_layers": 2, "layer_types": words});
        let today = from_config_json(&config(["linear_attention", "full_attention"])).unwrap();
        assert_eq!(Ok(&today), from_config_json(&config(["mamba", "attention"])).as_ref());
        assert_eq!(today.recurrent_layers(), [0]);
    }

    #[test]
    fn a_hybrid_without_recurrent_layers_needs_none_of_their_numbers() {
        let config = |word: &str| {
            json!({
                "model_type": "granitemoehybrid", "num_hidden_layers": 2, "layer_types": [word, word],
                "num_local_experts": 0, "mamba_d_head": null, "mamba_n_heads": null,
            })
        };
        let attends = from_config_json(&config("attention")).unwrap();
        assert!(attends.recurrent_layers().is_empty());
        assert!(refusal(&config("mamba")).contains("`mamba_n_heads` is null"));
    }
}
