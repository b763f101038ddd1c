use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::count::count;
use super::line::lines;
use super::shape::{Activation, Biases, Experts, Head, ModelShape, Norms, Particulars, QueryKeyNorm};
use super::units::{Unit, Units};
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
    let mut work = Units::of(Unit::Token, tokens)
        .with(Unit::Pair, tokens * (tokens + cached))
        .with(Unit::WindowedPair, tokens * (tokens + cached))
        .with(Unit::Key, tokens + cached)
        .with(Unit::LogitRow, rows);
    if shape.passes().chunk > 0 || shape.particulars.recurrent.is_some() {
        work = work.with(if cached == 0 { Unit::Prefill } else { Unit::Step }, 1);
    }
    let chunk = u128::from(shape.passes().chunk);
    if cached == 0 && chunk > 0 {
        let chunks = tokens.div_ceil(chunk);
        let lengths = (0..chunks).map(|index| (tokens - index * chunk).min(chunk));
        work = work
            .with(Unit::ChunkedToken, chunks * chunk)
            .with(Unit::ChunkPair, (chunks + 1) * (chunks + 1))
            .with(Unit::BlockPair, lengths.map(|length| length * length).sum());
    }
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

fn later_families() -> Value {
    serde_json::from_str(include_str!("testdata/later_families.json")).unwrap()
}

/// Compares parameters, and whole requests with transformers' own cache, for families other than Llama and similar
/// ones.
#[test]
fn later_families_equal_pytorch_to_the_last_digit() {
    let mut families = BTreeSet::new();
    for (name, model) in later_families()["models"].as_object().unwrap() {
        let shape = from_config_json(&model["config"]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let said = format!("{name} {}", model["config"]);
        let expected = |key: &str| model[key].as_u64().map(u128::from);
        assert_eq!(Some(shape.parameters_total()), expected("params_total"), "{said}");
        assert_eq!(Some(shape.parameters_active()), expected("params_active"), "{said}");
        for request in model["requests"].as_array().unwrap() {
            let [input, output, prefill, decode] = [0, 1, 2, 3].map(|index| request[index].as_u64().unwrap());
            let flops = counted(&shape, input as u32, output as u32, Logits::Last);
            let expected = (u128::from(prefill), u128::from(decode));
            assert_eq!((flops.prefill, flops.decode), expected, "{said} {request}");
        }
        families.insert(shape.family());
    }
    assert!(families.len() > 30, "{families:?}");
}

/// Compares the decode steps that transformers computes with its own cache, which drops tokens outside the window.
#[test]
fn decode_beyond_a_window_equals_the_flop_counter_over_a_sliding_cache() {
    let mut shorter = 0;
    for (name, model) in families()["models"].as_object().unwrap() {
        let shape = from_config_json(&model["config"]).unwrap();
        let cases = model["windowed"].as_array().map_or(&[][..], Vec::as_slice);
        for case in cases {
            let [tokens, cached, rows, expected] = [0, 1, 2, 3].map(|index| case[index].as_u64().unwrap());
            let input = u32::try_from(cached).unwrap();
            // A prefill of the cached tokens, then one step; the difference is the step.
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
fn public_configurations_have_their_published_number_of_parameters() {
    let table: Value = serde_json::from_str(include_str!("testdata/published.json")).unwrap();
    let rows = table["models"].as_array().unwrap();
    let mut wrong = Vec::new();
    for row in rows {
        let (name, published) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
        let shape = from_config_json(&row[2]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let digits = published.split_once('.').map_or(0, |(_, digits)| digits.len());
        let billions = shape.parameters_total() as f64 / 1e9;
        if format!("{billions:.digits$}") != published {
            wrong.push(format!("{name}: {billions} instead of {published}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(rows.len() >= 60, "{}", rows.len());
}

#[test]
fn a_multimodal_model_counts_its_text_model() {
    let text = json!({"model_type": "gemma3_text", "hidden_size": 2560});
    let whole = json!({"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}});
    assert_eq!(from_config_json(&whole), from_config_json(&text));
    // The text model's part has another name or no model type, or its keys stand next to those of a vision tower.
    let text = json!({"model_type": "llama", "hidden_size": 2048, "num_attention_heads": 16});
    let bare = json!({"hidden_size": 2048, "num_attention_heads": 16});
    for whole in [
        json!({"model_type": "multi_modality", "language_config": text}),
        json!({"model_type": "internvl_chat", "llm_config": text}),
        json!({"model_type": "llava", "text_config": bare}),
    ] {
        assert_eq!(from_config_json(&whole), from_config_json(&text), "{whole}");
    }
    let flat = json!({"model_type": "qwen2_vl", "hidden_size": 3584, "vision_config": {"hidden_size": 1280}});
    assert_eq!(from_config_json(&flat).unwrap().hidden_size(), 3584);
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
        from_config_json(&json!({"model_type": "rwkv"})),
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
            value_head_dim: head_dim, intermediate_size, vocab_size, tied, head: Head::LANGUAGE_MODEL, gated_mlp,
            experts: experts.map(|(count, per_token, intermediate_size)| Experts {
                sparse_layers: (0..layers).collect(), count, per_token: per_token.min(count), intermediate_size,
                shared_intermediate_size: 0, shared_gate: false,
            }),
            latent: None, biases: Biases::default(),
            norms: Norms {
                of_layer: &["input_norm", "ffn_norm"], bias: false, weight: true, query_key: QueryKeyNorm::Absent,
                query_key_bias: false,
            },
            learned_positions: 0, sliding: None, activation: Activation::Silu, rotary_dim: head_dim,
            scales_embedding: false, soft_caps: false, particulars: Particulars::default(),
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
