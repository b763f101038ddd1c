//! Cases of files, names, packed weights and configurations.

mod cases {
    pub mod case;
    pub mod input;
}

use cases::case::{Came, Case};

/// Runs one case, compares each figure exactly, and checks that the texts contain `words`. Returns the outcome.
fn check(name: &str, words: &str) -> Came {
    let case = Case::read(name);
    let came = case.answer();
    case.compare(&came, 0.0);
    assert!(came.said().contains(words), "{name}: {}", came.said());
    came
}

#[test]
fn embedding_model() {
    check("embedding-model", "no text is generated");
}

#[test]
fn gguf_lora_adapter() {
    check("gguf-lora-adapter", "an adapter");
}

#[test]
fn gguf_no_tensors() {
    let came = check("gguf-no-tensors", "no tensors");
    assert!(came.field("params_total").is_null());
}

#[test]
fn json_infinity() {
    check("json-infinity", "");
}

#[test]
fn mlx_4bit() {
    check("mlx-4bit", "");
}

#[test]
fn name_a3b_json() {
    let came = check("name-a3b-json", "the model's name");
    assert_eq!(came.field("params_total"), 30_000_000_000_u64);
    assert_eq!(came.field("params_active"), 3_000_000_000_u64);
}

#[test]
fn name_of_parent_folder() {
    check("name-of-parent-folder", "rwkv7");
}

#[test]
fn nested_quantization() {
    check("nested-quantization", "bytes are unknown");
}

#[test]
fn nvfp4_modelopt() {
    check("nvfp4-modelopt", "");
}

#[test]
fn nvfp4_unknown_family() {
    check("nvfp4-unknown-family", "");
}

#[test]
fn one_shard_of_two() {
    check("one-shard-of-two", "model-00002-of-00002.safetensors is missing");
}

#[test]
fn reward_model() {
    check("reward-model", "no text is generated");
}

/// Returns the FLOPs of the rotary embedding in the prefill.
fn rotary(came: &Came) -> u64 {
    let operators = came.field("operators");
    let mut operators = operators.as_array().unwrap().iter();
    let rotary = operators.find(|operator| operator["operator"] == "rotary_embedding");
    rotary.unwrap()["flops_prefill"].as_u64().unwrap()
}

#[test]
fn rope_parameters_share() {
    let came = check("rope-parameters-share", "");
    let mut case = Case::read("rope-parameters-share");
    let parameters = case.config["rope_parameters"].as_object_mut().unwrap();
    parameters.remove("partial_rotary_factor");
    assert_eq!(rotary(&came) * 4, rotary(&case.answer()) * 3);
}

#[test]
fn yarn_context() {
    let came = check("yarn-context", "");
    assert!(!came.said().contains("60064 tokens"), "{}", came.said());
    let mut case = Case::read("yarn-context");
    case.input["question"]["input_tokens"] = 131_072.into();
    let longer = case.answer();
    assert!(longer.said().contains("more than the 131072"), "{}", longer.said());
}
