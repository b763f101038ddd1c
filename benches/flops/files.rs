use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// A model written as headers alone.
pub struct Model {
    pub name: &'static str,
    config: Value,
    tensors: Vec<(String, Vec<u64>)>,
    shards: usize,
}

pub struct Written {
    pub path: PathBuf,
    pub bytes: u64,
    pub tensors: usize,
    pub shards: usize,
}

pub fn models() -> [Model; 3] {
    [
        Model {
            name: "Llama-3.1-70B, safetensors BF16",
            config: json!({
                "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8192,
                "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64,
                "num_key_value_heads": 8, "vocab_size": 128_256,
            }),
            tensors: dense(80, 8192, 28672, 1024, 128_256),
            shards: 30,
        },
        Model {
            name: "Qwen3-235B-A22B, safetensors BF16",
            config: json!({
                "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 4096,
                "intermediate_size": 12288, "moe_intermediate_size": 1536, "head_dim": 128, "num_hidden_layers": 94,
                "num_attention_heads": 64, "num_key_value_heads": 4, "num_experts": 128, "num_experts_per_tok": 8,
            }),
            tensors: mixture(),
            shards: 118,
        },
        Model {
            name: "Llama-3.1-70B, GGUF BF16",
            config: Value::Null,
            tensors: gguf_names(dense(80, 8192, 28672, 1024, 128_256)),
            shards: 1,
        },
    ]
}

fn dense(layers: u64, hidden: u64, width: u64, keys: u64, words: u64) -> Vec<(String, Vec<u64>)> {
    let mut tensors = outer(hidden, words);
    for layer in 0..layers {
        let mut add = |name: &str, shape: &[u64]| {
            tensors.push((format!("model.layers.{layer}.{name}.weight"), shape.to_vec()));
        };
        attention(&mut add, hidden, hidden, keys);
        add("mlp.gate_proj", &[width, hidden]);
        add("mlp.up_proj", &[width, hidden]);
        add("mlp.down_proj", &[hidden, width]);
    }
    tensors
}

fn mixture() -> Vec<(String, Vec<u64>)> {
    let (hidden, width) = (4096, 1536);
    let mut tensors = outer(hidden, 151_936);
    for layer in 0..94 {
        let mut add = |name: &str, shape: &[u64]| {
            tensors.push((format!("model.layers.{layer}.{name}.weight"), shape.to_vec()));
        };
        attention(&mut add, hidden, 8192, 512);
        add("self_attn.q_norm", &[128]);
        add("self_attn.k_norm", &[128]);
        add("mlp.gate", &[128, hidden]);
        for expert in 0..128 {
            add(&format!("mlp.experts.{expert}.gate_proj"), &[width, hidden]);
            add(&format!("mlp.experts.{expert}.up_proj"), &[width, hidden]);
            add(&format!("mlp.experts.{expert}.down_proj"), &[hidden, width]);
        }
    }
    tensors
}

fn outer(hidden: u64, words: u64) -> Vec<(String, Vec<u64>)> {
    vec![
        ("model.embed_tokens.weight".to_owned(), vec![words, hidden]),
        ("model.norm.weight".to_owned(), vec![hidden]),
        ("lm_head.weight".to_owned(), vec![words, hidden]),
    ]
}

fn attention(add: &mut impl FnMut(&str, &[u64]), hidden: u64, queries: u64, keys: u64) {
    add("self_attn.q_proj", &[queries, hidden]);
    add("self_attn.k_proj", &[keys, hidden]);
    add("self_attn.v_proj", &[keys, hidden]);
    add("self_attn.o_proj", &[hidden, queries]);
    add("input_layernorm", &[hidden]);
    add("post_attention_layernorm", &[hidden]);
}

fn gguf_names(tensors: Vec<(String, Vec<u64>)>) -> Vec<(String, Vec<u64>)> {
    const NAMES: [(&str, &str); 13] = [
        ("model.layers.", "blk."),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
    ];
    let rename = |name: String| NAMES.iter().fold(name, |name, (from, to)| name.replace(from, to));
    tensors.into_iter().map(|(name, shape)| (rename(name), shape)).collect()
}

impl Model {
    pub fn write(&self, path: &Path) -> Written {
        let bytes: u64 = self.tensors.iter().map(|(_, shape)| size(shape)).sum();
        let path = if self.config.is_null() {
            let path = path.with_extension("gguf");
            self.write_gguf(&path, bytes);
            path
        } else {
            self.write_folder(path);
            path.to_owned()
        };
        Written {
            path,
            bytes,
            tensors: self.tensors.len(),
            shards: self.shards,
        }
    }

    fn write_folder(&self, folder: &Path) {
        std::fs::create_dir(folder).expect("a folder");
        std::fs::write(folder.join("config.json"), self.config.to_string()).expect("config.json");
        let of_shard = self.tensors.len().div_ceil(self.shards);
        let mut index = Map::new();
        for (number, tensors) in self.tensors.chunks(of_shard).enumerate() {
            let file = format!("model-{:05}-of-{:05}.safetensors", number + 1, self.shards);
            let mut header = Map::new();
            let mut end = 0;
            for (name, shape) in tensors {
                let begin = end;
                end += size(shape);
                header.insert(
                    name.clone(),
                    json!({"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}),
                );
                index.insert(name.clone(), Value::String(file.clone()));
            }
            let header = Value::Object(header).to_string();
            let length = header.len() as u64;
            let all = [&length.to_le_bytes(), header.as_bytes()].concat();
            write_sparse(&folder.join(&file), &all, 8 + length + end);
        }
        let index = json!({"weight_map": index});
        std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).expect("the index");
    }

    fn write_gguf(&self, path: &Path, bytes: u64) {
        let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
        let mut keys = vec![
            [
                text("general.architecture"),
                8_u32.to_le_bytes().to_vec(),
                text("llama"),
            ]
            .concat(),
        ];
        for (key, value) in [
            ("llama.block_count", 80_u32),
            ("llama.embedding_length", 8192),
            ("llama.feed_forward_length", 28672),
            ("llama.attention.head_count", 64),
            ("llama.attention.head_count_kv", 8),
        ] {
            keys.push([text(key), 4_u32.to_le_bytes().to_vec(), value.to_le_bytes().to_vec()].concat());
        }
        let words: Vec<u8> = (0..128_256).flat_map(|word| text(&format!("word{word}"))).collect();
        let list = [8_u32.to_le_bytes().as_slice(), &128_256_u64.to_le_bytes(), &words].concat();
        keys.push([text("tokenizer.ggml.tokens"), 9_u32.to_le_bytes().to_vec(), list].concat());
        let mut header = b"GGUF\x03\0\0\0".to_vec();
        header.extend((self.tensors.len() as u64).to_le_bytes());
        header.extend((keys.len() as u64).to_le_bytes());
        header.extend(keys.concat());
        let mut offset: u64 = 0;
        for (name, shape) in &self.tensors {
            header.extend(text(name));
            header.extend((shape.len() as u32).to_le_bytes());
            header.extend(shape.iter().rev().flat_map(|dimension| dimension.to_le_bytes()));
            // BF16.
            header.extend(30_u32.to_le_bytes());
            header.extend(offset.to_le_bytes());
            offset += size(shape);
        }
        let length = header.len() as u64;
        write_sparse(path, &header, length.next_multiple_of(32) + bytes);
    }
}

fn size(shape: &[u64]) -> u64 {
    2 * shape.iter().product::<u64>()
}

fn write_sparse(path: &Path, header: &[u8], length: u64) {
    let mut file = File::create(path).expect("a file");
    file.write_all(header).expect("its header");
    file.set_len(length).expect("a sparse file");
}
