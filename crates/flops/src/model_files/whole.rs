//! Detection of files that are not a whole model: adapters, projectors, parts of a split model, files without weights.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{MetadataValue, TensorInfo};

const PROJECTOR: &str = "it is the projector of a multimodal model (mmproj); the text model is another file";

/// Returns why a GGUF of `files` files is not a whole model, in words; `None` where nothing shows it.
pub(super) fn of_gguf(
    metadata: &BTreeMap<String, MetadataValue>,
    tensors: &[TensorInfo],
    files: usize,
) -> Option<String> {
    let text = |key: &str| metadata.get(key).and_then(MetadataValue::as_text);
    let kind = text("general.type").unwrap_or_default();
    let architecture = text("general.architecture").unwrap_or_default();
    match (kind, architecture) {
        ("adapter", _) => {
            let what = text("adapter.type").unwrap_or("general.type");
            return Some(format!("it is an adapter ({what}) without its base model"));
        }
        ("mmproj", _) | (_, "clip") => {
            return Some(PROJECTOR.to_owned());
        }
        ("imatrix", _) | (_, "imatrix") => return Some("it is an importance matrix, which contains no weights".into()),
        (_, "controlvector") => return Some("it is a control vector, not a model".into()),
        _ => {}
    }
    let parts = metadata.get("split.count").and_then(MetadataValue::as_count);
    if let Some(parts) = parts.filter(|parts| *parts > files as u64) {
        return Some(format!(
            "it is {files} of {parts} files (split.count), and the others cannot be found by its name"
        ));
    }
    of_tensors(tensors)
}

/// Returns why a configuration is not that of a whole model, in words; `None` where nothing shows it.
pub(super) fn of_config(config: &Value) -> Option<String> {
    let is_adapter = config.get("model_type").is_none() && config.get("peft_type").is_some();
    is_adapter.then(|| {
        let base = config.get("base_model_name_or_path").and_then(Value::as_str);
        let base = base.map_or_else(String::new, |name| format!(", `{}`", crate::shortened(name)));
        format!("it is the configuration of an adapter without its base model{base}")
    })
}

/// Returns why tensors are not those of a whole model, in words; `None` where nothing shows it.
pub(super) fn of_tensors(tensors: &[TensorInfo]) -> Option<String> {
    if tensors.is_empty() {
        return Some("it contains no tensors".to_owned());
    }
    let is_adapter = |tensor: &TensorInfo| {
        let name = tensor.name.to_ascii_lowercase();
        ["lora_", ".adapter_", "prompt_embeddings", "ia3_"]
            .iter()
            .any(|word| name.contains(word))
    };
    let is_around_a_model = |tensor: &TensorInfo| tensor.name.starts_with("base_model.model.");
    let saves_more = tensors.iter().any(is_adapter) && tensors.iter().all(is_around_a_model);
    if saves_more || tensors.iter().all(is_adapter) {
        return Some("it is an adapter (LoRA) without its base model".to_owned());
    }
    let is_projector = |tensor: &TensorInfo| {
        ["mm_projector", "multi_modal_projector"]
            .iter()
            .any(|word| tensor.name.contains(word))
    };
    if tensors.iter().all(is_projector) {
        return Some(PROJECTOR.to_owned());
    }
    let empty = tensors.iter().find(|tensor| tensor.elements() == 0)?;
    let name = crate::shortened(&empty.name);
    Some(format!("its tensor `{name}` has a dimension of 0"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{of_config, of_gguf, of_tensors};
    use crate::{MetadataValue, TensorInfo};

    fn tensors(name: &str, shape: &[u64]) -> Vec<TensorInfo> {
        vec![TensorInfo {
            name: name.into(),
            shape: shape.into(),
            dtype: "F32".into(),
            bytes: 4,
        }]
    }

    #[test]
    fn what_is_no_whole_model_is_called_by_its_name() {
        let text = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), MetadataValue::Text(value.into()))]);
        let whole = tensors("blk.0.attn_q.weight", &[2, 2]);
        let split = BTreeMap::from([("split.count".to_owned(), MetadataValue::Unsigned(2))]);
        for (metadata, tensors, words) in [
            (text("general.type", "adapter"), whole.clone(), "an adapter"),
            (text("general.type", "mmproj"), whole.clone(), "projector"),
            (text("general.architecture", "clip"), whole.clone(), "projector"),
            (split, whole.clone(), "1 of 2 files"),
            (BTreeMap::new(), Vec::new(), "no tensors"),
            (
                BTreeMap::new(),
                tensors("blk.0.attn_q.weight.lora_a", &[2, 2]),
                "an adapter",
            ),
            (
                BTreeMap::new(),
                tensors("model.mm_projector.0.weight", &[2, 2]),
                "projector",
            ),
            (BTreeMap::new(), tensors("a", &[2, 0]), "`a` has a dimension of 0"),
        ] {
            let reason = of_gguf(&metadata, &tensors, 1).expect(words);
            assert!(reason.contains(words), "{reason}");
        }
        assert_eq!(of_gguf(&text("general.type", "model"), &whole, 1), None);
        assert_eq!(of_tensors(&whole), None);
        let saved_with_its_head = [
            tensors(
                "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
                &[2, 2],
            ),
            tensors("base_model.model.lm_head.weight", &[2, 2]),
        ];
        assert!(
            of_tensors(&saved_with_its_head.concat())
                .unwrap()
                .contains("an adapter")
        );
        assert!(
            of_config(&json!({"peft_type": "LORA", "base_model_name_or_path": "a/b"}))
                .unwrap()
                .contains("`a/b`")
        );
        assert_eq!(of_config(&json!({"model_type": "llama"})), None);
    }
}
