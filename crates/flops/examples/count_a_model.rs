//! Counts a model: FLOPs of a prefill and of one decode step, parameters, bytes for each token.
//!
//!     cargo run -p joulemark-flops --example count_a_model [MODEL [INPUT_TOKENS]]
//!
//! MODEL is a folder, a GGUF file or a `config.json`. Without it the example writes a tiny Llama of zeros into a
//! temporary folder and counts that.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use joulemark_flops::model_files::describe;
use joulemark_flops::{FlopsAnswer, FlopsMethod, Logits, Question, RequestTokens};
use serde_json::{Map, Value, json};

const HIDDEN: u64 = 64;
const WIDTH: u64 = 128;
const VOCABULARY: u64 = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    // The folder is deleted when this is dropped at the end of the program.
    let temporary = tempfile::tempdir()?;
    let path = match arguments.next() {
        Some(model) => PathBuf::from(model),
        None => {
            write_tiny_llama(temporary.path())?;
            temporary.path().to_owned()
        }
    };
    let input = arguments.next().map_or(Ok(512), |tokens| tokens.parse())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // The prefill gives the first output token, a decode step the second.
    let question = Question {
        tokens: RequestTokens { input, output: 2 },
        batch: 1,
        logits: Logits::Last,
        device: None,
    };
    print(&describe(&path, &name)?.answer(&name, &question));
    Ok(())
}

fn print(answer: &FlopsAnswer) {
    let count = |number: Option<u128>| number.map_or("unknown".to_owned(), |number| number.to_string());
    let rounded = |number: Option<f64>| number.map_or("unknown".to_owned(), |number| format!("{number:.0}"));
    let method = answer.flops_method.map_or("none", FlopsMethod::as_str);
    let confidence = answer
        .flops_confidence
        .map(|confidence| format!("{confidence:?}").to_lowercase());
    println!(
        "architecture       {}",
        answer.architecture.as_deref().unwrap_or("unknown")
    );
    println!("parameters         {}", count(answer.params_total));
    println!("  active           {}", count(answer.params_active));
    println!(
        "prefill            {} FLOPs for {} tokens",
        count(answer.flops_prefill),
        answer.input_tokens
    );
    println!("decode step        {} FLOPs", count(answer.flops_decode));
    println!("  reads            {} bytes", rounded(answer.bytes_per_token));
    println!("method             {method}");
    println!("confidence         {}", confidence.as_deref().unwrap_or("none"));
    for note in &answer.notes {
        println!("note: {note}");
    }
}

/// Writes `config.json` and `model.safetensors` of a Llama with two layers.
fn write_tiny_llama(folder: &Path) -> Result<(), Box<dyn Error>> {
    let config = json!({
        "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": WIDTH, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": VOCABULARY, "tie_word_embeddings": true,
        "max_position_embeddings": 2048, "torch_dtype": "bfloat16",
    });
    fs::write(folder.join("config.json"), config.to_string())?;
    let mut header = Map::new();
    let mut end = 0;
    let mut tensor = |name: String, shape: &[u64]| {
        let begin = end;
        end += 2 * shape.iter().product::<u64>();
        let info: Value = json!({"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]});
        header.insert(format!("model.{name}.weight"), info);
    };
    tensor("embed_tokens".to_owned(), &[VOCABULARY, HIDDEN]);
    for layer in 0..2 {
        for (name, shape) in [
            ("input_layernorm", &[HIDDEN][..]),
            ("self_attn.q_proj", &[HIDDEN, HIDDEN]),
            ("self_attn.k_proj", &[HIDDEN / 2, HIDDEN]),
            ("self_attn.v_proj", &[HIDDEN / 2, HIDDEN]),
            ("self_attn.o_proj", &[HIDDEN, HIDDEN]),
            ("post_attention_layernorm", &[HIDDEN]),
            ("mlp.gate_proj", &[WIDTH, HIDDEN]),
            ("mlp.up_proj", &[WIDTH, HIDDEN]),
            ("mlp.down_proj", &[HIDDEN, WIDTH]),
        ] {
            tensor(format!("layers.{layer}.{name}"), shape);
        }
    }
    tensor("norm".to_owned(), &[HIDDEN]);
    // The format is the header's length in eight bytes, little-endian, the header, and the data.
    let header = Value::Object(header).to_string();
    let mut content = (header.len() as u64).to_le_bytes().to_vec();
    content.extend(header.bytes());
    content.resize(content.len() + usize::try_from(end)?, 0);
    fs::write(folder.join("model.safetensors"), content)?;
    Ok(())
}
