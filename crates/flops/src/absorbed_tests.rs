//! Tests of latent attention as mistral.rs 0.8.1 runs it with paged attention on CUDA, by the shapes of its tensors
//! (`mla/forward.rs`, `models/deepseek3.rs`).

use serde_json::json;

use super::count::count;
use super::schedule::{RequestTokens, Schedule};
use super::traffic::{Weights, traffic};
use super::{ModelShape, from_config_json};

const LAYERS: u128 = 2;
const HEADS: u128 = 4;
const RANK: u128 = 24;
const ROPE: u128 = 8;
const NOPE: u128 = 12;
const VALUE: u128 = 10;

fn shape() -> ModelShape {
    let config = json!({
        "model_type": "deepseek_v3", "hidden_size": 48, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS, "intermediate_size": 64, "vocab_size": 100, "q_lora_rank": 16, "kv_lora_rank": RANK,
        "qk_rope_head_dim": ROPE, "qk_nope_head_dim": NOPE, "v_head_dim": VALUE, "first_k_dense_replace": LAYERS,
        "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_shared_experts": 1,
    });
    from_config_json(&config).expect("a shape")
}

/// Creates a request of 5 and 4 tokens: three decode steps, which see 6, 7 and 8 tokens.
fn run() -> Schedule {
    Schedule::executed(&[RequestTokens { input: 5, output: 4 }], 1)
}

const SEEN: u128 = 6 + 7 + 8;

#[test]
fn a_decode_step_attends_to_the_latents_and_a_prefill_to_keys_and_values() {
    let shape = shape();
    let [expanded, absorbed] = [run(), run().with_paged_attention()].map(|run| count(&shape, &shape.operators(), &run));
    assert_eq!(expanded.prefill, absorbed.prefill);
    // The queries' product with `w_uk` and the result's product with `w_uv_t` are as large as the expansion of one
    // token's latent. The kernel takes [rank + rope] of each key and gives [rank] for each head.
    let of_pair = |keys: u128, values: u128| 2 * LAYERS * HEADS * (keys + values) * SEEN;
    assert_eq!(
        absorbed.decode + of_pair(NOPE + ROPE, VALUE),
        expanded.decode + of_pair(RANK + ROPE, RANK)
    );
    assert_eq!(
        absorbed.causal_total - expanded.causal_total,
        absorbed.decode - expanded.decode
    );
}

#[test]
fn a_decode_step_reads_the_latents_of_its_cache() {
    let shape = shape();
    let operators = shape.operators();
    let bytes = vec![0.0; operators.len()];
    let weights = Weights {
        shape: &shape,
        operators: &operators,
        bytes: &bytes,
    };
    let [expanded, absorbed] = [run(), run().with_paged_attention()].map(|run| traffic(&weights, &run, 2.0));
    let read = |elements: u128| (2 * LAYERS * elements * SEEN) as f64;
    assert_eq!(absorbed.decode, read(RANK + ROPE));
    assert_eq!(expanded.decode, read(HEADS * (NOPE + ROPE + VALUE)));
    assert_eq!(absorbed.prefill, expanded.prefill);
}
