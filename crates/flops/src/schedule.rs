//! What is run, reduced to the few sums that every operator's cost depends on.

mod passes;

use serde::{Deserialize, Serialize};

pub(super) use self::passes::Passes;
use super::units::{Unit, Units};

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
    /// The latents, and a decode step attends to them: its queries and what comes of attention pass the expansion, once a token,
    /// where keys and values would. As mistral.rs 0.8.1 does with paged attention on CUDA (`mla/forward.rs`); a prefill expands.
    Absorbed,
}

impl LatentCache {
    /// Returns the form that prefills work with.
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
    /// Passes that computed prompts.
    pub prefills: u64,
    /// Decode steps by the number of sequences that got a token in one: `(sequences, steps)`.
    pub decodes: Vec<(u32, u64)>,
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
    /// The passes that were seen; `None` where every pass is taken to be full.
    pub(super) ran: Option<RanPasses>,
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
            ran: None,
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
            ran: None,
        }
    }

    /// Returns the same run in the passes that were seen: a wave that is not full reads the weights as often as a full one.
    pub fn in_passes(self, ran: RanPasses) -> Self {
        Self { ran: Some(ran), ..self }
    }

    /// Returns the same run by an engine that lets every layer see the whole context, as mistral.rs 0.8.1 does with a
    /// GGUF: it does not read the key of the window.
    pub fn without_windows(self) -> Self {
        Self {
            keeps_windows: false,
            ..self
        }
    }

    /// Returns the same run with the cache of latents that mistral.rs 0.8.1 has with paged attention.
    pub fn with_paged_attention(self) -> Self {
        self.with(LatentCache::Absorbed)
    }

    /// The same requests with another cache of latents.
    pub(super) fn with(self, latents: LatentCache) -> Self {
        Self { latents, ..self }
    }

    pub(super) fn prefill(&self, passes: Passes) -> Units {
        self.sum(|tokens| passes.prefill(tokens.input, self.logits))
    }

    /// The prefills with only those pairs whose key is not later than the query. An encoder's tokens see all others.
    pub(super) fn causal_prefill(&self, passes: Passes) -> Units {
        let whole = self.prefill(passes);
        if passes.has_encoder {
            return whole;
        }
        let pairs = self.causal_prefill_pairs();
        whole.with(Unit::Pair, pairs).with(Unit::WindowedPair, pairs)
    }

    fn causal_prefill_pairs(&self) -> u128 {
        let of = |(tokens, times): &(RequestTokens, u64)| {
            let input = u128::from(tokens.input);
            u128::from(*times) * (input * (input + 1) / 2)
        };
        self.requests.iter().map(of).sum()
    }

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

    pub(super) fn prefills(&self) -> u64 {
        self.requests.iter().map(|(_, times)| times).sum()
    }

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
