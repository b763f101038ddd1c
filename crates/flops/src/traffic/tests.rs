use serde_json::json;

use crate::{Logits, Naming, RequestTokens, Schedule, Walk, from_config_json};

fn walk(config: &serde_json::Value) -> Walk {
    Walk::new(from_config_json(config).unwrap(), Naming::HuggingFace, &[], Some(16.0))
}

fn schedule(input: u32, output: u32, batch: u32) -> Schedule {
    Schedule::uniform(RequestTokens { input, output }, batch, Logits::Last)
}

#[test]
fn a_decode_step_reads_every_weight_once_and_the_cache() {
    let config = json!({"model_type": "llama", "num_key_value_heads": 8});
    let walk = walk(&config);
    let traffic = walk.traffic(&schedule(10, 3, 1), 2.0).unwrap();
    let hidden = 4096.0;
    let weights = 2.0 * (walk.shape().parameters_total() as f64 - 31_999.0 * hidden);
    assert_eq!(traffic.weights_per_token, weights);
    // Two steps see 11 and 12 tokens: 32 layers, 8 heads of 128, key and value, 2 bytes.
    assert_eq!(traffic.cache_per_token, 11.5 * 32.0 * 8.0 * 256.0 * 2.0);
    assert_eq!(
        traffic.decode,
        2.0 * (traffic.weights_per_token + traffic.cache_per_token)
    );
}

#[test]
fn a_batch_shares_weights_but_not_the_cache() {
    let walk = walk(&json!({"model_type": "llama", "tie_word_embeddings": true}));
    let one = walk.traffic(&schedule(10, 5, 1), 2.0).unwrap();
    let four = walk.traffic(&schedule(10, 5, 4), 2.0).unwrap();
    assert!((four.weights_per_token - one.weights_per_token / 4.0).abs() < 1e5);
    assert_eq!(four.cache_per_token, one.cache_per_token);
}

#[test]
fn one_token_reads_only_the_chosen_experts_and_many_read_nearly_all() {
    let walk = walk(&json!({"model_type": "mixtral"}));
    let parameters = walk.shape().parameters_active() as f64 - 31_999.0 * 4096.0;
    let one = walk.traffic(&schedule(1, 2, 1), 2.0).unwrap();
    assert!((one.weights_per_token / (2.0 * parameters) - 1.0).abs() < 1e-9);
    let many = walk.traffic(&schedule(500, 1, 1), 0.0).unwrap();
    let all = 2.0 * (walk.shape().parameters_total() as f64 - 31_500.0 * 4096.0);
    assert!((many.prefill / all - 1.0).abs() < 1e-9);
}
