//! The head of a model: the operators after the last layer.

use super::{MAX_DIMENSION, ModelShape, ShapeError, within};

/// Operators after the last layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Whether there is a lm_head, which computes logits over the vocabulary.
    pub makes_text: bool,
    /// Other products with each token's vector, in order: the scores of reward models and classifiers.
    pub scores: Vec<Score>,
}

/// A matrix of a score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Score {
    /// Name of its tensors without `.weight` or `.bias`.
    pub stem: String,
    pub rows: u64,
    pub columns: u64,
    pub bias: bool,
}

/// Operator names of the matrices before the last; a score has at most one matrix more than these.
const BEFORE_THE_LAST: [&str; 3] = ["score_dense", "score_dense_2", "score_dense_3"];
pub(crate) const MAX_SCORES: usize = BEFORE_THE_LAST.len() + 1;

impl Head {
    /// Head of a model that generates text.
    pub const LANGUAGE_MODEL: Self = Self {
        makes_text: true,
        scores: Vec::new(),
    };
    /// Head of an embedding model.
    pub const ABSENT: Self = Self {
        makes_text: false,
        scores: Vec::new(),
    };

    /// Returns the operator name of the score at `position`.
    pub fn operator(&self, position: usize) -> &'static str {
        if position + 1 == self.scores.len() {
            return "score";
        }
        BEFORE_THE_LAST.get(position).copied().unwrap_or("score_dense")
    }

    /// Returns an error where a dimension is impossible.
    pub(super) fn check(&self) -> Result<(), ShapeError> {
        for score in &self.scores {
            within("num_labels", score.rows, MAX_DIMENSION)?;
            within("hidden_size", score.columns, MAX_DIMENSION)?;
        }
        Ok(())
    }
}

impl ModelShape {
    /// Returns whether the model generates text, which needs a lm_head.
    pub fn generates_text(&self) -> bool {
        self.head.makes_text
    }

    /// Returns whether the model is an encoder without its decoder.
    pub(crate) fn is_encoder(&self) -> bool {
        self.layers == 0 && self.particulars.encoder.is_some() && !self.head.makes_text
    }

    /// Returns the shape of the model's encoder only.
    pub(crate) fn without_decoder(self) -> Self {
        Self {
            layers: 0,
            sliding: None,
            head: Head {
                makes_text: false,
                ..self.head
            },
            ..self
        }
    }

    /// Returns the shape without lm_head.
    pub(crate) fn without_lm_head(self) -> Self {
        Self {
            head: Head {
                makes_text: false,
                ..self.head
            },
            ..self
        }
    }
}
