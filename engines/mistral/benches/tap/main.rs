//! Measures the time of the tap on a sequence's logits for each token, where it leaves the choice to the engine and
//! where it chooses; takes half a minute:
//!
//!     cargo bench -p joulemark-mistral --bench tap

#[expect(
    dead_code,
    unused_imports,
    reason = "the bench needs one method, and none of the tests"
)]
#[path = "../../src/tap.rs"]
mod tap;

use std::hint::black_box;

use joulemark_measurement::clock::Monotonic;
use joulemark_worker::inference::{Compare, Sampling, TokenChooser, TokenCounter};
use mistralrs::{CustomLogitsProcessor, Device, Tensor};
use tap::TokenTap;

const VOCABULARIES: [usize; 3] = [32_000, 128_000, 256_000];
const SEQUENCES: [usize; 4] = [1, 4, 16, 64];
/// Number of tokens of all sequences together for one figure.
const TOKENS: usize = 2048;

fn main() {
    println!("µs a token           | leaves the choice | makes it (greedy, masks)");
    for vocabulary in VOCABULARIES {
        for sequences in SEQUENCES {
            let leaves = cost_us(vocabulary, sequences, || {
                TokenTap::watching(TOKENS, false, TokenCounter::default())
            });
            let makes = cost_us(vocabulary, sequences, || {
                let greedy = Sampling::Greedy {
                    repetition_penalty: None,
                };
                let chooser = TokenChooser::new(greedy, u32::MAX, vec![2]);
                TokenTap::choosing(chooser, Compare::No, TOKENS, TokenCounter::default())
            });
            println!("{vocabulary:>7} × {sequences:>2} sequences | {leaves:>17.2} | {makes:>10.1}");
        }
    }
}

/// Returns the microseconds of one tap for one token, with each sequence's logits in separate memory.
fn cost_us(vocabulary: usize, sequences: usize, tap: impl Fn() -> TokenTap) -> f64 {
    let taps: Vec<TokenTap> = (0..sequences).map(|_| tap()).collect();
    let logits: Vec<Tensor> = (0..sequences)
        .map(|sequence| {
            let values: Vec<f32> = (0..vocabulary)
                .map(|token| ((token * 7919 + sequence) % 1000) as f32)
                .collect();
            Tensor::from_vec(values, vocabulary, &Device::Cpu).expect("a tensor")
        })
        .collect();
    let context = [1, 2, 3];
    let steps = TOKENS / sequences;
    let begun = Monotonic::now();
    for _ in 0..steps {
        for (tap, logits) in taps.iter().zip(&logits) {
            black_box(tap.apply(black_box(logits), &context).expect("numbers"));
        }
    }
    Monotonic::now().sec_since(begun) * 1e6 / (steps * sequences) as f64
}
