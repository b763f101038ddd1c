//! What is run, reduced to the few sums that every operator's cost depends on.

use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// Positions whose logits are computed in prefill.
///
/// - `last`: the last position only, which is what the engine runs
/// - `all`: every position: what Hugging Face's `forward` computes by itself, and what FLOP counters report for it
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Logits {
    // All models of mistral.rs 0.8.1 take the last hidden state before lm_head: by `extract_logits`, and
    // `quantized_phi3.rs` and `quantized_starcoder2.rs` by an index.
    #[default]
    Last,
    All,
}

/// Tokens of one request as the engine counted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTokens {
    /// Tokens of the prompt.
    pub input: u32,
    /// Tokens that are generated.
    pub output: u32,
}

/// The form in which latent attention (DeepSeek-V2) caches earlier tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatentCache {
    /// The latents: keys and values of all tokens are made anew in every step, as transformers 5.24 does.
    Compressed,
    /// Keys and values, each made once, as mistral.rs 0.8.1 does without paged attention.
    Expanded,
}

/// Requests with the way in which they are run. N input and M output tokens are one prefill of N, which gives the first
/// output token, and M − 1 decode steps with N, N + 1, … cached tokens; the last output token passes no layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Requests, equal ones with their number.
    requests: Vec<(RequestTokens, u64)>,
    /// Requests that share a pass over the weights.
    pub(super) batch: u32,
    pub(super) logits: Logits,
    pub(super) latents: LatentCache,
    /// Whether layers that slide see no more than their window in decode.
    keeps_windows: bool,
}

impl Schedule {
    /// Returns the schedule of `batch` equal requests side by side, counted as PyTorch's FlopCounterMode over
    /// transformers does.
    pub fn uniform(tokens: RequestTokens, batch: u32, logits: Logits) -> Self {
        Self {
            requests: vec![(tokens, u64::from(batch))],
            batch: batch.max(1),
            logits,
            latents: LatentCache::Compressed,
            keeps_windows: true,
        }
    }

    /// Returns the schedule that mistral.rs 0.8.1 runs: requests of any length, up to `batch` of them side by side, and
    /// the last position's logits in prefill.
    pub fn executed(requests: &[RequestTokens], batch: u32) -> Self {
        Self {
            requests: requests.iter().map(|tokens| (*tokens, 1)).collect(),
            batch: batch.clamp(1, u32::try_from(requests.len()).unwrap_or(u32::MAX).max(1)),
            logits: Logits::Last,
            latents: LatentCache::Expanded,
            keeps_windows: true,
        }
    }

    /// Returns the same run by an engine that lets every layer see the whole context, as mistral.rs 0.8.1 does with a
    /// GGUF: it does not read the key of the window.
    pub fn without_windows(self) -> Self {
        Self {
            keeps_windows: false,
            ..self
        }
    }

    /// The same requests with another cache of latents.
    pub(super) fn with(self, latents: LatentCache) -> Self {
        Self { latents, ..self }
    }

    pub(super) fn prefill(&self) -> Work {
        self.sum(|tokens| Work::prefill(tokens.input, self.logits))
    }

    /// Query-key pairs of the prefills whose key is not later than the query.
    pub(super) fn causal_prefill_pairs(&self) -> u128 {
        let of = |(tokens, times): &(RequestTokens, u64)| {
            let input = u128::from(tokens.input);
            u128::from(*times) * (input * (input + 1) / 2)
        };
        self.requests.iter().map(of).sum()
    }

    /// The decode steps; layers that slide see at most `window` tokens.
    pub(super) fn decode(&self, window: Option<u64>) -> Work {
        let window = window.filter(|_| self.keeps_windows);
        self.sum(|tokens| Work::decode(tokens, window))
    }

    /// Returns the number of input and output tokens together.
    pub fn total_tokens(&self) -> u128 {
        let of = |(tokens, times): &(RequestTokens, u64)| {
            u128::from(*times) * (u128::from(tokens.input) + u128::from(tokens.output))
        };
        self.requests.iter().map(of).sum()
    }

    /// Returns the length of the longest sequence in tokens; 0 without requests.
    pub fn longest(&self) -> u64 {
        let lengths = self.requests.iter();
        lengths
            .map(|(tokens, _)| u64::from(tokens.input) + u64::from(tokens.output))
            .max()
            .unwrap_or(0)
    }

    pub(super) fn prefills(&self) -> u64 {
        self.requests.iter().map(|(_, times)| times).sum()
    }

    fn sum(&self, work: impl Fn(RequestTokens) -> Work) -> Work {
        self.requests
            .iter()
            .map(|(tokens, times)| work(*tokens).times(u128::from(*times)))
            .sum()
    }
}

/// Sums over forward passes, exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Tokens that pass the layers.
    pub tokens: u128,
    /// Pairs of query and key over the full T × S matrices.
    pub pairs: u128,
    /// The same in layers that slide: in decode the cache keeps no more than the window. A prefill computes the whole
    /// matrix and masks it.
    pub windowed_pairs: u128,
    /// Keys in sight of a pass, S summed over passes.
    pub keys: u128,
    /// Rows of logits.
    pub logit_rows: u128,
}

impl Work {
    pub fn prefill(tokens: u32, logits: Logits) -> Self {
        let tokens = u128::from(tokens);
        Self {
            tokens,
            pairs: tokens * tokens,
            windowed_pairs: tokens * tokens,
            keys: tokens,
            logit_rows: match logits {
                Logits::Last => tokens.min(1),
                Logits::All => tokens,
            },
        }
    }

    pub fn decode(tokens: RequestTokens, window: Option<u64>) -> Self {
        let (input, steps) = (u128::from(tokens.input), u128::from(tokens.output.saturating_sub(1)));
        // The steps see N + 1, N + 2, … N + steps tokens.
        let growing = |steps: u128| steps * input + steps * (steps + 1) / 2;
        let windowed_pairs = window.map_or(growing(steps), |window| {
            let window = u128::from(window);
            let short = window.saturating_sub(input).min(steps);
            growing(short) + (steps - short) * window
        });
        Self {
            tokens: steps,
            pairs: growing(steps),
            windowed_pairs,
            keys: growing(steps),
            logit_rows: steps,
        }
    }

    /// A prefill with only those pairs whose key is not later than the query.
    pub fn causal(self, prefill_pairs: u128) -> Self {
        Self {
            pairs: prefill_pairs,
            windowed_pairs: prefill_pairs,
            ..self
        }
    }

    fn times(self, times: u128) -> Self {
        Self {
            tokens: self.tokens * times,
            pairs: self.pairs * times,
            windowed_pairs: self.windowed_pairs * times,
            keys: self.keys * times,
            logit_rows: self.logit_rows * times,
        }
    }
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            pairs: self.pairs + other.pairs,
            windowed_pairs: self.windowed_pairs + other.windowed_pairs,
            keys: self.keys + other.keys,
            logit_rows: self.logit_rows + other.logit_rows,
        }
    }
}

impl Sum for Work {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Logits, RequestTokens, Schedule, Work};

    proptest! {
        #[test]
        fn the_sums_are_those_of_the_single_steps(input in 0..3_000_u32, output in 0..300_u32, window in 1..3_500_u64) {
            let tokens = RequestTokens { input, output };
            let steps = (1..u128::from(output.max(1))).map(|step| u128::from(input) + step);
            let work = Work::decode(tokens, Some(window));
            prop_assert_eq!(work.pairs, steps.clone().sum::<u128>());
            prop_assert_eq!(work.tokens, steps.clone().count() as u128);
            // A prompt longer than the window has filled it.
            let within = steps.map(|seen| seen.min(u128::from(window))).sum::<u128>();
            prop_assert_eq!(work.windowed_pairs, within);
            prop_assert_eq!(Work::decode(tokens, None).windowed_pairs, work.pairs);
        }

        #[test]
        fn a_batch_of_equal_requests_is_that_many_requests(input in 1..500_u32, output in 0..90_u32, batch in 1..9_u32) {
            let tokens = RequestTokens { input, output };
            let batched = Schedule::uniform(tokens, batch, Logits::All);
            let single = Schedule::uniform(tokens, 1, Logits::All);
            prop_assert_eq!(batched.prefill(), (0..batch).map(|_| single.prefill()).sum());
            prop_assert_eq!(batched.decode(Some(9)), (0..batch).map(|_| single.decode(Some(9))).sum());
            prop_assert_eq!(batched.total_tokens(), u128::from(batch) * single.total_tokens());
        }
    }
}
