//! Sums over forward passes, as exact integers.

use super::{Logits, RequestTokens};
use crate::units::{Unit, Units};

/// Properties of a model that determine the work of its passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passes {
    /// Number of tokens that a layer with a sliding window sees in decode; `None` where every layer sees all.
    pub window: Option<u64>,
    /// Number of tokens in a chunk of a recurrent layer's prefill; 0 without such layers.
    pub chunk: u64,
    /// Whether the prompt passes an encoder, and the decoder begins with one token.
    pub has_encoder: bool,
    /// Whether the model generates no text, so there are no decode steps.
    pub only_prefills: bool,
}

impl Passes {
    /// Returns the work of the prefill of one request.
    pub fn prefill(self, tokens: u32, logits: Logits) -> Units {
        let tokens = u128::from(tokens);
        if self.has_encoder {
            let first = Units::of(Unit::EncoderToken, tokens)
                .with(Unit::EncoderPair, tokens * tokens)
                .with(Unit::CrossPair, tokens);
            return first + Self::default().prefill(1, logits);
        }
        let work = Units::of(Unit::Token, tokens)
            .with(Unit::Pair, tokens * tokens)
            .with(Unit::WindowedPair, tokens * tokens)
            .with(Unit::Key, tokens)
            .with(Unit::Prefill, 1);
        let rows = match logits {
            Logits::Last => tokens.min(1),
            Logits::All => tokens,
        };
        self.in_chunks(work.with(Unit::LogitRow, rows), tokens)
    }

    /// Adds the work of recurrent layers, which process a prefill in chunks.
    fn in_chunks(self, work: Units, tokens: u128) -> Units {
        let chunk = u128::from(self.chunk);
        if chunk == 0 {
            return work;
        }
        let (whole, rest) = (tokens / chunk, tokens % chunk);
        let chunks = tokens.div_ceil(chunk);
        work.with(Unit::ChunkedToken, chunks * chunk)
            .with(Unit::ChunkPair, (chunks + 1) * (chunks + 1))
            .with(Unit::BlockPair, whole * chunk * chunk + rest * rest)
    }

    /// Returns the work of the decode steps of one request.
    pub fn decode(self, tokens: RequestTokens) -> Units {
        if self.only_prefills {
            return Units::default();
        }
        let (input, steps) = (u128::from(tokens.input), u128::from(tokens.output.saturating_sub(1)));
        let cached = if self.has_encoder { 1 } else { input };
        // The steps see N + 1, N + 2, … N + steps tokens.
        let growing = |steps: u128| steps * cached + steps * (steps + 1) / 2;
        let windowed_pairs = self.window.map_or(growing(steps), |window| {
            let window = u128::from(window);
            let short = window.saturating_sub(cached).min(steps);
            growing(short) + (steps - short) * window
        });
        Units::of(Unit::Token, steps)
            .with(Unit::Pair, growing(steps))
            .with(Unit::WindowedPair, windowed_pairs)
            .with(Unit::Key, growing(steps))
            .with(Unit::LogitRow, steps)
            .with(Unit::Step, steps)
            .with(Unit::CrossPair, if self.has_encoder { steps * input } else { 0 })
    }

    /// Returns the passes of a model whose layers all see the whole context.
    pub fn without_window(self) -> Self {
        Self { window: None, ..self }
    }
}
