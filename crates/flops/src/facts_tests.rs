use proptest::prelude::*;
use serde_json::{Value, json};

use super::count::count;
use super::line::lines;
use super::schedule::Work;
use super::shape::{Activation, Biases, Experts, Head, ModelShape, Norms};
use super::{Flops, LatentCache, Logits, RequestTokens, Schedule, ShapeError, from_config_json};

fn reference() -> Value {
    serde_json::from_str(include_str!("testdata/reference.json")).unwrap()
}

fn families() -> Value {
    serde_json::from_str(include_str!("testdata/families.json")).unwrap()
}

fn models() -> Vec<(String, Value)> {
    let of = |facts: Value| facts["models"].as_object().unwrap().clone().into_iter();
    of(reference()).chain(of(families())).collect()
}

fn pass_of(shape: &ModelShape, [tokens, cached, rows]: [u64; 3]) -> u128 {
    let [tokens, cached, rows] = [tokens, cached, rows].map(u128::from);
    let work = Work {
        tokens,
        pairs: tokens * (tokens + cached),
        windowed_pairs: tokens * (tokens + cached),
        keys: tokens + cached,
        logit_rows: rows,
    };
    let lines = lines(shape, &shape.operators(), LatentCache::Compressed);
    let products = lines.iter().filter(|line| line.counts());
    products.map(|line| line.flops(&work)).sum()
}

#[test]
fn parameters_equal_pytorch_s_to_the_last_digit() {
    let models = models();
    for (name, model) in &models {
        let shape = from_config_json(&model["config"]).unwrap();
        let expected = |key: &str| model[key].as_u64().map(u128::from);
        assert_eq!(Some(shape.parameters_total()), expected("params_total"), "{name}");
        assert_eq!(Some(shape.parameters_active()), expected("params_active"), "{name}");
    }
    assert!(models.len() > 200, "{}", models.len());
}

#[test]
fn flops_equal_the_flop_counter_to_the_last_digit() {
    let mut checked = 0;
    for (name, model) in models() {
        let shape = from_config_json(&model["config"]).unwrap();
        for case in model["cases"].as_array().unwrap() {
            let [tokens, cached, rows, expected] = [0, 1, 2, 3].map(|index| case[index].as_u64().unwrap());
            let flops = pass_of(&shape, [tokens, cached, rows]);
            assert_eq!(flops, u128::from(expected), "{name} {case} {}", model["config"]);
            checked += 1;
        }
    }
    assert!(checked > 800, "{checked}");
}

/// The decode steps that transformers computes with its own cache, which forgets what lies outside of the window.
#[test]
fn decode_beyond_a_window_equals_the_flop_counter_over_a_sliding_cache() {
    let mut shorter = 0;
    for (name, model) in families()["models"].as_object().unwrap() {
        let shape = from_config_json(&model["config"]).unwrap();
        let cases = model["windowed"].as_array().map_or(&[][..], Vec::as_slice);
        for case in cases {
            let [tokens, cached, rows, expected] = [0, 1, 2, 3].map(|index| case[index].as_u64().unwrap());
            let input = u32::try_from(cached).unwrap();
            // A prefill of the cached tokens, then the one step: what is left is the step's.
            let schedule = |output| Schedule::uniform(RequestTokens { input, output }, 1, Logits::Last);
            let whole = |output| count(&shape, &shape.operators(), &schedule(output)).total();
            assert_eq!(
                whole(2) - whole(1),
                u128::from(expected),
                "{name} {case} {}",
                model["config"]
            );
            shorter += usize::from(u128::from(expected) < pass_of(&shape, [tokens, cached, rows]));
        }
    }
    assert!(shorter > 20, "{shorter}");
}

#[test]
fn the_published_figure_of_llama_2_7b_is_reproduced() {
    // calflops' README: 1.70 TFLOPs and 850.00 GMACs at 128 tokens.
    let config = &reference()["models"]["llama-2-7b"]["config"];
    let shape = from_config_json(config).unwrap();
    let tokens = RequestTokens { input: 128, output: 1 };
    let flops = count(&shape, &shape.operators(), &Schedule::uniform(tokens, 1, Logits::All));
    assert_eq!(flops.total(), 1_700_001_742_848);
}

#[test]
fn a_multimodal_model_counts_its_text_model() {
    let text = json!({"model_type": "gemma3_text", "hidden_size": 2560});
    let whole = json!({"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}});
    assert_eq!(from_config_json(&whole), from_config_json(&text));
}

#[test]
fn layers_listed_as_dense_have_no_experts() {
    let mixed = json!({"model_type": "qwen3_moe", "mlp_only_layers": [0, 1], "decoder_sparse_step": 2});
    let mixed = from_config_json(&mixed).unwrap();
    assert_eq!(mixed.sparse_layers(), [3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23]);
    let dense = from_config_json(&json!({"model_type": "qwen3_moe", "num_experts": 0})).unwrap();
    assert_eq!(dense.experts(), None);
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
        json!({"model_type": "phi", "partial_rotary_factor": 2}),
        json!({"model_type": "gemma2", "layer_types": "sliding"}),
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

prop_compose! {
    fn shapes()(
        hidden_size in 1..20_000u64, layers in 1..200u64, kv_heads in 1..32u64, group in 1..9u64, head_dim in 1..300u64,
        intermediate_size in 1..60_000u64, vocab_size in 1..300_000u64, tied: bool, gated_mlp: bool,
        experts in proptest::option::of((1..128u64, 1..128u64, 1..8_000u64)),
    ) -> ModelShape {
        ModelShape {
            family: "arbitrary", hidden_size, layers, heads: kv_heads * group, kv_heads, head_dim,
            value_head_dim: head_dim, intermediate_size, vocab_size, tied, head: Head::LanguageModel, gated_mlp,
            experts: experts.map(|(count, per_token, intermediate_size)| Experts {
                sparse_layers: (0..layers).collect(), count, per_token: per_token.min(count), intermediate_size,
                shared_intermediate_size: 0, shared_gate: false,
            }),
            latent: None, biases: Biases::default(),
            norms: Norms { of_layer: &["input_norm", "ffn_norm"], bias: false, query_key: false },
            learned_positions: 0, sliding: None, activation: Activation::Silu, rotary_dim: head_dim,
            scales_embedding: false, soft_caps: false,
        }.checked().unwrap()
    }
}

fn counted(shape: &ModelShape, input: u32, output: u32, logits: Logits) -> Flops {
    let schedule = Schedule::uniform(RequestTokens { input, output }, 1, logits);
    count(shape, &shape.operators(), &schedule)
}

proptest! {
    #[test]
    fn a_request_is_the_sum_of_its_passes(shape in shapes(), input in 1..2_000u32, output in 0..200u32) {
        let flops = counted(&shape, input, output, Logits::Last);
        let steps = 0..u64::from(output.saturating_sub(1));
        let decode: u128 = steps.map(|step| pass_of(&shape, [1, u64::from(input) + step, 1])).sum();
        prop_assert_eq!(flops.prefill, pass_of(&shape, [u64::from(input), 0, 1]));
        prop_assert_eq!(flops.decode, decode);
    }

    #[test]
    fn the_causal_count_is_that_of_token_after_token(shape in shapes(), input in 1..300u32) {
        let causal = counted(&shape, input, 1, Logits::All).causal_total;
        let steps: u128 = (0..u64::from(input)).map(|cached| pass_of(&shape, [1, cached, 1])).sum();
        prop_assert_eq!(causal, steps);
        prop_assert!(causal <= counted(&shape, input, 1, Logits::All).total());
    }

    #[test]
    fn active_parameters_never_exceed_all(shape in shapes()) {
        prop_assert!(shape.parameters_active() <= shape.parameters_total());
    }

    #[test]
    fn any_configuration_is_refused_or_counted(
        key in "hidden_size|num_hidden_layers|num_attention_heads|head_dim|vocab_size|num_experts|moe_intermediate_size|sliding_window|max_window_layers|n_shared_experts",
        value in any::<u64>(), family in "qwen3_moe|llama|deepseek_v2|qwen2_moe|gemma3|mistral",
    ) {
        let config = json!({"model_type": family, "num_experts_per_tok": 2, "use_sliding_window": true, key: value});
        if let Ok(shape) = from_config_json(&config) {
            let flops = counted(&shape, u32::MAX, u32::MAX, Logits::All);
            prop_assert!(flops.total() > 0 && flops.unwindowed_total >= flops.total());
        }
    }
}
