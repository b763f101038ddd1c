//! Shows the effect of the batch size on decode: all sequences share one read of the weights, so the bytes and the
//! minimum time for each token fall. Keys and values are not shared between sequences.
//!
//!     cargo run -p joulemark-flops --example batch_sizes

use joulemark_flops::model_files::describe_config;
use joulemark_flops::{Logits, Question, RequestTokens, known_device};
use serde_json::json;

const INPUT_TOKENS: u32 = 1024;
const OUTPUT_TOKENS: u32 = 256;

fn main() {
    // Llama 3.1 8B.
    let model = describe_config(
        &json!({
            "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128_256, "torch_dtype": "bfloat16",
        }),
        "Llama-3.1-8B",
    );
    let device = known_device("NVIDIA H200");
    println!("Llama-3.1-8B, {INPUT_TOKENS} input and {OUTPUT_TOKENS} output tokens, one H200");
    println!("batch  bytes/token  FLOP/byte in decode  minimum ms/token");
    for batch in [1, 4, 16, 64, 256] {
        let question = Question {
            tokens: RequestTokens {
                input: INPUT_TOKENS,
                output: OUTPUT_TOKENS,
            },
            batch,
            logits: Logits::Last,
            device,
        };
        let answer = model.answer("Llama-3.1-8B", &question);
        let minimum_sec = answer.roofline.and_then(|roofline| roofline.least_time_sec);
        let (Some(bytes), Some(intensity), Some(minimum_sec)) =
            (answer.bytes_per_token, answer.arithmetic_intensity_decode, minimum_sec)
        else {
            println!("{batch:5}  unknown: {}", answer.notes.join("; "));
            continue;
        };
        let tokens = f64::from(batch * OUTPUT_TOKENS);
        println!(
            "{batch:5}  {bytes:11.3e}  {intensity:19.1}  {:16.4}",
            1000.0 * minimum_sec / tokens
        );
    }
}
