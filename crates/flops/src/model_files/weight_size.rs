//! Size of a weight as a `config.json` states it, and the reason why it does not give the bytes that are read.

use serde_json::Value;

use super::config::{packing, quantization, stated_bits, text_part};
use crate::shortened;

/// Range of the mean number of bits of a weight over the whole model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bits {
    pub least: f64,
    pub most: f64,
}

/// Returns the possible ranges of the mean size of a weight: the stated one, or each usual type where none is stated.
/// Some weights of a quantized model may be unquantized. Empty where the quantization is unknown.
pub(super) fn plausible_bits(config: &Value) -> Vec<Bits> {
    const UNQUANTIZED: f64 = 16.0;
    let range = |least, most| Bits { least, most };
    match (stated_bits(config).map(f64::from), quantization(config).is_some()) {
        (Some(bits), true) => vec![range(bits.min(UNQUANTIZED), bits.max(UNQUANTIZED))],
        (None, true) => Vec::new(),
        (Some(bits), false) => vec![range(bits, bits)],
        (None, false) => vec![range(16.0, 16.0), range(32.0, 32.0)],
    }
}

/// Returns why the configuration does not give the bytes of the weights, and what would.
pub(super) fn why_unknown(config: &Value) -> String {
    const FILES: &str = "the model's folder with its safetensors, whose headers give it";
    if let Some(quantization) = quantization(config) {
        let method = quantization.get("quant_method").filter(|method| !method.is_null());
        let bits = packing(config).bits;
        return match (method.map(in_words), bits) {
            (Some(method), Some(bits)) => format!(
                "the weights are quantized by `{method}` to {bits} bits, but which of them are not quantized is not stated; pass \
                 {FILES}"
            ),
            (Some(method), None) => format!(
                "the configuration names the quantization `{method}`, whose size of a weight is unknown; pass {FILES}"
            ),
            (None, _) => {
                format!("the configuration has a quantization without a `quant_method`; pass {FILES}")
            }
        };
    }
    let types = ["torch_dtype", "dtype"];
    let stated = |config: &Value| {
        types.iter().find_map(|key| {
            let value = config.get(*key).filter(|value| !value.is_null())?;
            Some((*key, in_words(value)))
        })
    };
    match stated(config).or_else(|| stated(text_part(config))) {
        Some((key, value)) => {
            format!("`{key}` is `{value}`; accepted are bfloat16, float16, float32 and float8 types, or pass {FILES}")
        }
        None => format!(
            "the configuration does not state the weights' type; add `torch_dtype` (bfloat16, float16, float32), or pass {FILES}"
        ),
    }
}

/// Returns a value as text for a message.
fn in_words(value: &Value) -> String {
    shortened(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Bits, plausible_bits, why_unknown};

    #[test]
    fn the_reason_names_what_is_in_the_file_and_what_to_do() {
        for (config, words) in [
            (
                json!({"quantization_config": {"quant_method": "mystery"}}),
                "`mystery`, whose size",
            ),
            (json!({"quantization_config": {"quant_method": 7}}), "`7`, whose size"),
            (
                json!({"quantization_config": {"quant_method": "gptq", "bits": 3}}),
                "`gptq` to 3 bits",
            ),
            (json!({"quantization_config": {}}), "without a `quant_method`"),
            (
                json!({"text_config": {"quantization_config": {"quant_method": "awq"}}}),
                "`awq` to 4 bits",
            ),
            (json!({"dtype": "int3"}), "`dtype` is `int3`; accepted"),
            (json!({}), "add `torch_dtype`"),
        ] {
            let reason = why_unknown(&config);
            assert!(
                reason.contains(words) && reason.contains("pass the model's folder"),
                "{reason}"
            );
        }
    }

    #[test]
    fn unstated_weights_have_one_of_the_usual_types() {
        let of = |config: serde_json::Value| -> Vec<(f64, f64)> {
            let range = |bits: &Bits| (bits.least, bits.most);
            plausible_bits(&config).iter().map(range).collect()
        };
        assert_eq!(of(json!({})), [(16.0, 16.0), (32.0, 32.0)]);
        assert_eq!(of(json!({"torch_dtype": "float16"})), [(16.0, 16.0)]);
        assert_eq!(
            of(json!({"quantization_config": {"quant_method": "awq"}})),
            [(4.0, 16.0)]
        );
        assert_eq!(of(json!({"quantization_config": {"quant_method": "mystery"}})), []);
    }
}
