//! Values of a `config.json` other than dimensions.

use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::config_text;
use super::error::ModelFileError;
use super::read::{named, open_file};
use crate::companion::Packing;
pub(super) use crate::config_json::text_part;
use crate::json_text::without_nan;

/// Maximum size of a JSON file. Indexes of models with 100,000 tensors have 10 MB; some tokenizer_config.json list
/// every added token.
const MAX_JSON_BYTES: u64 = 1 << 26;

/// Reads a whole configuration as Python writes it.
pub(super) fn read_json(path: &Path) -> Result<Value, ModelFileError> {
    read_with(path, config_text::parse)
}

/// Reads the parts of a JSON file that the type contains.
pub(super) fn read_part<T: DeserializeOwned>(path: &Path) -> Result<T, ModelFileError> {
    read_with(path, |text| serde_json::from_slice(&without_nan(text)))
}

/// Reads a file of limited size and parses it.
fn read_with<T>(path: &Path, parse: impl FnOnce(&[u8]) -> Result<T, serde_json::Error>) -> Result<T, ModelFileError> {
    let (file, _) = open_file(path)?;
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
    parse(&text).map_err(|error| named(ModelFileError::malformed(path, format!("it is not JSON: {error}"))))
}

/// Returns the configuration's object under one of the names, from the text model's part where the whole has none.
fn part<'a>(config: &'a Value, names: &[&str]) -> Option<&'a Value> {
    let of = |config: &'a Value| {
        names
            .iter()
            .find_map(|name| config.get(*name).filter(|value| value.is_object()))
    };
    of(config).or_else(|| of(text_part(config)))
}

/// Returns the settings of the quantization: `quantization_config`, in MLX's folders `quantization`, in older ones of
/// compressed-tensors `compression_config`; `None` without a quantization.
pub(super) fn quantization(config: &Value) -> Option<&Value> {
    part(config, &["quantization_config", "quantization", "compression_config"])
}

/// Returns the packing of weights.
pub(super) fn packing(config: &Value) -> Packing {
    let Some(quantization) = quantization(config) else {
        return Packing::default();
    };
    let groups = quantization.get("config_groups").and_then(Value::as_object);
    let scheme = groups.and_then(|groups| groups.values().next()?.get("weights"));
    let of_hqq = hqq_weights(quantization);
    let count = |name: &str| quantization.get(name).or_else(|| of_hqq?.get(name))?.as_u64();
    let of_scheme = |name: &str| scheme.and_then(|scheme| scheme.get(name)).and_then(Value::as_u64);
    let flag = |key: &str| quantization.get(key).and_then(Value::as_bool) == Some(true);
    let method = quantization
        .get("quant_method")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let by_method = || match method {
        _ if flag("load_in_4bit") => Some(4),
        _ if flag("load_in_8bit") => Some(8),
        "awq" | "mxfp4" => Some(4),
        "fp8" | "fbgemm_fp8" => Some(8),
        "bitnet" => Some(2),
        _ => None,
    };
    Packing {
        bits: count("bits")
            .or_else(|| count("w_bit"))
            .or_else(|| count("nbits"))
            .or_else(|| of_scheme("num_bits"))
            .or_else(by_method),
        group_size: count("group_size")
            .or_else(|| of_scheme("group_size"))
            .filter(|size| *size > 0),
    }
}

/// Quantization methods whose weights can be counted by the tensors.
const COUNTED: [&str; 17] = [
    "gptq",
    "gptq_marlin",
    "gptqmodel",
    "awq",
    "awq_marlin",
    "auto-round",
    "intel/auto-round",
    "bitsandbytes",
    "fp8",
    "fbgemm_fp8",
    "modelopt",
    "compressed-tensors",
    "mxfp4",
    "hqq",
    "eetq",
    "quark",
    "bitnet",
];

/// Returns the quantization method where tensors do not show how many weights they contain.
pub(super) fn uncounted_packing(config: &Value) -> Option<&str> {
    let quantization = quantization(config)?;
    let word = |key: &str| quantization.get(key).and_then(Value::as_str);
    // These formats store two of four weights.
    let is_sparse = |format: &&str| format.contains("24") || format.contains("sparse");
    word("format")
        .filter(is_sparse)
        .or_else(|| word("quant_method").filter(|method| !COUNTED.contains(method)))
}

/// Returns HQQ's settings of the weights; `None` where they differ between layers.
fn hqq_weights(quantization: &Value) -> Option<&Value> {
    const KEY: &str = "weight_quant_params";
    let settings = quantization.get("quant_config")?;
    if let Some(of_all) = settings.get(KEY) {
        return Some(of_all);
    }
    let mut of_layers = settings.as_object()?.values().filter_map(|layer| layer.get(KEY));
    let first = of_layers.next()?;
    of_layers.all(|other| other == first).then_some(first)
}

/// Returns the bits of one weight: those of the quantization, else those of `torch_dtype` (`dtype` in newer files);
/// `None` where they are unknown.
pub(super) fn stated_bits(config: &Value) -> Option<u32> {
    if quantization(config).is_some() {
        let bits = packing(config).bits.and_then(|bits| u32::try_from(bits).ok());
        return bits.filter(|bits| (1..=32).contains(bits));
    }
    let dtype = |config: &Value| {
        let named = ["torch_dtype", "dtype"]
            .iter()
            .find_map(|name| config.get(*name)?.as_str());
        named.map(|dtype| dtype.trim_start_matches("torch.").to_owned())
    };
    match dtype(config).or_else(|| dtype(text_part(config)))?.as_str() {
        "float16" | "bfloat16" => Some(16),
        "float32" => Some(32),
        dtype if dtype.starts_with("float8_") => Some(8),
        _ => None,
    }
}

/// Returns the longest context in tokens: the number of positions, or the number to which YaRN extends it.
pub(super) fn max_context_tokens(config: &Value) -> Option<u64> {
    let count = |name: &str| text_part(config).get(name).and_then(Value::as_u64);
    let positions = count("max_position_embeddings").or_else(|| count("n_positions"))?;
    let scaling = part(config, &["rope_scaling", "rope_parameters"]);
    let scaling = scaling.filter(|scaling| {
        let kind = scaling.get("rope_type").or_else(|| scaling.get("type"));
        kind.and_then(Value::as_str) == Some("yarn")
    });
    let number = |name: &str| scaling?.get(name)?.as_f64();
    let original = number("original_max_position_embeddings").unwrap_or(positions as f64);
    Some(extended(positions, number("factor"), original))
}

/// Returns the context that YaRN extends from `original` by a factor. Some files already state the extended length as
/// `positions`, so the larger one is returned.
pub(super) fn extended(positions: u64, factor: Option<f64>, original: f64) -> u64 {
    const MAX_FACTOR: f64 = 1024.0;
    let factor = factor
        .filter(|factor| (1.0..=MAX_FACTOR).contains(factor))
        .unwrap_or(1.0);
    positions.max((original * factor) as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{max_context_tokens, packing, stated_bits, uncounted_packing};

    #[test]
    fn ways_of_packing_that_tensors_do_not_tell_are_named() {
        for (quantization, named) in [
            (json!({"quant_method": "vptq"}), Some("vptq")),
            (
                json!({"quant_method": "torchao", "quant_type": "int4_weight_only"}),
                Some("torchao"),
            ),
            (
                json!({"quant_method": "compressed-tensors", "format": "marlin-24"}),
                Some("marlin-24"),
            ),
            (
                json!({"quant_method": "compressed-tensors", "format": "pack-quantized"}),
                None,
            ),
            (json!({"quant_method": "gptq", "checkpoint_format": "gptq"}), None),
            (json!({"bits": 4, "group_size": 64}), None),
        ] {
            let config = json!({"quantization_config": quantization});
            assert_eq!(uncounted_packing(&config), named, "{quantization}");
        }
        assert_eq!(uncounted_packing(&json!({})), None);
    }

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
            (json!({"torch_dtype": null, "dtype": "torch.bfloat16"}), Some(16)),
            (
                json!({"torch_dtype": "bfloat16", "text_config": {"quantization_config": {"quant_method": "awq"}}}),
                Some(4),
            ),
            (
                json!({"torch_dtype": "bfloat16", "quantization": {"bits": 8, "group_size": 64}}),
                Some(8),
            ),
            (json!({}), None),
        ] {
            assert_eq!(stated_bits(&config), bits, "{config}");
        }
    }
    #[test]
    fn packed_weights_are_described_in_each_format_s_words() {
        for (quantization, bits, group_size) in [
            (
                json!({"quant_method": "gptq", "bits": 3, "group_size": 128}),
                Some(3),
                Some(128),
            ),
            (
                json!({"quant_method": "gptq", "bits": 4, "group_size": -1}),
                Some(4),
                None,
            ),
            (
                json!({"quant_method": "bitsandbytes", "load_in_4bit": true}),
                Some(4),
                None,
            ),
            (json!({"quant_method": "bitnet"}), Some(2), None),
            (
                json!({"config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32}}}}),
                Some(4),
                Some(32),
            ),
            (
                json!({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 2, "group_size": 16}}}),
                Some(2),
                Some(16),
            ),
            (
                json!({"quant_config": {
                    "mlp.up_proj": {"weight_quant_params": {"nbits": 4}}, "mlp.down_proj": {"weight_quant_params": {"nbits": 3}},
                }}),
                None,
                None,
            ),
            (json!({}), None, None),
        ] {
            let packing = packing(&json!({"quantization_config": quantization}));
            assert_eq!((packing.bits, packing.group_size), (bits, group_size), "{quantization}");
        }
    }

    #[test]
    fn yarn_lengthens_the_context_and_nothing_else_does() {
        let context = |scaling: serde_json::Value| {
            max_context_tokens(&json!({"max_position_embeddings": 32768, "rope_scaling": scaling}))
        };
        let yarn = json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768});
        assert_eq!(context(yarn.clone()), Some(131_072));
        let newer = json!({"max_position_embeddings": 32768, "rope_parameters": {"rope_type": "yarn", "factor": 2}});
        assert_eq!(max_context_tokens(&newer), Some(65536));
        // DeepSeek states the extended length as its positions.
        let stretched = json!({"rope_type": "yarn", "factor": 8, "original_max_position_embeddings": 4096});
        assert_eq!(context(stretched), Some(32768));
        assert_eq!(context(json!({"rope_type": "llama3", "factor": 8})), Some(32768));
        assert_eq!(context(json!({"rope_type": "yarn", "factor": 1e300})), Some(32768));
        let text = json!({"text_config": {"max_position_embeddings": 32768, "rope_scaling": yarn}});
        assert_eq!(max_context_tokens(&text), Some(131_072));
        assert_eq!(max_context_tokens(&json!({})), None);
    }
}
