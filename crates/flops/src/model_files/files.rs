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

/// A model as the headers of its files describe it.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    /// Format of the files.
    pub format: ModelFormat,
    /// `general.architecture` of a GGUF, or `model_type` of a `config.json`.
    pub architecture: String,
    /// Dimensions, or the reason why the files do not give them.
    pub shape: Result<ModelShape, ShapeError>,
    /// Tensors of all files, in the files' order.
    pub tensors: Vec<TensorInfo>,
    /// Files that contain weights, shards in order.
    pub files: Vec<PathBuf>,
    /// Sum of their sizes in bytes.
    pub file_bytes: u64,
    /// Longest context that the model was made for, in tokens; `None` where the files do not state it.
    pub max_context_tokens: Option<u64>,
    /// Number of tokens in the vocabulary; `None` where the files do not state it.
    pub vocab_size: Option<u64>,
    /// Whether there is a tokenizer, in the folder or in the GGUF.
    pub has_tokenizer: bool,
    /// Whether there is a chat template, in the folder or in the GGUF.
    pub has_chat_template: bool,
    /// Whether the base of the rotary embedding is where mistral.rs 0.8.1 looks for it.
    pub has_rope_theta: bool,
    /// Number of parameters by the tensors' elements: a tied lm_head counts once, buffers (rotary tables, masks,
    /// scales) do not count. For packed weights (GPTQ, AWQ) by the architecture; `None` where that is unknown too.
    pub parameters_total: Option<u64>,
    /// Storage of the weights: the type of most of them (`Q4_1`, `BF16`), or the method of a quantized folder with its
    /// bits (`gptq 4-bit`).
    pub quantization: String,
    /// Bits of one weight by the configuration; `None` for a GGUF, whose tensors state their types.
    pub(super) stated_bits: Option<u32>,
    pub(super) loadable_problems: Vec<String>,
    /// Reason why the files are not a whole model, in words; `None` where they are.
    pub(super) not_whole: Option<String>,
    /// Whether the weights of a folder with safetensors were quantized before they were saved.
    pub is_quantized: bool,
    /// Parameters by the tensors' elements, where tensors could not be assigned to operators.
    pub(super) counted: Option<Counted>,
    /// Operators compared with the tensors; `None` without a shape.
    pub(super) walk: Option<Walk>,
}

impl ModelFiles {
    /// Returns the reasons, in words, why mistral.rs 0.8.1 cannot load the model; empty when none is known.
    pub fn loadable_problems(&self) -> &[String] {
        &self.loadable_problems
    }

    /// Returns the most precise way to count this model's FLOPs: by its operators, compared with its tensors; else by
    /// its parameters, from the tensors' elements, from the files' size, or from the size in its name.
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
            (None, Ok(_)) => "its operators are unknown".to_owned(),
        };
        if let Some(counted) = &self.counted {
            return Estimator::Parameters(counted.parameters(&reason));
        }
        let by_size = self
            .stated_bits
            .map(|bits| self.file_bytes.saturating_mul(8) / u64::from(bits.max(1)));
        estimate_by_size_or_name(by_size, name, &reason)
    }

    /// Computes the SHA-256 of the weights in lowercase hexadecimal: of the file itself or, with several files, of the
    /// lines `<sha256>  <file name>` in the files' order. It reads every byte, so cache the result.
    ///
    /// # Errors
    /// Returns [`ModelFileError::Io`] when a file cannot be read to its end.
    pub fn sha256(&self) -> Result<String, ModelFileError> {
        sha256::of_files(&self.files)
    }
}

/// Compares the operators of a model with its tensors. Returns them, and the number of parameters where every tensor
/// belongs to an operator. Files that lack only lm_head are those of the model without it.
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
