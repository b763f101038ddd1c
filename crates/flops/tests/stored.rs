//! Tests of what files contain in addition to a configuration: heads of reward models, T5's lm_head, an encoder without
//! its decoder, files with other names.

mod cases {
    pub mod folder;
    pub mod input;
}

use std::fmt::Write as _;

use cases::folder::{QUESTION, answer};
use cases::input;
use joulemark_flops::model_files::{ModelFiles, describe, describe_config};
use joulemark_flops::{FlopsAnswer, OperatorKind};
use serde_json::{Map, Value, json};

const LAYERS: u64 = 2;
/// Number of parameters without embedding and head.
const IN_LAYERS: u64 = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64 + 2 * 64) + 64;
const MATRIX: u64 = 512 * 64;

/// Names of tensors with their shapes.
type Shapes<'a> = [(&'a str, &'a [u64])];

fn llama(class: &str) -> Value {
    json!({
        "model_type": "llama", "architectures": [class], "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512,
        "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    })
}

fn tensors(outer: &Shapes<'_>, layer: &Shapes<'_>, prefix: &str) -> Map<String, Value> {
    let mut tensors = Map::new();
    for (name, shape) in outer {
        tensors.insert((*name).to_owned(), json!(["BF16", shape]));
    }
    for number in 0..LAYERS {
        for (name, shape) in layer {
            tensors.insert(format!("{prefix}{number}.{name}"), json!(["BF16", shape]));
        }
    }
    tensors
}

fn of_llama(outer: &Shapes<'_>) -> Map<String, Value> {
    let around: [(&str, &[u64]); 2] = [("model.embed_tokens.weight", &[512, 64]), ("model.norm.weight", &[64])];
    let layer: [(&str, &[u64]); 9] = [
        ("self_attn.q_proj.weight", &[64, 64]),
        ("self_attn.k_proj.weight", &[32, 64]),
        ("self_attn.v_proj.weight", &[32, 64]),
        ("self_attn.o_proj.weight", &[64, 64]),
        ("mlp.gate_proj.weight", &[128, 64]),
        ("mlp.up_proj.weight", &[128, 64]),
        ("mlp.down_proj.weight", &[64, 128]),
        ("input_layernorm.weight", &[64]),
        ("post_attention_layernorm.weight", &[64]),
    ];
    tensors(&[&around[..], outer].concat(), &layer, "model.layers.")
}

fn traced(config: &Value, tensors: &Map<String, Value>) -> FlopsAnswer {
    let answer = answer(config, tensors);
    assert_eq!(answer.flops_method.unwrap().as_str(), "traced", "{:?}", answer.notes);
    answer
}

fn parameters(answer: &FlopsAnswer) -> u64 {
    answer.params_total.unwrap().try_into().unwrap()
}

fn makes_no_text(answer: &FlopsAnswer) {
    let notes = answer.notes.join("; ");
    assert!(notes.contains("no text is generated"), "{notes}");
    assert_eq!(
        (answer.flops_decode, answer.flops_prefill),
        (Some(0), answer.flops_total)
    );
    assert_eq!((answer.bytes_per_token, answer.weight_bytes_per_token), (None, None));
    let of_input = answer.flops_total.unwrap() as f64 / f64::from(QUESTION.tokens.input);
    assert_eq!(answer.flop_per_token, Some(of_input), "output tokens pass no layer");
    assert!(answer.bytes_read_total.is_some_and(|bytes| bytes > 0.0));
}

#[test]
fn scores_of_one_layer_and_of_several_are_counted_as_the_files_have_them() {
    let dense: [(&str, &[u64]); 2] = [("score.0.weight", &[64, 64]), ("score.0.bias", &[64])];
    // The class, its tensors, and the number of parameters of its matrices.
    let heads: [(&str, &Shapes<'_>, u64, u64); 6] = [
        (
            "LlamaForSequenceClassification",
            &[("score.weight", &[3, 64])],
            3 * 64,
            0,
        ),
        (
            "Qwen2ForRewardModel",
            &[dense[0], dense[1], ("score.2.weight", &[1, 64]), ("score.2.bias", &[1])],
            64 * 64 + 64,
            64 + 1,
        ),
        (
            "LlamaForSequenceClassification",
            &[
                ("classifier.dense.weight", &[64, 64]),
                ("classifier.dense.bias", &[64]),
                ("classifier.out_proj.weight", &[5, 64]),
                ("classifier.out_proj.bias", &[5]),
            ],
            64 * 64 + 64,
            5 * 64 + 5,
        ),
        ("LlamaForRewardModel", &[("v_head.weight", &[1, 64])], 64, 0),
        (
            "LlamaForTokenClassification",
            &[("score.weight", &[9, 64]), ("score.bias", &[9])],
            9 * 64,
            9,
        ),
        // An unknown class: the files show its head.
        ("LlamaForCausalLM", &[("regression_head.weight", &[1, 64])], 64, 0),
    ];
    for (class, tensors, first, second) in heads {
        let answer = traced(&llama(class), &of_llama(tensors));
        assert_eq!(
            parameters(&answer),
            MATRIX + IN_LAYERS + first + second,
            "{class} {tensors:?}"
        );
        makes_no_text(&answer);
        let matrices = tensors.iter().filter(|(_, shape)| shape.len() == 2);
        let products: u64 = matrices.map(|(_, shape)| 2 * 8 * shape.iter().product::<u64>()).sum();
        let counted = answer
            .operators
            .iter()
            .filter(|operator| operator.operator.starts_with("score"));
        assert_eq!(
            counted.map(|operator| operator.flops_prefill).sum::<u128>(),
            u128::from(products)
        );
    }
}

#[test]
fn a_value_head_beside_lm_head_leaves_a_model_for_text() {
    let heads: [(&str, &[u64]); 3] = [
        ("lm_head.weight", &[512, 64]),
        ("v_head.summary.weight", &[1, 64]),
        ("v_head.summary.bias", &[1]),
    ];
    let answer = traced(&llama("LlamaForCausalLM"), &of_llama(&heads));
    assert_eq!(parameters(&answer), 2 * MATRIX + IN_LAYERS + 64 + 1);
    assert!(answer.flops_decode.unwrap() > 0 && answer.bytes_per_token.is_some());
    assert!(!answer.notes.join("; ").contains("no text"), "{:?}", answer.notes);
}

#[test]
fn files_without_lm_head_are_counted_without_and_not_loaded() {
    let answer = traced(&llama("LlamaForCausalLM"), &of_llama(&[]));
    assert_eq!(parameters(&answer), MATRIX + IN_LAYERS);
    makes_no_text(&answer);
    let folder = tempfile::tempdir().unwrap();
    let input = json!({"form": "folder", "files": {"model.safetensors": of_llama(&[])}});
    let path = input::write(folder.path(), &input, &llama("LlamaForCausalLM"));
    let problems = ModelFiles::open(&path).unwrap().loadable_problems().join("; ");
    assert!(problems.contains("its files contain no lm_head"), "{problems}");
    // Where more is missing, no conclusion is drawn.
    let mut fewer = of_llama(&[]);
    fewer.remove("model.layers.1.mlp.up_proj.weight");
    let answer = self::answer(&llama("LlamaForCausalLM"), &fewer);
    assert_eq!(parameters(&answer), 2 * MATRIX + IN_LAYERS);
    assert_eq!(answer.flops_method.unwrap().as_str(), "architecture");
}

fn t5(tied: bool) -> Value {
    json!({
        "model_type": "t5", "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": LAYERS, "num_heads": 4,
        "vocab_size": 512, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": tied, "torch_dtype": "bfloat16",
    })
}

const ATTENTION: u64 = 4 * 64 * 64;
const FEED_FORWARD: u64 = 3 * 64 * 128;
const ENCODER: u64 = LAYERS * (ATTENTION + FEED_FORWARD + 2 * 64) + 64 + 32 * 4;
const DECODER: u64 = LAYERS * (2 * ATTENTION + FEED_FORWARD + 3 * 64) + 64 + 32 * 4;

fn half(name: &str, attentions: &[&str]) -> Map<String, Value> {
    let mut tensors = Map::new();
    let mut add = |name: String, shape: &[u64]| tensors.insert(name, json!(["BF16", shape]));
    for block in 0..LAYERS {
        let prefix = format!("{name}.block.{block}.layer");
        for (layer, attention) in attentions.iter().enumerate() {
            for part in ["q", "k", "v", "o"] {
                add(format!("{prefix}.{layer}.{attention}.{part}.weight"), &[64, 64]);
            }
            add(format!("{prefix}.{layer}.layer_norm.weight"), &[64]);
        }
        let last = format!("{prefix}.{}", attentions.len());
        add(format!("{last}.DenseReluDense.wi_0.weight"), &[128, 64]);
        add(format!("{last}.DenseReluDense.wi_1.weight"), &[128, 64]);
        add(format!("{last}.DenseReluDense.wo.weight"), &[64, 128]);
        add(format!("{last}.layer_norm.weight"), &[64]);
    }
    let table = format!("{name}.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
    add(table, &[32, 4]);
    add(format!("{name}.final_layer_norm.weight"), &[64]);
    tensors
}

fn of_t5(decoder: bool, outer: &[&str]) -> Map<String, Value> {
    let mut tensors = half("encoder", &["SelfAttention"]);
    if decoder {
        tensors.extend(half("decoder", &["SelfAttention", "EncDecAttention"]));
    }
    tensors.extend(
        outer
            .iter()
            .map(|name| ((*name).to_owned(), json!(["BF16", [512, 64]]))),
    );
    tensors
}

#[test]
fn the_files_decide_whether_t5_has_a_lm_head_of_its_own() {
    for tied in [true, false] {
        let own = traced(&t5(tied), &of_t5(true, &["shared.weight", "lm_head.weight"]));
        assert_eq!(parameters(&own), 2 * MATRIX + ENCODER + DECODER);
        let repeated = [
            "shared.weight",
            "encoder.embed_tokens.weight",
            "decoder.embed_tokens.weight",
        ];
        for outer in [&repeated[..], &repeated[..1]] {
            let none = traced(&t5(tied), &of_t5(true, outer));
            assert_eq!(parameters(&none), MATRIX + ENCODER + DECODER);
            assert_eq!(none.flops_total, own.flops_total);
        }
        // Without files the configuration decides.
        let alone = describe_config(&t5(tied), "").answer("", &QUESTION);
        let expected = if tied { MATRIX } else { 2 * MATRIX } + ENCODER + DECODER;
        assert_eq!(parameters(&alone), expected);
    }
}

#[test]
fn an_encoder_of_t5_alone_is_counted_as_that() {
    let whole = traced(&t5(true), &of_t5(true, &["shared.weight"]));
    let of_encoder = whole
        .operators
        .iter()
        .filter(|operator| operator.operator.starts_with("encoder") && operator.kind != OperatorKind::Elementwise);
    let expected: u128 = of_encoder.map(|operator| operator.flops_prefill).sum();
    let files = of_t5(false, &["shared.weight", "encoder.embed_tokens.weight"]);
    let mut by_class = t5(false);
    by_class["architectures"] = json!(["T5EncoderModel"]);
    for answer in [
        traced(&by_class, &files),
        traced(&t5(false), &files),
        describe_config(&by_class, "").answer("", &QUESTION),
    ] {
        assert_eq!(parameters(&answer), MATRIX + ENCODER);
        assert_eq!(answer.flops_total, Some(expected));
        assert!(
            answer.notes.join("; ").contains("only the encoder"),
            "{:?}",
            answer.notes
        );
        makes_no_text(&answer);
    }
}

#[test]
fn classes_of_t5_that_work_otherwise_are_named() {
    let mut config = t5(true);
    config["architectures"] = json!(["T5ForSequenceClassification"]);
    let notes = describe_config(&config, "t5-1b").answer("", &QUESTION).notes.join("; ");
    assert!(notes.contains("t5 as T5ForSequenceClassification"), "{notes}");
}

#[test]
fn files_in_mistral_s_own_words_are_traced() {
    let layer: [(&str, &[u64]); 9] = [
        ("attention.wq.weight", &[64, 64]),
        ("attention.wk.weight", &[32, 64]),
        ("attention.wv.weight", &[32, 64]),
        ("attention.wo.weight", &[64, 64]),
        ("feed_forward.w1.weight", &[128, 64]),
        ("feed_forward.w3.weight", &[128, 64]),
        ("feed_forward.w2.weight", &[64, 128]),
        ("attention_norm.weight", &[64]),
        ("ffn_norm.weight", &[64]),
    ];
    let outer: [(&str, &[u64]); 3] = [
        ("tok_embeddings.weight", &[512, 64]),
        ("norm.weight", &[64]),
        ("output.weight", &[512, 64]),
    ];
    let mut config = llama("MistralForCausalLM");
    config["model_type"] = json!("mistral");
    let answer = traced(&config, &tensors(&outer, &layer, "layers."));
    assert_eq!(parameters(&answer), 2 * MATRIX + IN_LAYERS);
    // InternLM2 uses these names with one matrix for query, key and value.
    let mut fused = vec![("attention.wqkv.weight", &[128, 64][..])];
    fused.extend(&layer[3..]);
    config["model_type"] = json!("internlm2");
    config["bias"] = json!(false);
    let mut named = Map::new();
    for (name, tensor) in tensors(&outer[..2], &fused, "layers.") {
        named.insert(format!("model.{name}"), tensor);
    }
    named.insert("output.weight".to_owned(), json!(["BF16", [512, 64]]));
    assert_eq!(parameters(&traced(&config, &named)), 2 * MATRIX + IN_LAYERS);
}

#[test]
fn remote_code_s_names_of_families_are_known() {
    for (model_type, family) in [
        ("llava_llama", "llama"),
        ("llava_mistral", "mistral"),
        ("llava_qwen", "qwen2"),
        ("llava_mpt", "mpt"),
        ("llava_gemma", "gemma"),
        ("phi3_v", "phi3"),
        ("minimax_text_01", "minimax"),
        ("minimax_m1", "minimax"),
        ("baichuan", "llama"),
        ("deepseek", "deepseek"),
    ] {
        let shape = joulemark_flops::from_config_json(&json!({"model_type": model_type, "num_experts_per_tok": 2}));
        assert_eq!(shape.unwrap().family(), family, "{model_type}");
    }
    let mut vision = of_llama(&[("lm_head.weight", &[512, 64])]);
    for name in [
        "model.mm_projector.0.weight",
        "model.vision_tower.vision_tower.vision_model.a.weight",
        "model.image_newline",
    ] {
        vision.insert(name.to_owned(), json!(["BF16", [8, 4]]));
    }
    let mut config = llama("LlavaLlamaForCausalLM");
    config["model_type"] = json!("llava_llama");
    assert_eq!(parameters(&traced(&config, &vision)), 2 * MATRIX + IN_LAYERS);
}

#[test]
fn deepseek_without_latent_attention_has_llama_s() {
    // The text model of DeepSeek-VL2-Tiny.
    let config = json!({
        "model_type": "deepseek_v2", "use_mla": false, "hidden_size": 1280, "intermediate_size": 6848,
        "moe_intermediate_size": 896, "num_hidden_layers": 12, "num_attention_heads": 10, "num_key_value_heads": 10,
        "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6, "first_k_dense_replace": 1,
        "q_lora_rank": null, "kv_lora_rank": null, "qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "v_head_dim": 0,
        "vocab_size": 129_280,
    });
    let answer = describe_config(&config, "").answer("", &QUESTION);
    assert_eq!(parameters(&answer), 2_934_734_080);
    assert!(answer.operators.iter().any(|operator| operator.operator == "k_proj"));
    let mut latent = config;
    latent["use_mla"] = json!("no");
    let notes = describe_config(&latent, "").answer("", &QUESTION).notes.join("; ");
    assert!(
        notes.contains("`use_mla` is \"no\"; accepted is true or false"),
        "{notes}"
    );
}

#[test]
fn a_path_within_a_folder_works_or_says_what_to_pass() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let config = llama("LlamaForCausalLM").to_string();
    put("model/config.json", &config);
    let half_precision = "x".repeat((2 * (2 * MATRIX + IN_LAYERS)) as usize);
    for name in [
        "model/pytorch_model.bin",
        "model/pytorch_model.bin.index.json",
        "model/consolidated.00.pth",
    ] {
        let path = put(name, if name.ends_with(".json") { "{}" } else { &half_precision });
        let answer = describe(&path, "").unwrap().answer("", &QUESTION);
        assert_eq!(
            answer.flops_confidence,
            Some(joulemark_flops::Confidence::Medium),
            "{name}: {:?}",
            answer.notes
        );
        assert_eq!(parameters(&answer), 2 * MATRIX + IN_LAYERS, "{name}");
    }
    put("mistral/params.json", r#"{"dim": 64}"#);
    put("mistral/consolidated.safetensors", "");
    let mut all = String::new();
    for (path, words) in [
        (
            put("alone/pytorch_model.bin", "x"),
            "pass a folder that contains config.json as well",
        ),
        (
            put("model/training_args.bin", "x"),
            "pass the folder with config.json and the weights",
        ),
        (
            put("model/tokenizer.json", r#"{"model": {}}"#),
            "pass the config.json in the same folder",
        ),
        (
            folder.path().join("mistral"),
            "pass the folder of the same model with config.json",
        ),
    ] {
        let error = describe(&path, "").unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        writeln!(all, "{error}").unwrap();
    }
    assert!(!all.contains("PathBuf") && !all.contains("Some("), "{all}");
}
