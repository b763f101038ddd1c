//! What mistral.rs 0.8.1 needs of a model's files, read from its sources (`gguf/`, `pipeline/gguf.rs`,
//! `pipeline/loaders/normal_loaders.rs`, the `Config` of each file in `models/`). Look again when the version changes.

mod classes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ggml_type;
use crate::config_json::generates_text;
use crate::{MetadataValue, ModelShape, TensorInfo};

const ENGINE: &str = "mistral.rs 0.8.1";

const GGUF_ARCHITECTURES: [&str; 8] = [
    "llama",
    "mistral3",
    "phi2",
    "phi3",
    "starcoder2",
    "qwen2",
    "qwen3",
    "qwen3moe",
];

pub(super) fn of_gguf(
    architecture: &str,
    metadata: &BTreeMap<String, MetadataValue>,
    tensors: &[TensorInfo],
) -> Vec<String> {
    let mut problems = Vec::new();
    if !GGUF_ARCHITECTURES.contains(&architecture.to_ascii_lowercase().as_str()) {
        let accepted = GGUF_ARCHITECTURES.join(", ");
        problems.push(format!(
            "{ENGINE} does not load GGUF files of the architecture `{architecture}`, only {accepted}"
        ));
    }
    if let Some(tensor) = tensors.iter().find(|tensor| !ggml_type::is_loadable(&tensor.dtype)) {
        problems.push(format!(
            "{ENGINE} does not read the type {} of tensor `{}`",
            tensor.dtype, tensor.name
        ));
    }
    match metadata.get("tokenizer.ggml.model").and_then(MetadataValue::as_text) {
        None => problems.push("the file holds no tokenizer (tokenizer.ggml.model)".to_owned()),
        Some("gpt2") => {}
        Some("llama" | "replit") if metadata.contains_key("tokenizer.ggml.scores") => {}
        Some("llama" | "replit") => problems.push("the tokenizer lacks tokenizer.ggml.scores".to_owned()),
        Some(other) => problems.push(format!(
            "{ENGINE} does not know the tokenizer `{other}`, only gpt2, llama, replit"
        )),
    }
    for key in ["tokenizer.ggml.tokens", "tokenizer.ggml.eos_token_id"] {
        if !metadata.contains_key(key) {
            problems.push(format!("the tokenizer lacks {key}"));
        }
    }
    problems
}

pub(super) fn of_safetensors(
    config: &Value,
    shape: Option<&ModelShape>,
    folder: &Path,
    files: &[PathBuf],
) -> Vec<String> {
    let mut problems = class_problems(config);
    if generates_text(config) {
        problems.extend(of_head(shape));
    }
    if !has_tokenizer(folder) {
        problems.push("the folder has no tokenizer.json".to_owned());
    }
    let foreign = files
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .find(|name| !is_expected_name(name));
    if let Some(name) = foreign {
        problems.push(format!(
            "{ENGINE} loads weights from model.safetensors, model-N-of-M.safetensors or consolidated.safetensors only, not from {name}"
        ));
    }
    problems
}

/// Says that files hold no lm_head, where they do not.
pub(super) fn of_head(shape: Option<&ModelShape>) -> Option<String> {
    let has_none = shape.is_some_and(|shape| !shape.generates_text());
    has_none.then(|| "no text is generated from these files: they hold no lm_head".to_owned())
}

pub(super) fn has_tokenizer(folder: &Path) -> bool {
    ["tokenizer.json", "tekken.json"]
        .iter()
        .any(|name| folder.join(name).is_file())
}

fn class_problems(config: &Value) -> Vec<String> {
    let classes = config
        .get("architectures")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let [Value::String(class)] = classes else {
        return vec![format!(
            "{ENGINE} needs exactly one name in `architectures` of config.json"
        )];
    };
    if !generates_text(config) {
        return vec![format!("no text is generated from a `{class}`: it has no lm_head")];
    }
    let Some(keys) = classes::required_keys(class) else {
        return vec![format!("{ENGINE} does not load the text model class `{class}`")];
    };
    let absent = |key: &&str| config.get(*key).is_none_or(Value::is_null);
    keys.into_iter()
        .filter(absent)
        .map(|key| missing(config, key))
        .collect()
}

fn missing(config: &Value, key: &str) -> String {
    if key == "rope_theta" && config.get("rope_parameters").is_some() {
        return format!(
            "{ENGINE} wants `rope_theta` at the top of config.json and does not look into `rope_parameters`"
        );
    }
    format!("{ENGINE} wants `{key}` in config.json")
}

fn is_expected_name(name: &str) -> bool {
    let numbered = || {
        let (index, count) = name
            .strip_prefix("model-")?
            .strip_suffix(".safetensors")?
            .split_once("-of-")?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        Some(digits(index) && digits(count))
    };
    name.ends_with("model.safetensors") || name.ends_with("consolidated.safetensors") || numbered() == Some(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{class_problems, is_expected_name, of_gguf};
    use crate::{MetadataValue, TensorInfo};

    fn metadata(tokenizer: &str) -> BTreeMap<String, MetadataValue> {
        BTreeMap::from([
            ("tokenizer.ggml.model".to_owned(), MetadataValue::Text(tokenizer.into())),
            ("tokenizer.ggml.tokens".to_owned(), MetadataValue::LongList(10)),
            ("tokenizer.ggml.eos_token_id".to_owned(), MetadataValue::Unsigned(2)),
        ])
    }

    #[test]
    fn a_gguf_that_loads_has_no_problems() {
        assert_eq!(of_gguf("qwen3moe", &metadata("gpt2"), &[]), [""; 0]);
    }

    #[test]
    fn each_obstacle_of_a_gguf_is_a_sentence() {
        let tensor = TensorInfo {
            name: "a".into(),
            shape: vec![256],
            dtype: "IQ4_XS".into(),
            bytes: 136,
        };
        assert_eq!(
            of_gguf("gpt2", &BTreeMap::new(), std::slice::from_ref(&tensor)).len(),
            5
        );
        assert!(of_gguf("llama", &metadata("llama"), &[])[0].contains("scores"));
        assert!(of_gguf("llama", &metadata("bert"), &[])[0].contains("bert"));
        assert!(of_gguf("llama", &metadata("gpt2"), &[tensor])[0].contains("IQ4_XS"));
    }

    #[test]
    fn mistral_takes_its_rotary_base_from_rope_parameters_but_llama_does_not() {
        let config = |class: &str| {
            json!({
                "architectures": [class], "hidden_act": "silu", "hidden_size": 1, "intermediate_size": 1,
                "vocab_size": 1, "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1,
                "rms_norm_eps": 1, "max_position_embeddings": 1, "rope_parameters": {"rope_theta": 1},
            })
        };
        assert_eq!(class_problems(&config("MistralForCausalLM")), [""; 0]);
        assert!(class_problems(&config("LlamaForCausalLM"))[0].contains("rope_parameters"));
        assert!(class_problems(&config("MambaForCausalLM"))[0].contains("MambaForCausalLM"));
        for class in ["LlamaModel", "LlamaForSequenceClassification"] {
            assert!(
                class_problems(&config(class))[0].contains("no text is generated"),
                "{class}"
            );
        }
        assert!(class_problems(&json!({"architectures": []}))[0].contains("architectures"));
    }

    #[test]
    fn weights_are_looked_for_under_their_usual_names() {
        assert!(is_expected_name("model.safetensors") && is_expected_name("model-00001-of-00002.safetensors"));
        assert!(!is_expected_name("weights.safetensors") && !is_expected_name("model-a-of-b.safetensors"));
    }
}
