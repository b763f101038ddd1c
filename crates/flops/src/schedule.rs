//! Requests that are run, reduced to the sums on which every operator's cost depends.

mod passes;

use serde::{Deserialize, Serialize};

pub(super) use self::passes::Passes;
use super::units::{Unit, Units};

/// Positions whose logits are computed in prefill.
///
/// - `last`: only the last position, which is what the engine computes
/// - `all`: every position, which is what Hugging Face's `forward` computes by default and FLOP counters report
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Logits {
    // All models of mistral.rs 0.8.1 select the last hidden state before lm_head: with `extract_logits`, or with an
    // index in `quantized_phi3.rs` and `quantized_starcoder2.rs`.
    #[default]
    Last,
    All,
}

/// Numbers of tokens of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTokens {
    /// Number of tokens of the prompt.
    pub input: u32,
    /// Number of generated tokens.
    pub output: u32,
}

/// Form in which latent attention (DeepSeek-V2) caches earlier tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatentCache {
    /// Latents: keys and values of all tokens are recomputed in every step, as in transformers 5.24.
    Compressed,
    /// Keys and values, each computed once, as in mistral.rs 0.8.1 without paged attention.
    Expanded,
    /// Latents to which decode steps attend: once for each token, the expansion is applied to the queries and to the
    /// attention's result, not to keys and values. mistral.rs 0.8.1 does this with paged attention on CUDA
    /// (`mla/forward.rs`); its prefill expands.
    Absorbed,
}

impl LatentCache {
    /// Returns the form that prefills use.
    pub(super) fn in_prefill(self) -> Self {
        match self {
            Self::Absorbed => Self::Expanded,
            other => other,
        }
    }
}

/// Passes over the weights that an engine made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RanPasses {
    /// Number of passes that computed prompts.
    pub prefills: u64,
    /// Numbers of decode steps by the number of sequences that got a token: `(sequences, steps)`.
    pub decodes: Vec<(u32, u64)>,
}

/// Requests and how they are run. N input and M output tokens are one prefill of N, which gives the first output token,
/// and M − 1 decode steps with N, N + 1, … cached tokens; the last output token passes no layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Requests, with the number of equal ones.
    requests: Vec<(RequestTokens, u64)>,
    /// Number of requests that share a pass over the weights.
    pub(super) batch: u32,
    pub(super) logits: Logits,
    pub(super) latents: LatentCache,
    /// Whether layers with a sliding window see no more than the window in decode.
    keeps_windows: bool,
    /// Passes that were observed; `None` where every pass is assumed to be full.
    pub(super) ran: Option<RanPasses>,
}

impl Schedule {
    /// Creates the schedule of `batch` equal requests in one batch, counted as PyTorch's FlopCounterMode does over
    /// transformers.
    pub fn uniform(tokens: RequestTokens, batch: u32, logits: Logits) -> Self {
        Self {
            requests: vec![(tokens, u64::from(batch))],
            batch: batch.max(1),
            logits,
            latents: LatentCache::Compressed,
            keeps_windows: true,
            ran: None,
        }
    }

    /// Creates the schedule that mistral.rs 0.8.1 runs: requests of any length, at most `batch` of them in a batch, and
    /// the logits of the last position in prefill.
    pub fn executed(requests: &[RequestTokens], batch: u32) -> Self {
        Self {
            requests: requests.iter().map(|tokens| (*tokens, 1)).collect(),
            batch: batch.clamp(1, u32::try_from(requests.len()).unwrap_or(u32::MAX).max(1)),
            logits: Logits::Last,
            latents: LatentCache::Expanded,
            keeps_windows: true,
            ran: None,
        }
    }

    /// Returns the schedule with the passes that were observed: a batch that is not full reads the weights as often as
    /// a full one.
    pub fn in_passes(self, ran: RanPasses) -> Self {
        Self { ran: Some(ran), ..self }
    }

    /// Returns the schedule for an engine whose layers all see the whole context, like mistral.rs 0.8.1 with a GGUF,
    /// whose key of the window it does not read.
    pub fn without_windows(self) -> Self {
        Self {
            keeps_windows: false,
            ..self
        }
    }

    /// Returns the schedule with the latent cache that mistral.rs 0.8.1 uses with paged attention.
    pub fn with_paged_attention(self) -> Self {
        self.with(LatentCache::Absorbed)
    }

    /// Returns the schedule with this form of the latent cache.
    pub(super) fn with(self, latents: LatentCache) -> Self {
        Self { latents, ..self }
    }

    /// Returns the work of the prefills.
    pub(super) fn prefill(&self, passes: Passes) -> Units {
        self.sum(|tokens| passes.prefill(tokens.input, self.logits))
    }

    /// Returns the work of the prefills with only those pairs whose key is not later than the query. In an encoder
    /// every token sees all others.
    pub(super) fn causal_prefill(&self, passes: Passes) -> Units {
        let whole = self.prefill(passes);
        if passes.has_encoder {
            return whole;
        }
        let pairs = self.causal_prefill_pairs();
        whole.with(Unit::Pair, pairs).with(Unit::WindowedPair, pairs)
    }

    /// Returns the number of pairs in the prefills whose key is not later than the query.
    fn causal_prefill_pairs(&self) -> u128 {
        let of = |(tokens, times): &(RequestTokens, u64)| {
            let input = u128::from(tokens.input);
            u128::from(*times) * (input * (input + 1) / 2)
        };
        self.requests.iter().map(of).sum()
    }

    /// Returns the work of the decode steps.
    pub(super) fn decode(&self, passes: Passes) -> Units {
        let passes = if self.keeps_windows {
            passes
        } else {
            passes.without_window()
        };
        self.sum(|tokens| passes.decode(tokens))
    }

    /// Returns the number of input and output tokens together.
    pub fn total_tokens(&self) -> u128 {
        let of = |(tokens, times): &(RequestTokens, u64)| {
            u128::from(*times) * (u128::from(tokens.input) + u128::from(tokens.output))
        };
        self.requests.iter().map(of).sum()
    }

    /// Returns the number of input tokens.
    pub(super) fn input_tokens(&self) -> u128 {
        let of = |(tokens, times): &(RequestTokens, u64)| u128::from(*times) * u128::from(tokens.input);
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

    /// Returns the number of prefills, one for each request.
    pub(super) fn prefills(&self) -> u64 {
        self.requests.iter().map(|(_, times)| times).sum()
    }

    /// Sums the work over all requests.
    fn sum(&self, work: impl Fn(RequestTokens) -> Units) -> Units {
        self.requests
            .iter()
            .map(|(tokens, times)| work(*tokens).times(u128::from(*times)))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Logits, Passes, RequestTokens, Schedule, Unit};

    proptest! {
        #[test]
        fn the_sums_are_those_of_the_single_steps(input in 0..3_000_u32, output in 0..300_u32, window in 1..3_500_u64) {
            let tokens = RequestTokens { input, output };
            let steps = (1..u128::from(output.max(1))).map(|step| u128::from(input) + step);
            let passes = Passes { window: Some(window), ..Passes::default() };
            let work = passes.decode(tokens);
            prop_assert_eq!(work.get(Unit::Pair), steps.clone().sum::<u128>());
            prop_assert_eq!(work.get(Unit::Token), steps.clone().count() as u128);
            // A prompt longer than the window has filled it.
            let within = steps.map(|seen| seen.min(u128::from(window))).sum::<u128>();
            prop_assert_eq!(work.get(Unit::WindowedPair), within);
            prop_assert_eq!(passes.without_window().decode(tokens).get(Unit::WindowedPair), work.get(Unit::Pair));
        }

        #[test]
        fn a_batch_of_equal_requests_is_that_many_requests(input in 1..500_u32, output in 0..90_u32, batch in 1..9_u32) {
            let tokens = RequestTokens { input, output };
            let batched = Schedule::uniform(tokens, batch, Logits::All);
            let single = Schedule::uniform(tokens, 1, Logits::All);
            let passes = Passes { window: Some(9), chunk: 7, ..Passes::default() };
            prop_assert_eq!(batched.prefill(passes), (0..batch).map(|_| single.prefill(passes)).sum());
            prop_assert_eq!(batched.decode(passes), (0..batch).map(|_| single.decode(passes)).sum());
            prop_assert_eq!(batched.total_tokens(), u128::from(batch) * single.total_tokens());
        }
    }
}
