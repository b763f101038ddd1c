use serde_json::{Map, Value};

use crate::family::Setting;
use crate::shape::ShapeError;

/// Accepted values of a count, in words.
const A_COUNT: &str = "a whole number";

/// Keys of a `config.json`.
pub(super) struct Config<'a> {
    /// Keys of the text model.
    pub keys: &'a Map<String, Value>,
    /// Keys of the whole file; the same unless the model is multimodal.
    pub outer: &'a Map<String, Value>,
}

impl Config<'_> {
    /// Returns the model's type that one part of the file states.
    pub fn model_type<'a>(&self, part: &'a Map<String, Value>) -> Result<Option<&'a str>, ShapeError> {
        let value = part.get("model_type").filter(|value| !value.is_null());
        value
            .map(|value| {
                let text = value.as_str();
                text.ok_or_else(|| ShapeError::bad("model_type", value, "a text such as `llama`"))
            })
            .transpose()
    }

    /// Returns the error with the key that the file contains.
    pub fn in_its_words(&self, error: ShapeError) -> ShapeError {
        error.in_config(|name| self.keys.contains_key(name) || self.outer.contains_key(name))
    }

    /// Returns whether a setting is on.
    pub fn setting(&self, setting: Setting) -> Result<bool, ShapeError> {
        match setting {
            Setting::Never => Ok(false),
            Setting::Always => Ok(true),
            Setting::Key { key, default } => Ok(self.flag(key)?.unwrap_or(default)),
        }
    }

    /// Returns the number under the first name that has one; `None` where none of them exists, and an error for null,
    /// which is not the family's default.
    pub fn count(&self, names: &[&str]) -> Result<Option<u64>, ShapeError> {
        let counted = self.count_or_null(names)?;
        let null = names.iter().find(|name| self.keys.contains_key(**name));
        match (counted, null) {
            (None, Some(name)) => Err(ShapeError::bad(name, "null", A_COUNT)),
            _ => Ok(counted),
        }
    }

    /// Returns an interval in layers; `default` where the key is missing.
    pub fn interval(&self, name: &str, default: u64) -> Result<u64, ShapeError> {
        match self.count(&[name])?.unwrap_or(default) {
            0 => Err(ShapeError::bad(name, 0, "a whole number of at least 1")),
            interval => Ok(interval),
        }
    }

    /// Returns the number as [`Self::count`] does, for keys where null means the same as a missing key.
    pub fn count_or_null(&self, names: &[&str]) -> Result<Option<u64>, ShapeError> {
        let found = names
            .iter()
            .find_map(|name| Some((name, self.keys.get(*name).filter(|value| !value.is_null())?)));
        match found {
            None => Ok(None),
            Some((name, value)) => one_count(value)
                .map(Some)
                .ok_or_else(|| ShapeError::bad(name, value, A_COUNT)),
        }
    }

    /// Returns the number as [`Self::count`] does, for several keys of the same meaning, which have to agree.
    pub fn agreed_count(&self, names: &[&str]) -> Result<Option<u64>, ShapeError> {
        let counted = self.count(names)?;
        for name in names {
            let other = self.count_or_null(&[name])?;
            if let Some((other, counted)) = other.zip(counted).filter(|(other, counted)| other != counted) {
                return Err(ShapeError::bad(
                    name,
                    other,
                    format!("{counted}, the value of another key"),
                ));
            }
        }
        Ok(counted)
    }

    /// Returns the words of a list with one entry for each layer, under the first name that exists; `None` without such
    /// a list.
    pub fn words(&self, names: &[&str], layers: u64) -> Result<Option<Vec<&str>>, ShapeError> {
        for name in names {
            if let Some(list) = self.list(name)? {
                let words = of_each_layer(name, list, layers)?.iter().map(Value::as_str).collect();
                return match words {
                    Some(words) => Ok(Some(words)),
                    None => Err(ShapeError::bad(name, Value::from(list.clone()), "a list of words")),
                };
            }
        }
        Ok(None)
    }

    /// Returns the flags of a list with 0 or 1 for each layer; `None` without such a list.
    pub fn layer_flags(&self, name: &str, layers: u64) -> Result<Option<Vec<bool>>, ShapeError> {
        let Some(list) = self.list(name)? else { return Ok(None) };
        let flag = |value: &Value| match value.as_u64() {
            Some(number @ 0..=1) => Ok(number == 1),
            _ => Err(ShapeError::bad(name, value, "0 or 1 for each layer")),
        };
        let flags: Result<Vec<bool>, ShapeError> = of_each_layer(name, list, layers)?.iter().map(flag).collect();
        flags.map(Some)
    }

    /// Returns the layers in a list, ascending, each once; `None` without such a list.
    pub fn layer_numbers(&self, name: &str, layers: u64) -> Result<Option<Vec<u64>>, ShapeError> {
        let Some(list) = self.list(name)? else { return Ok(None) };
        let number = |value: &Value| {
            let number = value.as_u64();
            number.ok_or_else(|| ShapeError::bad(name, value, "a list of whole numbers"))
        };
        let mut numbers = list.iter().map(number).collect::<Result<Vec<u64>, ShapeError>>()?;
        if let Some(beyond) = numbers.iter().find(|number| **number >= layers) {
            let found = format!("a list with the layer {beyond}");
            let accepted = format!("a list of whole numbers below {layers}");
            return Err(ShapeError::bad(name, found, accepted));
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Some(numbers))
    }

    /// Returns the list under a name; `None` where it is missing or null.
    fn list(&self, name: &str) -> Result<Option<&Vec<Value>>, ShapeError> {
        match self.keys.get(name).filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(ShapeError::bad(name, other, "a list")),
        }
    }

    /// Returns the flag under a name, from the text model's keys or else from the whole file; `None` where it is
    /// missing or null.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ShapeError> {
        let value = self
            .keys
            .get(name)
            .or_else(|| self.outer.get(name))
            .filter(|value| !value.is_null());
        match value {
            None => Ok(None),
            Some(value) => value
                .as_bool()
                .map(Some)
                .ok_or_else(|| ShapeError::bad(name, value, "true or false")),
        }
    }
}

/// Returns the list, or an error unless it has one entry for each layer.
fn of_each_layer<'a>(name: &str, list: &'a [Value], layers: u64) -> Result<&'a [Value], ShapeError> {
    match list.len() as u64 == layers {
        true => Ok(list),
        false => Err(ShapeError::bad(
            name,
            format!("a list of {}", list.len()),
            format!("one entry for each of the {layers} layers"),
        )),
    }
}

/// Returns a number, or the number that a list repeats for each layer; `None` for other values.
pub(crate) fn one_count(value: &Value) -> Option<u64> {
    match value {
        Value::Array(items) => {
            let first = items.first()?.as_u64()?;
            items.iter().all(|item| item.as_u64() == Some(first)).then_some(first)
        }
        other => other.as_u64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::json_text::with_nan_as_text;
    use crate::{ShapeError, from_config_json};

    fn with(family: &str, key: &str, value: &Value) -> Result<crate::ModelShape, ShapeError> {
        let mut config = json!({"model_type": family, "num_experts_per_tok": 2});
        config[key] = value.clone();
        from_config_json(&config)
    }

    /// Returns values that are not counts, as Python writes them.
    fn no_counts() -> Vec<Value> {
        let python = br#"[NaN, Infinity, -Infinity, null, -1, 2.5, "64", true, {}, [], [1, 2]]"#;
        serde_json::from_slice(&with_nan_as_text(python)).unwrap()
    }

    #[test]
    fn what_is_no_count_never_takes_the_family_s_default() {
        let needed = [
            ("llama", "hidden_size"),
            ("llama", "intermediate_size"),
            ("llama", "num_hidden_layers"),
            ("llama", "num_attention_heads"),
            ("llama", "vocab_size"),
            ("gpt2", "n_embd"),
            ("gpt2", "n_positions"),
            ("t5", "d_kv"),
            ("t5", "num_layers"),
            ("mixtral", "num_local_experts"),
            ("mixtral", "moe_num_experts"),
            ("deepseek_v3", "moe_intermediate_size"),
            ("deepseek_v3", "n_shared_experts"),
            ("deepseek_v3", "kv_lora_rank"),
            ("deepseek_v3", "first_k_dense_replace"),
            ("qwen3_moe", "decoder_sparse_step"),
            ("qwen2_moe", "shared_expert_intermediate_size"),
            ("granitemoehybrid", "mamba_d_state"),
            ("jamba", "attn_layer_period"),
            ("mamba", "conv_kernel"),
            ("qwen3_next", "linear_num_key_heads"),
            ("qwen3_next", "full_attention_interval"),
            ("minimax", "block_size"),
            ("gemma3n_text", "laurel_rank"),
            ("llama4_text", "interleave_moe_layer_step"),
        ];
        for (family, key) in needed {
            for value in no_counts() {
                let found = with(family, key, &value);
                let is_named = matches!(&found, Err(ShapeError::BadValue { key: named, .. }) if named == key);
                assert!(is_named, "{family} {key} {value}: {found:?}");
            }
        }
    }

    #[test]
    fn a_null_is_no_key_only_where_the_family_gives_it_that_meaning() {
        for (family, key) in [
            ("llama", "num_key_value_heads"),
            ("llama", "head_dim"),
            ("mistral", "sliding_window"),
            ("deepseek_v2", "q_lora_rank"),
            ("gpt2", "n_inner"),
            ("falcon", "num_ln_in_parallel_attn"),
            ("t5", "num_decoder_layers"),
        ] {
            for value in no_counts() {
                assert_eq!(
                    with(family, key, &value).is_ok(),
                    value.is_null(),
                    "{family} {key} {value}"
                );
            }
        }
    }

    #[test]
    fn keys_that_mean_the_same_have_to_agree() {
        let config = |other: u64| json!({"model_type": "mixtral", "num_local_experts": 8, "num_experts": other});
        assert!(from_config_json(&config(8)).is_ok());
        let error = from_config_json(&config(16)).unwrap_err().to_string();
        assert_eq!(
            error,
            "`num_local_experts` is 8; accepted is 16, the value of another key"
        );
    }
}
