//! Tests of models of unknown families: the share that each token uses is counted, or the reason is given why it cannot
//! be.

mod cases {
    pub mod folder;
    mod input;
}

use cases::folder;
use joulemark_flops::{Confidence, FlopsAnswer};
use serde_json::{Map, Value, json};

const LAYERS: u64 = 2;
const EXPERTS: u64 = 4;
/// Number of weights of the embedding, the norm, and each layer's attention.
const PLAIN: u128 = 512 * 64 + 64 + 2 * 4 * 64 * 64;

/// A tensor's name after the layer's number, and its shape.
type InLayer<'a> = (&'a str, &'a [u64]);

fn answer(more: &Value, in_layers: &[InLayer<'_>]) -> FlopsAnswer {
    let mut config = json!({
        "model_type": "of_no_family", "hidden_size": 64, "num_hidden_layers": LAYERS, "vocab_size": 512,
        "num_attention_heads": 4, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
    });
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let mut tensors = Map::new();
    let mut add = |name: String, shape: &[u64]| tensors.insert(name, json!(["BF16", shape]));
    add("model.embed_tokens.weight".into(), &[512, 64]);
    add("model.norm.weight".into(), &[64]);
    for layer in 0..LAYERS {
        for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
            add(format!("model.layers.{layer}.self_attn.{name}.weight"), &[64, 64]);
        }
        for (name, shape) in in_layers {
            let copies = if name.contains("{}") { EXPERTS } else { 1 };
            for copy in 0..copies {
                let name = name.replace("{}", &copy.to_string());
                add(format!("model.layers.{layer}.{name}"), shape);
            }
        }
    }
    folder::answer(&config, &tensors)
}

#[test]
fn a_plain_stack_is_counted_by_its_tensors() {
    let answer = answer(&json!({}), &[("mlp.up_proj.weight", &[128, 64])]);
    assert_eq!(answer.flops_confidence, Some(Confidence::Medium), "{:?}", answer.notes);
    assert_eq!(answer.params_total, Some(PLAIN + 2 * 128 * 64));
}

#[test]
fn only_the_chosen_experts_work_however_they_are_named_and_stated() {
    let tensors: [&[InLayer<'_>]; 8] = [
        &[("ffn.local_{}.w1", &[128, 64]), ("ffn.gate.weight", &[4, 64])],
        &[("mlp.expert_{}.up_proj.weight", &[128, 64])],
        &[("mlp.experts_{}.up_proj.weight", &[128, 64])],
        &[("mlp.experts.{}.up_proj.weight", &[128, 64])],
        &[("moe.w1", &[4, 128, 64]), ("moe.router.weight", &[4, 64])],
        &[("block_sparse_moe.input_linear.weight", &[4, 128, 64])],
        &[("mlp.switch_mlp.up_proj.weight", &[4, 128, 64])],
        &[("ffn.experts.mlp.w1", &[512, 64])],
    ];
    let words = [
        json!({"num_experts": EXPERTS, "num_experts_per_tok": 1}),
        json!({"n_routed_experts": EXPERTS, "moe_topk": 1}),
        json!({"ffn_config": {"moe_num_experts": EXPERTS, "moe_top_k": 1}}),
    ];
    for in_layers in tensors {
        for config in &words {
            let answer = answer(config, in_layers);
            let told = format!("{in_layers:?} {config}: {:?}", answer.notes);
            assert_eq!(answer.flops_confidence, Some(Confidence::Medium), "{told}");
            let idle = 2 * 3 * 128 * 64;
            assert_eq!(
                answer.params_active,
                answer.params_total.map(|total| total - idle),
                "{told}"
            );
        }
    }
}

#[test]
fn what_tensors_do_not_show_lowers_the_confidence_and_is_named() {
    let mlp: &[InLayer<'_>] = &[("mlp.up_proj.weight", &[128, 64])];
    let experts: &[InLayer<'_>] = &[("mlp.experts.{}.up_proj.weight", &[128, 64])];
    for (config, in_layers, words) in [
        (json!({}), experts, "is not stated"),
        (
            json!({"num_experts": 8, "num_experts_per_tok": 1}),
            experts,
            "8 experts, the files 4",
        ),
        (json!({"num_experts": 4, "num_experts_per_tok": 1}), mlp, "do not show"),
        (
            json!({"num_experts": 4, "num_experts_per_tok": 1, "zero_expert_num": 2}),
            experts,
            "zero_expert_num",
        ),
        (json!({"total_ut_steps": 4}), mlp, "total_ut_steps"),
        (json!({"ngram_vocab_size": 9000}), mlp, "ngram_vocab_size"),
        (json!({"is_encoder_decoder": true}), mlp, "is_encoder_decoder"),
        (json!({"vision_config": {"depth": 2}}), mlp, "vision_config"),
        (json!({"audio_config": {"depth": 2}}), mlp, "audio_config"),
        (json!({"layer_types": ["full_attention"]}), mlp, "layer_types"),
        (
            json!({"hybrid_override_pattern": "M*M"}),
            mlp,
            "hybrid_override_pattern",
        ),
        (json!({"num_hidden_layers": 3}), mlp, "3 layers, the files 2"),
        (json!({}), &[("mlp.adapter_up.weight", &[8, 64])], "adapter_up"),
    ] {
        let answer = answer(&config, in_layers);
        let said = answer.notes.join(" ");
        assert_eq!(answer.flops_confidence, Some(Confidence::Low), "{config}: {said}");
        assert!(said.contains(words) && said.len() < 400, "{config}: {said}");
    }
}
