//! Corrections of a shape by the model's files. Owns which of configuration and files is right.

use super::names::inner_name;
use super::placement::scores;
use super::shape::ModelShape;
use super::tensor::TensorInfo;

impl ModelShape {
    /// Returns the shape corrected by the files: with the scores that they contain, with T5's lm_head tied where they
    /// contain none, and without T5's decoder where they contain only an encoder.
    pub(super) fn fitted_to(mut self, tensors: &[TensorInfo]) -> Self {
        let scores = scores(tensors);
        if !scores.is_empty() {
            self.head.scores = scores;
        }
        if self.particulars.encoder.is_none() || tensors.is_empty() {
            return self;
        }
        // transformers 5.24 always ties it; transformers 4 follows the configuration.
        self.tied = !has_lm_head(tensors);
        let has = |half: &str| tensors.iter().any(|tensor| tensor.name.starts_with(half));
        if has("encoder.") && !has("decoder.") {
            return self.without_decoder();
        }
        self
    }

    /// Returns whether the files may be those of the same model without lm_head.
    pub(super) fn may_lack_lm_head(&self, tensors: &[TensorInfo]) -> bool {
        self.head.makes_text && !self.tied && !has_lm_head(tensors)
    }
}

/// Returns whether there is a tensor of a lm_head.
fn has_lm_head(tensors: &[TensorInfo]) -> bool {
    tensors
        .iter()
        .any(|tensor| inner_name(&tensor.name).starts_with("lm_head."))
}
