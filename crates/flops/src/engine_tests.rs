//! Compares the families with the list of models that the engine loads. The engine's crate is not linked here: a test
//! of `engines/mistral` compares the same list with the engine.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{FAMILIES, MetadataValue, from_config_json, from_gguf_metadata};

fn loaders() -> Value {
    serde_json::from_str(include_str!("testdata/mistralrs_loaders.json")).unwrap()
}

#[test]
fn every_text_model_that_the_engine_loads_is_of_a_family() {
    let list = loaders()["normal"].clone();
    for loader in list.as_array().unwrap() {
        let model_type = loader[2].as_str().unwrap();
        let family = FAMILIES.iter().find(|family| family.model_types.contains(&model_type));
        assert!(family.is_some(), "{loader}");
        let shape = from_config_json(&json!({"model_type": model_type, "num_experts_per_tok": 2}));
        assert!(shape.is_ok(), "{loader}: {shape:?}");
    }
    assert_eq!(list.as_array().unwrap().len(), 21);
}

#[test]
fn every_gguf_that_the_engine_loads_is_of_a_family() {
    for architecture in loaders()["gguf"].as_array().unwrap() {
        let architecture = architecture.as_str().unwrap();
        let counts = [
            ("embedding_length", 64),
            ("block_count", 2),
            ("attention.head_count", 4),
            ("feed_forward_length", 128),
            ("context_length", 512),
            ("vocab_size", 100),
            ("expert_count", if architecture.ends_with("moe") { 4 } else { 0 }),
            ("expert_used_count", 2),
        ];
        let mut metadata: BTreeMap<_, _> = counts
            .into_iter()
            .map(|(key, count)| (format!("{architecture}.{key}"), MetadataValue::Unsigned(count)))
            .collect();
        let name = MetadataValue::Text(architecture.to_owned());
        metadata.insert("general.architecture".to_owned(), name);
        let shape = from_gguf_metadata(&metadata, &[]);
        assert!(shape.is_ok(), "{architecture}: {shape:?}");
    }
}
