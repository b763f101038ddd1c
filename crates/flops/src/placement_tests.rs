use serde_json::{Value, json};

use super::{Naming, TensorInfo, Walk, from_config_json};

/// Returns Hugging Face's names for a model with every kind of operator, with the shapes of transformers' modules.
fn tensors(shapes: &[(&str, &[u64])]) -> Vec<TensorInfo> {
    let tensor = |(name, shape): &(&str, &[u64])| TensorInfo {
        name: (*name).to_owned(),
        shape: shape.to_vec(),
        dtype: "BF16".to_owned(),
        bytes: 2 * shape.iter().product::<u64>(),
    };
    shapes.iter().map(tensor).collect()
}

fn config() -> Value {
    json!({
        "model_type": "qwen2_moe", "hidden_size": 4, "num_attention_heads": 2, "num_key_value_heads": 1,
        "num_hidden_layers": 2, "intermediate_size": 6, "moe_intermediate_size": 3, "num_experts": 2,
        "num_experts_per_tok": 1, "shared_expert_intermediate_size": 5, "vocab_size": 10, "mlp_only_layers": [0],
    })
}

const ATTENTION: [(&str, &[u64]); 9] = [
    ("self_attn.q_proj.weight", &[4, 4]),
    ("self_attn.q_proj.bias", &[4]),
    ("self_attn.k_proj.weight", &[2, 4]),
    ("self_attn.k_proj.bias", &[2]),
    ("self_attn.v_proj.weight", &[2, 4]),
    ("self_attn.v_proj.bias", &[2]),
    ("self_attn.o_proj.weight", &[4, 4]),
    ("input_layernorm.weight", &[4]),
    ("post_attention_layernorm.weight", &[4]),
];
const REST: [(&str, &[u64]); 15] = [
    ("model.embed_tokens.weight", &[10, 4]),
    ("model.norm.weight", &[4]),
    ("lm_head.weight", &[10, 4]),
    ("model.layers.0.mlp.gate_proj.weight", &[6, 4]),
    ("model.layers.0.mlp.up_proj.weight", &[6, 4]),
    ("model.layers.0.mlp.down_proj.weight", &[4, 6]),
    ("model.layers.1.mlp.gate.weight", &[2, 4]),
    ("model.layers.1.mlp.experts.0.gate_proj.weight", &[3, 4]),
    ("model.layers.1.mlp.experts.0.up_proj.weight", &[3, 4]),
    ("model.layers.1.mlp.experts.0.down_proj.weight", &[4, 3]),
    ("model.layers.1.mlp.shared_expert.gate_proj.weight", &[5, 4]),
    ("model.layers.1.mlp.shared_expert.up_proj.weight", &[5, 4]),
    ("model.layers.1.mlp.shared_expert.down_proj.weight", &[4, 5]),
    ("model.layers.1.mlp.shared_expert_gate.weight", &[1, 4]),
    ("model.layers.0.self_attn.rotary_emb.inv_freq", &[1]),
];
const SECOND_EXPERT: [(&str, &[u64]); 3] = [
    ("model.layers.1.mlp.experts.1.gate_proj.weight", &[3, 4]),
    ("model.layers.1.mlp.experts.1.up_proj.weight", &[3, 4]),
    ("model.layers.1.mlp.experts.1.down_proj.weight", &[4, 3]),
];

fn whole() -> Vec<TensorInfo> {
    let mut all = [tensors(&REST), tensors(&SECOND_EXPERT)].concat();
    for layer in 0..2 {
        for mut tensor in tensors(&ATTENTION) {
            tensor.name = format!("model.layers.{layer}.{}", tensor.name);
            all.push(tensor);
        }
    }
    all
}

fn walk(tensors: &[TensorInfo]) -> Walk {
    Walk::new(from_config_json(&config()).unwrap(), Naming::HuggingFace, tensors, None)
}

#[test]
fn a_model_whose_tensors_all_have_an_operator_is_traced_with_their_bytes() {
    let tensors = whole();
    let walk = walk(&tensors);
    assert!(walk.is_traced(), "{:?}", walk.problems);
    let buffer = 2.0;
    let stored: u64 = tensors.iter().map(|tensor| tensor.bytes).sum();
    assert_eq!(walk.bytes.unwrap().iter().sum::<f64>(), stored as f64 - buffer);
    assert_eq!(2 * walk.shape.parameters_total(), u128::from(stored) - 2);
}

#[test]
fn every_tensor_left_out_is_named() {
    let all = whole();
    for position in 0..all.len() {
        let mut tensors = all.clone();
        let gone = tensors.remove(position);
        let walk = walk(&tensors);
        if gone.name.ends_with("inv_freq") {
            assert!(walk.is_traced());
        } else {
            assert_eq!(walk.problems, [format!("`{}` is missing", gone.name)]);
            let two_a_weight = walk.shape.parameters_total() as f64 * 2.0;
            assert_eq!(
                walk.bytes.unwrap().iter().sum::<f64>(),
                two_a_weight,
                "the rest tell a weight's size"
            );
        }
    }
}

#[test]
fn every_tensor_too_many_or_of_another_shape_is_named() {
    for (name, shape, problem) in [
        (
            "model.layers.0.mlp.extra.weight",
            &[4, 4][..],
            "no operator of qwen2_moe has",
        ),
        ("model.layers.2.mlp.up_proj.weight", &[6, 4], "has no up_proj"),
        ("model.layers.1.mlp.up_proj.weight", &[6, 4], "has no up_proj"),
        (
            "model.layers.1.mlp.experts.2.up_proj.weight",
            &[3, 4],
            "has no expert_up_proj",
        ),
        ("model.layers.0.self_attn.o_proj.bias", &[4], "is a bias"),
        ("model.layers.0.self_attn.qkv_proj.weight", &[8, 4], "repeats"),
        ("base_model.lora_A.weight", &[4, 4], "no operator"),
    ] {
        let mut all = whole();
        all.extend(tensors(&[(name, shape)]));
        let walk = walk(&all);
        assert!(!walk.is_traced());
        let named = walk
            .problems
            .iter()
            .any(|found| found.contains(name) && found.contains(problem));
        assert!(named, "{name}: {:?}", walk.problems);
    }
    let mut all = whole();
    all[0].shape = vec![11, 4];
    assert!(walk(&all).problems[0].contains("shape [11, 4] instead of [10, 4]"));
    let mut all = whole();
    all.push(all[0].clone());
    assert!(walk(&all).problems[0].contains("twice"));
}

#[test]
fn stacked_experts_and_fused_projections_are_the_same_model() {
    let mut all = whole();
    all.retain(|tensor| {
        !tensor.name.contains(".experts.") && !tensor.name.contains("v_proj") && !tensor.name.contains("k_proj")
    });
    all.retain(|tensor| !tensor.name.contains("q_proj"));
    all.extend(tensors(&[
        ("model.layers.1.mlp.experts.gate_up_proj", &[2, 6, 4]),
        ("model.layers.1.mlp.experts.down_proj", &[2, 4, 3]),
        ("model.layers.0.self_attn.qkv_proj.weight", &[8, 4]),
        ("model.layers.0.self_attn.qkv_proj.bias", &[8]),
        ("model.layers.1.self_attn.qkv_proj.weight", &[8, 4]),
        ("model.layers.1.self_attn.qkv_proj.bias", &[8]),
    ]));
    let fused = walk(&all);
    assert!(fused.is_traced(), "{:?}", fused.problems);
    assert_eq!(fused.bytes, walk(&whole()).bytes);
}

#[test]
fn packed_weights_with_their_scales_are_placed() {
    let mut all = whole();
    let position = all
        .iter()
        .position(|tensor| tensor.name.ends_with("0.mlp.up_proj.weight"))
        .unwrap();
    all.remove(position);
    let stem = "model.layers.0.mlp.up_proj";
    for (suffix, dtype, bytes) in [
        ("qweight", "I32", 12),
        ("qzeros", "I32", 4),
        ("scales", "F16", 12),
        ("g_idx", "I32", 16),
    ] {
        all.push(TensorInfo {
            name: format!("{stem}.{suffix}"),
            shape: vec![1, bytes / 4],
            dtype: dtype.to_owned(),
            bytes,
        });
    }
    let walk = walk(&all);
    assert!(walk.is_traced(), "{:?}", walk.problems);
    let up_proj = walk
        .operators
        .iter()
        .position(|operator| operator.name == "up_proj")
        .unwrap();
    assert_eq!(walk.bytes.unwrap()[up_proj], 44.0);
}

#[test]
fn a_vision_tower_is_set_apart() {
    for name in [
        "vision_tower.vision_model.embeddings.weight",
        "mlp1.0.weight",
        "gen_head.output_mlp_projector.weight",
        "token2wav.code2wav_dit_model.input_embed.proj.weight",
    ] {
        let mut all = whole();
        all.extend(tensors(&[(name, &[7, 3])]));
        let walk = walk(&all);
        assert!(walk.is_traced(), "{name}: {:?}", walk.problems);
        assert_eq!(walk.outside_elements, 21, "{name}");
    }
}

#[test]
fn a_hostile_list_of_tensors_is_reported_in_few_words() {
    let many: Vec<TensorInfo> = (0..50_000)
        .flat_map(|number| tensors(&[(format!("x{number}").as_str(), &[1])]))
        .collect();
    let walk = walk(&many);
    assert_eq!(walk.problems.len(), 21);
    assert!(walk.problems[20].starts_with("and "));
}

/// Checks names and shapes of real models of every family, as in transformers and in llama.cpp's table.
#[test]
fn every_family_is_traced_under_both_namings() {
    let facts: Value = serde_json::from_str(include_str!("testdata/tensors.json")).unwrap();
    let families = facts["models"].as_object().unwrap();
    for (family, model) in families {
        for (key, naming) in [("hugging_face", Naming::HuggingFace), ("gguf", Naming::Gguf)] {
            let named = model[key].as_array().unwrap().iter().map(|entry| TensorInfo {
                name: entry[0].as_str().unwrap().to_owned(),
                shape: serde_json::from_value(entry[1].clone()).unwrap(),
                dtype: "F32".to_owned(),
                bytes: 4,
            });
            let named: Vec<_> = named.collect();
            let shape = from_config_json(&model["config"]).unwrap();
            let walk = Walk::new(shape.clone(), naming, &named, None);
            assert!(walk.is_traced(), "{family} {key}: {:?}", walk.problems);
            for position in 0..named.len() {
                let mut fewer = named.clone();
                let gone = fewer.remove(position);
                let walk = Walk::new(shape.clone(), naming, &fewer, None);
                assert!(!walk.is_traced(), "{family} {key} without {}", gone.name);
            }
        }
    }
    assert_eq!(families.len(), 16);
}

/// Checks the tensors of one model of each later family, as transformers names them.
#[test]
fn every_later_family_is_traced() {
    let facts: Value = serde_json::from_str(include_str!("testdata/later_families.json")).unwrap();
    let models = facts["models"].as_object().unwrap().iter();
    let with_tensors = models.filter(|(_, model)| model["tensors"].is_array());
    let mut traced = 0;
    for (name, model) in with_tensors {
        let named = model["tensors"].as_array().unwrap().iter().map(|entry| TensorInfo {
            name: entry[0].as_str().unwrap().to_owned(),
            shape: serde_json::from_value(entry[1].clone()).unwrap(),
            dtype: "F32".to_owned(),
            bytes: 4,
        });
        let named: Vec<_> = named.collect();
        let shape = from_config_json(&model["config"]).unwrap();
        let walk = Walk::new(shape.clone(), Naming::HuggingFace, &named, None);
        assert!(walk.is_traced(), "{name}: {:?}", walk.problems);
        for position in (0..named.len()).step_by(5) {
            let mut fewer = named.clone();
            let gone = fewer.remove(position);
            let is_buffer = crate::companion::is_buffer(&gone) || Naming::HuggingFace.repeats_embedding(&gone.name);
            let walk = Walk::new(shape.clone(), Naming::HuggingFace, &fewer, None);
            assert_eq!(walk.is_traced(), is_buffer, "{name} without {}", gone.name);
        }
        traced += 1;
    }
    assert!(traced > 30, "{traced}");
}

#[test]
fn keys_and_values_of_layers_that_use_others_are_in_no_figure() {
    let facts: Value = serde_json::from_str(include_str!("testdata/later_families.json")).unwrap();
    let model = &facts["models"]["gemma3n_text-0"];
    let mut named = Vec::new();
    for entry in model["tensors"].as_array().unwrap() {
        let shape: Vec<u64> = serde_json::from_value(entry[1].clone()).unwrap();
        named.extend(tensors(&[(entry[0].as_str().unwrap(), &shape)]));
    }
    let mut config = model["config"].clone();
    config["num_kv_shared_layers"] = json!(2);
    let shape = from_config_json(&config).unwrap();
    let walk = Walk::new(shape.clone(), Naming::HuggingFace, &named, None);
    assert!(walk.is_traced(), "{:?}", walk.problems);
    let has = |tensor: &TensorInfo, words: &[&str]| words.iter().any(|word| tensor.name.contains(word));
    let is_idle =
        |tensor: &&TensorInfo| has(tensor, &["layers.3.", "layers.4."]) && has(tensor, &["k_proj", "v_proj", "k_norm"]);
    let idle: u64 = named.iter().filter(is_idle).map(TensorInfo::elements).sum();
    assert_eq!(walk.outside_elements, idle);
    let query = named
        .iter()
        .position(|tensor| tensor.name.ends_with("layers.4.self_attn.q_proj.weight"));
    named.remove(query.unwrap());
    assert!(!Walk::new(shape, Naming::HuggingFace, &named, None).is_traced());
}

#[test]
fn published_mixtral_checkpoints_name_each_expert() {
    let config = json!({
        "model_type": "mixtral", "hidden_size": 4, "num_attention_heads": 2, "num_key_value_heads": 1,
        "num_hidden_layers": 1, "intermediate_size": 3, "num_local_experts": 2, "vocab_size": 10,
    });
    let layer = |name: &str| format!("model.layers.0.{name}.weight");
    let mut all = tensors(&REST[..3]);
    let mut add = |name: &str, shape: &[u64]| all.extend(tensors(&[(layer(name).as_str(), shape)]));
    for (name, shape) in ATTENTION.iter().filter(|(name, _)| name.ends_with(".weight")) {
        add(name.trim_end_matches(".weight"), shape);
    }
    add("block_sparse_moe.gate", &[2, 4]);
    for expert in 0..2 {
        add(&format!("block_sparse_moe.experts.{expert}.w1"), &[3, 4]);
        add(&format!("block_sparse_moe.experts.{expert}.w2"), &[4, 3]);
        add(&format!("block_sparse_moe.experts.{expert}.w3"), &[3, 4]);
    }
    let shape = from_config_json(&config).unwrap();
    let walk = Walk::new(shape, Naming::HuggingFace, &all, None);
    assert!(walk.is_traced(), "{:?}", walk.problems);
}
