//! What `config.json` says besides the dimensions.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::error::ModelFileError;
pub(super) use crate::config_json::text_part;

/// Indexes of models with 100,000 tensors have 10 MB; some tokenizer_config.json list every added token.
const MAX_JSON_BYTES: u64 = 1 << 26;

pub(super) fn read_json(path: &Path) -> Result<Value, ModelFileError> {
    let file = File::open(path).map_err(|error| ModelFileError::io(path, error))?;
    let mut text = Vec::new();
    file.take(MAX_JSON_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(|error| ModelFileError::io(path, error))?;
    if text.len() as u64 > MAX_JSON_BYTES {
        return Err(ModelFileError::malformed(
            path,
            format!("it has more than {MAX_JSON_BYTES} bytes"),
        ));
    }
    serde_json::from_slice(&text).map_err(|error| ModelFileError::malformed(path, format!("it is not JSON: {error}")))
}

/// Bits of one weight: those of the quantization, else of `torch_dtype` (`dtype` in newer files).
pub(super) fn stated_bits(config: &Value) -> Option<u32> {
    let quantization = config.get("quantization_config").filter(|value| value.is_object());
    if let Some(quantization) = quantization {
        let flag = |key: &str| quantization.get(key).and_then(Value::as_bool) == Some(true);
        let bits = quantization.get("bits").and_then(Value::as_u64);
        return match bits {
            Some(bits) => u32::try_from(bits).ok().filter(|bits| (1..=32).contains(bits)),
            None if flag("load_in_4bit") => Some(4),
            None if flag("load_in_8bit") => Some(8),
            None => None,
        };
    }
    let dtype = |config: &Value| {
        let value = config.get("torch_dtype").or_else(|| config.get("dtype"));
        value.and_then(Value::as_str).map(str::to_owned)
    };
    match dtype(config).or_else(|| dtype(text_part(config)))?.as_str() {
        "float16" | "bfloat16" => Some(16),
        "float32" => Some(32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::stated_bits;

    #[test]
    fn the_weights_type_is_read_from_each_of_its_places() {
        for (config, bits) in [
            (json!({"torch_dtype": "bfloat16"}), Some(16)),
            (json!({"dtype": "float32"}), Some(32)),
            (json!({"text_config": {"dtype": "float16"}}), Some(16)),
            (
                json!({"torch_dtype": "float16", "quantization_config": {"bits": 4}}),
                Some(4),
            ),
            (json!({"quantization_config": {"load_in_8bit": true}}), Some(8)),
            (json!({"quantization_config": {"bits": 400}}), None),
            (json!({}), None),
        ] {
            assert_eq!(stated_bits(&config), bits, "{config}");
        }
    }
}
