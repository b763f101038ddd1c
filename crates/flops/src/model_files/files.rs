use std::path::PathBuf;

use serde::Serialize;

use super::error::ModelFileError;
use super::parameter_estimate::estimate_by_size_or_name;
use super::sha256;
use super::undescribed::Counted;
use crate::{Estimator, ModelShape, Naming, ShapeError, TensorInfo, Walk};

/// The format of a model's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ModelFormat {
    /// One GGUF file or its shards.
    Gguf,
    /// A folder with `config.json` and safetensors.
    Safetensors,
}

/// One model as its files' headers describe it.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    /// The format of the files.
    pub format: ModelFormat,
    /// `general.architecture` of a GGUF, or `model_type` of a `config.json`.
    pub architecture: String,
    /// The dimensions, or the reason why the files do not tell them.
    pub shape: Result<ModelShape, ShapeError>,
    /// All tensors of all files, in the files' order.
    pub tensors: Vec<TensorInfo>,
    /// The files that hold weights, shards in their order.
    pub files: Vec<PathBuf>,
    /// Sum of their sizes in bytes.
    pub file_bytes: u64,
    /// Longest context the model was made for, in tokens; `None` where the files do not say.
    pub max_context_tokens: Option<u64>,
    /// Tokens in the vocabulary; `None` where the files do not say.
    pub vocab_size: Option<u64>,
    /// Whether a tokenizer lies beside the weights or in the GGUF.
    pub has_tokenizer: bool,
    /// Whether a chat template lies beside the weights or in the GGUF.
    pub has_chat_template: bool,
    /// Whether the base of the rotary embedding stands where mistral.rs 0.8.1 looks for it.
    pub has_rope_theta: bool,
    /// Parameters by the tensors' elements: a tied lm_head once, buffers (rotary tables, masks, scales) not at all.
    /// Of packed weights (GPTQ, AWQ) by the architecture; `None` where that is unknown too.
    pub parameters_total: Option<u64>,
    /// How the weights are stored: the type that most of them have (`Q4_1`, `BF16`), or the method of a quantized
    /// folder with its bits (`gptq 4-bit`).
    pub quantization: String,
    /// Bits of one weight, as the configuration states them; `None` in a GGUF, whose tensors tell.
    pub(super) stated_bits: Option<u32>,
    pub(super) loadable_problems: Vec<String>,
    /// Why the files are no whole model, in words; `None` where they are one.
    pub(super) not_whole: Option<String>,
    /// Whether the weights were quantized before they were saved, of a folder with safetensors.
    pub is_quantized: bool,
    /// The parameters by the tensors' elements, where they are not traced to operators.
    pub(super) counted: Option<Counted>,
    /// The operators compared with the tensors, once; `None` where there is no shape.
    pub(super) walk: Option<Walk>,
}

impl ModelFiles {
    /// Returns the reasons, in words, why mistral.rs 0.8.1 cannot load the model; empty when none is known.
    pub fn loadable_problems(&self) -> &[String] {
        &self.loadable_problems
    }

    /// Returns the best way to count this model's FLOPs: by its operators, compared with its tensors; else by its
    /// parameters, from the tensors' elements, from the files' size, or from the size that its name states.
    pub fn estimator(&self, name: &str) -> Estimator {
        if let Some(reason) = &self.not_whole {
            return Estimator::Unknown { reason: reason.clone() };
        }
        let reason = match (&self.walk, &self.shape) {
            (Some(walk), _) => return Estimator::Walk(Box::new(walk.clone())),
            (None, Err(error)) if error.is_zero() => {
                return Estimator::Unknown {
                    reason: error.to_string(),
                };
            }
            (None, Err(error)) => error.to_string(),
            (None, Ok(_)) => "its operators are not known".to_owned(),
        };
        if let Some(counted) = &self.counted {
            return Estimator::Parameters(counted.parameters(&reason));
        }
        let by_size = self
            .stated_bits
            .map(|bits| self.file_bytes.saturating_mul(8) / u64::from(bits.max(1)));
        estimate_by_size_or_name(by_size, name, &reason)
    }

    /// Computes the SHA-256 of the weights, lowercase hex: of the file itself, or of several files that of the lines
    /// `<sha256>  <file name>` in the files' order. Reads every byte: cache it.
    ///
    /// # Errors
    /// Returns [`ModelFileError::Io`] when a file cannot be read to its end.
    pub fn sha256(&self) -> Result<String, ModelFileError> {
        sha256::of_files(&self.files)
    }
}

/// Compares the operators of a model with its tensors; returns them, and the number of parameters where all tensors
/// belong to operators. Files that lack nothing but lm_head are those of the model without it.
pub(super) fn walk(
    shape: &Result<ModelShape, ShapeError>,
    naming: Naming,
    tensors: &[TensorInfo],
) -> (Option<Walk>, Option<u64>) {
    let walk = shape.as_ref().ok().map(|shape| {
        let walk = Walk::new(shape.clone(), naming, tensors, None);
        let bare = (!walk.is_traced() && shape.may_lack_lm_head(tensors))
            .then(|| Walk::new(shape.clone().without_lm_head(), naming, tensors, None));
        bare.filter(Walk::is_traced).unwrap_or(walk)
    });
    let traced = walk.as_ref().filter(|walk| walk.is_traced());
    let parameters = traced.and_then(|walk| u64::try_from(walk.shape().parameters_total()).ok());
    (walk, parameters)
}
