//! A Llama model of 140 thousand random weights in Hugging Face's format, so that tests run the real engine on
//! safetensors without a download. Its output is noise, the same for the same seed.

use std::fs;
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::{Map, Value, json};

const HIDDEN: usize = 64;
const LAYERS: usize = 2;
const HEADS: usize = 4;
const KEY_VALUE_HEADS: usize = 2;
const INTERMEDIATE: usize = 128;
const CONTEXT: usize = 256;

/// Number of tokens: 256 bytes, then the merges, then the special tokens.
pub const VOCABULARY: usize = 512;
const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const MERGES: usize = VOCABULARY - 256 - SPECIAL.len();
const END_OF_TEXT: usize = VOCABULARY - 3;
const IM_START: usize = VOCABULARY - 2;
const IM_END: usize = VOCABULARY - 1;

const CHAT_TEMPLATE: &str = "{% for message in messages %}\
    {{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// Writes a model folder that the engine loads: weights, configuration, tokenizer and chat template.
pub fn write(dir: &Path, seed: u64) {
    fs::create_dir_all(dir).expect("the model folder can be made");
    write_json(dir, "config.json", &config());
    write_json(dir, "generation_config.json", &generation_config());
    write_json(dir, "tokenizer.json", &tokenizer());
    write_json(dir, "tokenizer_config.json", &tokenizer_config());
    fs::write(dir.join("model.safetensors"), safetensors(seed)).expect("the weights can be written");
}

fn write_json(dir: &Path, name: &str, value: &Value) {
    fs::write(dir.join(name), value.to_string()).expect("the model folder can be written to");
}

fn config() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": false,
        "torch_dtype": "float32",
        "bos_token_id": IM_START,
        "eos_token_id": IM_END,
    })
}

fn generation_config() -> Value {
    json!({ "bos_token_id": IM_START, "eos_token_id": IM_END })
}

fn tokenizer_config() -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": false,
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|im_end|>",
        "chat_template": CHAT_TEMPLATE,
    })
}

/// Returns a byte-level BPE tokenizer: every byte has a token, so that any text can be encoded. The merges join pairs
/// of small letters, so that the number of tokens differs from the number of bytes.
fn tokenizer() -> Value {
    let bytes = (0..=255).map(|byte| byte_symbol(byte).to_string());
    let letters = || 'a'..='z';
    let pairs = letters()
        .flat_map(|first| letters().map(move |second| (first, second)))
        .take(MERGES);
    let merged = pairs.clone().map(|(first, second)| format!("{first}{second}"));
    let special = SPECIAL.iter().map(|token| (*token).to_owned());
    let tokens = bytes.chain(merged).chain(special);
    let vocabulary: Map<_, _> = tokens.zip(0..).map(|(token, id)| (token, json!(id))).collect();
    assert_eq!(vocabulary.len(), VOCABULARY, "every token has an id of its own");
    let added = SPECIAL.iter().zip(END_OF_TEXT..).map(|(token, id)| {
        json!({
            "id": id,
            "content": token,
            "special": true,
            "normalized": false,
            "single_word": false,
            "lstrip": false,
            "rstrip": false,
        })
    });
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "vocab": vocabulary,
            "merges": pairs.map(|(first, second)| format!("{first} {second}")).collect::<Vec<_>>(),
        },
    })
}

/// Returns the character of a byte in GPT-2's table: printable bytes represent themselves, the others the characters
/// from U+0100 on, in order.
fn byte_symbol(byte: u8) -> char {
    let prints = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if prints(byte) {
        return byte.into();
    }
    let before = (0..byte).filter(|byte| !prints(*byte)).count() as u32;
    char::from_u32(0x100 + before).expect("68 characters from U+0100 on exist")
}

struct Tensor {
    name: String,
    shape: Vec<usize>,
    is_norm: bool,
}

impl Tensor {
    fn matrix(name: impl Into<String>, rows: usize, columns: usize) -> Self {
        Self {
            name: name.into(),
            shape: vec![rows, columns],
            is_norm: false,
        }
    }

    fn norm(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            shape: vec![HIDDEN],
            is_norm: true,
        }
    }
}

fn tensors() -> Vec<Tensor> {
    let key_value = HIDDEN / HEADS * KEY_VALUE_HEADS;
    let mut tensors = vec![
        Tensor::matrix("model.embed_tokens.weight", VOCABULARY, HIDDEN),
        Tensor::matrix("lm_head.weight", VOCABULARY, HIDDEN),
        Tensor::norm("model.norm.weight"),
    ];
    for layer in 0..LAYERS {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        tensors.extend([
            Tensor::norm(name("input_layernorm")),
            Tensor::matrix(name("self_attn.q_proj"), HIDDEN, HIDDEN),
            Tensor::matrix(name("self_attn.k_proj"), key_value, HIDDEN),
            Tensor::matrix(name("self_attn.v_proj"), key_value, HIDDEN),
            Tensor::matrix(name("self_attn.o_proj"), HIDDEN, HIDDEN),
            Tensor::norm(name("post_attention_layernorm")),
            Tensor::matrix(name("mlp.gate_proj"), INTERMEDIATE, HIDDEN),
            Tensor::matrix(name("mlp.up_proj"), INTERMEDIATE, HIDDEN),
            Tensor::matrix(name("mlp.down_proj"), HIDDEN, INTERMEDIATE),
        ]);
    }
    tensors
}

/// Returns a file in the format: the length of the header as a little-endian u64, the header as JSON, the data.
fn safetensors(seed: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({ "format": "pt" }))]);
    let mut data = Vec::new();
    for tensor in tensors() {
        let start = data.len();
        for _ in 0..tensor.shape.iter().product() {
            // Uniform within ±0.1: large enough that the logits differ clearly, small enough that nothing overflows.
            let uniform = f64::from(random.next_u32()) / f64::from(u32::MAX);
            let weight = if tensor.is_norm {
                1.0
            } else {
                (uniform * 0.2 - 0.1) as f32
            };
            data.extend(weight.to_le_bytes());
        }
        let entry = json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, data.len()] });
        header.insert(tensor.name, entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // Padding to a multiple of eight keeps the data aligned for readers that map the file.
    header.resize(header.len().next_multiple_of(8), b' ');
    [(header.len() as u64).to_le_bytes().to_vec(), header, data].concat()
}

#[test]
fn the_same_seed_writes_the_same_model() {
    assert_eq!(safetensors(1), safetensors(1));
    assert_ne!(safetensors(1), safetensors(2));
}

#[test]
fn the_number_of_weights_follows_from_the_configuration() {
    let counted: usize = tensors()
        .iter()
        .map(|tensor| tensor.shape.iter().product::<usize>())
        .sum();
    assert_eq!(counted, 139_584);
}
