use proptest::prelude::*;
use serde_json::{Value, json};

use super::shape::{Biases, Experts, ModelShape, Norms};
use super::{
    Flops, Logits, RequestTokens, ShapeError, count_decode_step, count_prefill, count_request, from_config_json,
};

fn reference() -> Value {
    serde_json::from_str(include_str!("testdata/reference.json")).unwrap()
}

#[test]
fn parameters_equal_the_reference_to_the_last_digit() {
    for (name, model) in reference()["models"].as_object().unwrap() {
        let shape = from_config_json(&model["config"]).unwrap();
        assert_eq!(
            Some(shape.parameters_total()),
            model["params_total"].as_u64().map(u128::from),
            "{name}"
        );
        assert_eq!(
            Some(shape.parameters_active()),
            model["params_active"].as_u64().map(u128::from),
            "{name}"
        );
    }
}

#[test]
fn flops_equal_the_flop_counter_to_the_last_digit() {
    let mut checked = 0;
    for (name, model) in reference()["models"].as_object().unwrap() {
        let shape = from_config_json(&model["config"]).unwrap();
        for case in model["cases"].as_array().unwrap() {
            let number = |index: usize| case[index].as_u64().unwrap();
            let [tokens, cached, logit_rows] = [0, 1, 2].map(|index| u32::try_from(number(index)).unwrap());
            let flops = match (cached, logit_rows == tokens) {
                (0, true) => count_prefill(&shape, tokens, Logits::All),
                (0, false) => count_prefill(&shape, tokens, Logits::Last),
                _ => count_decode_step(&shape, cached),
            };
            assert_eq!(flops, u128::from(number(3)), "{name} {case}");
            checked += 1;
        }
    }
    assert_eq!(checked, 45);
}

#[test]
fn other_families_have_their_published_numbers_of_parameters() {
    let published: Value = serde_json::from_str(include_str!("testdata/published.json")).unwrap();
    for (name, model) in published["models"].as_object().unwrap() {
        let shape = from_config_json(&model["config"]).unwrap();
        assert_eq!(
            Some(shape.parameters_total()),
            model["params_total"].as_u64().map(u128::from),
            "{name}"
        );
    }
}

#[test]
fn a_multimodal_model_counts_its_text_model() {
    let text = json!({"model_type": "gemma3_text", "hidden_size": 2560});
    let whole = json!({"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}});
    assert_eq!(from_config_json(&whole), from_config_json(&text));
}

#[test]
fn layers_listed_as_dense_have_no_experts() {
    let sparse = from_config_json(&json!({"model_type": "qwen3_moe"})).unwrap();
    let mixed = json!({"model_type": "qwen3_moe", "mlp_only_layers": [0, 1], "decoder_sparse_step": 2});
    let mixed = from_config_json(&mixed).unwrap();
    assert_eq!(sparse.experts.unwrap().sparse_layers, 24);
    assert_eq!(mixed.experts.unwrap().sparse_layers, 11);
}

#[test]
fn values_that_no_model_has_are_refused() {
    for config in [
        json!({"model_type": "llama", "hidden_size": -1}),
        json!({"model_type": "llama", "hidden_size": u64::MAX}),
        json!({"model_type": "llama", "num_attention_heads": 0}),
        json!({"model_type": "llama", "num_key_value_heads": 5}),
        json!({"model_type": "llama", "tie_word_embeddings": "yes"}),
        json!({"model_type": "mixtral", "num_experts_per_tok": 9}),
        json!({"model_type": "qwen3_moe", "num_hidden_layers": u64::MAX}),
    ] {
        assert!(
            matches!(from_config_json(&config), Err(ShapeError::BadValue { .. })),
            "{config}"
        );
    }
    assert!(matches!(
        from_config_json(&json!({"model_type": "deepseek_v2"})),
        Err(ShapeError::MissingKey(_))
    ));
    assert!(matches!(
        from_config_json(&json!({"model_type": "mamba"})),
        Err(ShapeError::UnknownFamily(_))
    ));
    assert!(matches!(from_config_json(&json!({})), Err(ShapeError::MissingKey(_))));
    assert!(from_config_json(&json!([])).is_err());
}

#[test]
fn a_request_without_output_is_its_prefill() {
    let shape = from_config_json(&json!({"model_type": "gpt2"})).unwrap();
    let prefill = count_prefill(&shape, 12, Logits::Last);
    for output in [0, 1] {
        assert_eq!(
            count_request(&shape, RequestTokens { input: 12, output }),
            Flops { prefill, decode: 0 }
        );
    }
}

prop_compose! {
    fn shapes()(
        hidden_size in 1..20_000u64, layers in 1..200u64, kv_heads in 1..32u64, group in 1..9u64, head_dim in 1..300u64,
        intermediate_size in 1..60_000u64, vocab_size in 1..300_000u64, tied: bool, gated_mlp: bool,
        experts in proptest::option::of((1..128u64, 1..128u64, 1..8_000u64)),
    ) -> ModelShape {
        ModelShape {
            family: "arbitrary", hidden_size, layers, heads: kv_heads * group, kv_heads, head_dim,
            value_head_dim: head_dim, intermediate_size, vocab_size, tied, gated_mlp,
            experts: experts.map(|(count, per_token, intermediate_size)| Experts {
                sparse_layers: layers, count, per_token: per_token.min(count), intermediate_size,
                shared_intermediate_size: 0, shared_gate: false,
            }),
            latent: None, biases: Biases::default(), norms: Norms { per_layer: 2, vectors: 1, query_key: false },
            learned_positions: 0, sliding_window: None,
        }.checked().unwrap()
    }
}

proptest! {
    #[test]
    fn a_request_is_the_sum_of_its_steps(shape in shapes(), input in 0..2_000u32, output in 0..200u32) {
        let steps = 0..output.saturating_sub(1);
        let request = count_request(&shape, RequestTokens { input, output });
        prop_assert_eq!(request.prefill, count_prefill(&shape, input, Logits::Last));
        prop_assert_eq!(request.decode, steps.map(|step| count_decode_step(&shape, input + step)).sum::<u128>());
        prop_assert_eq!(request.total(), request.prefill + request.decode);
    }

    #[test]
    fn a_decode_step_is_one_more_token_of_prefill_unseen_by_earlier_ones(shape in shapes(), cached in 0..5_000u32) {
        let grown = count_prefill(&shape, cached + 1, Logits::All) - count_prefill(&shape, cached, Logits::All);
        let column = u128::from(cached) * 4 * u128::from(shape.layers * shape.heads * shape.head_dim);
        prop_assert_eq!(count_decode_step(&shape, cached), grown - column);
    }

    #[test]
    fn active_parameters_never_exceed_all(shape in shapes()) {
        prop_assert!(shape.parameters_active() <= shape.parameters_total());
    }

    #[test]
    fn any_configuration_is_refused_or_counted(
        key in "hidden_size|num_hidden_layers|num_attention_heads|head_dim|vocab_size|num_experts|moe_intermediate_size",
        value in any::<u64>(), family in "qwen3_moe|llama|deepseek_v2|qwen2_moe",
    ) {
        let config = json!({"model_type": family, "num_experts_per_tok": 2, key: value});
        if let Ok(shape) = from_config_json(&config) {
            let tokens = RequestTokens { input: u32::MAX, output: u32::MAX };
            prop_assert!(count_request(&shape, tokens).total() > 0);
        }
    }
}
