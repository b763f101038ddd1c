use std::path::Path;

use serde_json::{Value, json};

use crate::model_files::{ModelFileError, ModelFiles, ModelFormat};
use crate::{Estimator, FlopsMethod};

fn tiny_llama() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": 4,
        "intermediate_size": 8, "vocab_size": 10, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "rms_norm_eps": 1e-5, "rope_theta": 1e4, "max_position_embeddings": 64,
        "tie_word_embeddings": true,
    })
}

fn write_tensors(path: &Path, tensors: &[(&str, &[u64])]) {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in tensors {
        let begin = end;
        end += 2 * shape.iter().product::<u64>();
        header.insert(
            (*name).into(),
            json!({"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    let length = (header.len() as u64).to_le_bytes();
    std::fs::write(path, [length.as_slice(), &header, &vec![0; end as usize]].concat()).unwrap();
}

const EMBEDDING: (&str, &[u64]) = ("model.embed_tokens.weight", &[10, 4]);
const LAYER: [(&str, &[u64]); 10] = [
    ("model.layers.0.self_attn.q_proj.weight", &[4, 4]),
    ("model.layers.0.self_attn.k_proj.weight", &[2, 4]),
    ("model.layers.0.self_attn.v_proj.weight", &[2, 4]),
    ("model.layers.0.self_attn.o_proj.weight", &[4, 4]),
    ("model.layers.0.mlp.gate_proj.weight", &[8, 4]),
    ("model.layers.0.mlp.up_proj.weight", &[8, 4]),
    ("model.layers.0.mlp.down_proj.weight", &[4, 8]),
    ("model.layers.0.input_layernorm.weight", &[4]),
    ("model.layers.0.post_attention_layernorm.weight", &[4]),
    ("model.norm.weight", &[4]),
];

fn folder(config: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    std::fs::write(
        folder.path().join("tokenizer_config.json"),
        r#"{"chat_template": "{{ messages }}"}"#,
    )
    .unwrap();
    let tensors = [[EMBEDDING, ("lm_head.weight", &[10, 4])].as_slice(), &LAYER].concat();
    write_tensors(&folder.path().join("model.safetensors"), &tensors);
    folder
}

#[test]
fn a_folder_tells_shape_parameters_and_type() {
    let folder = folder(&tiny_llama());
    let model = ModelFiles::open(folder.path()).unwrap();
    assert_eq!(
        (model.format, model.architecture.as_str()),
        (ModelFormat::Safetensors, "llama")
    );
    assert_eq!(
        model.parameters_total.map(u128::from),
        Some(model.shape.as_ref().unwrap().parameters_total())
    );
    assert_eq!(
        (model.quantization.as_str(), model.vocab_size, model.max_context_tokens),
        ("BF16", Some(10), Some(64))
    );
    assert!(model.has_tokenizer && model.has_chat_template && model.has_rope_theta);
    assert_eq!(model.loadable_problems(), [""; 0]);
    let Estimator::Walk(walk) = model.estimator("tiny") else {
        panic!("no walk")
    };
    assert!(walk.is_traced());
}

#[test]
fn what_mistral_rs_would_miss_is_said() {
    let mut config = tiny_llama();
    config.as_object_mut().unwrap().remove("rope_theta");
    config["rope_parameters"] = json!({"rope_theta": 1e4, "rope_type": "default"});
    let folder = folder(&config);
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    let model = ModelFiles::open(folder.path()).unwrap();
    assert!(!model.has_rope_theta && !model.has_tokenizer);
    let problems = model.loadable_problems().join("\n");
    assert!(
        problems.contains("rope_theta") && problems.contains("tokenizer.json"),
        "{problems}"
    );
}

#[test]
fn an_unknown_family_is_estimated_by_its_tensors() {
    let mut config = tiny_llama();
    config["model_type"] = json!("rwkv");
    let folder = folder(&config);
    let model = ModelFiles::open(folder.path()).unwrap();
    let Estimator::Parameters(parameters) = model.estimator("rwkv-7b") else {
        panic!("not by parameters")
    };
    assert_eq!(parameters.total, model.parameters_total);
    assert_eq!(parameters.method, FlopsMethod::Architecture);
    assert!(parameters.basis.contains("rwkv"), "{}", parameters.basis);
}

#[test]
fn shards_are_those_of_the_index_and_nothing_outside_the_folder() {
    let folder = folder(&tiny_llama());
    let path = |name: &str| folder.path().join(name);
    std::fs::rename(path("model.safetensors"), path("model-00001-of-00002.safetensors")).unwrap();
    write_tensors(&path("consolidated.safetensors"), &[EMBEDDING]);
    let index = |second: &str| {
        let map = json!({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": second}});
        std::fs::write(path("model.safetensors.index.json"), map.to_string()).unwrap();
    };
    index("model-00002-of-00002.safetensors");
    assert!(matches!(
        ModelFiles::open(folder.path()),
        Err(ModelFileError::MissingShard { .. })
    ));
    write_tensors(&path("model-00002-of-00002.safetensors"), &[("extra", &[3])]);
    assert_eq!(ModelFiles::open(folder.path()).unwrap().files.len(), 2);
    for outside in ["../x.safetensors", "/etc/passwd", "", ".."] {
        index(outside);
        assert!(
            matches!(ModelFiles::open(folder.path()), Err(ModelFileError::Malformed { .. })),
            "{outside}"
        );
    }
}

#[test]
fn a_broken_configuration_is_damage_and_a_missing_path_is_not_found() {
    let folder = folder(&tiny_llama());
    std::fs::write(folder.path().join("config.json"), "{").unwrap();
    assert!(matches!(
        ModelFiles::open(folder.path()),
        Err(ModelFileError::Malformed { .. })
    ));
    assert!(matches!(
        ModelFiles::open(&folder.path().join("none")),
        Err(ModelFileError::NotFound { .. })
    ));
    let text = folder.path().join("tokenizer.json");
    assert!(matches!(ModelFiles::open(&text), Err(ModelFileError::NotAModel { .. })));
}
