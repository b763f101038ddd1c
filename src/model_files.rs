//! What a model's files say about it, from their headers: GGUF, or a folder with `config.json` and safetensors.
//! Owns reading and naming the files; the arithmetic over what they say is `flops`. Never reads a weight, but to hash.

mod catalogue;
mod config;
mod description;
mod error;
mod fingerprint;
mod ggml_type;
mod gguf;
mod gguf_model;
mod loadable;
mod parameters;
mod resolve;
mod safetensors;
mod safetensors_model;
mod sha256;

use std::path::{Path, PathBuf};

use serde::Serialize;
use utoipa::ToSchema;

pub use catalogue::{ModelEntry, catalogue};
pub use description::{Description, describe, describe_config};
pub use error::{ModelFileError, ResolveError};
pub use fingerprint::{Fingerprint, fingerprint};
pub use resolve::resolve;
pub use sha256::sha256;

use crate::flops::{
    Estimator, FlopsMethod, ModelShape, Naming, Parameters, ShapeError, TensorInfo, Walk, parameters_from_name,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelFormat {
    Gguf,
    Safetensors,
}

/// One model as its files' headers describe it.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    pub format: ModelFormat,
    /// `general.architecture` of a GGUF, or `model_type` of a `config.json`.
    pub architecture: String,
    /// The dimensions, or why they could not be had.
    pub shape: Result<ModelShape, ShapeError>,
    /// All tensors of all files, in the files' order.
    pub tensors: Vec<TensorInfo>,
    /// The files that hold weights, shards in their order.
    pub files: Vec<PathBuf>,
    /// Sum of their sizes in bytes.
    pub file_bytes: u64,
    /// Longest context the model was made for, in tokens; null where the files do not say.
    pub max_context_tokens: Option<u64>,
    pub vocab_size: Option<u64>,
    pub has_tokenizer: bool,
    pub has_chat_template: bool,
    /// Whether the base of the rotary embedding stands where mistral.rs 0.8.1 looks for it.
    pub has_rope_theta: bool,
    /// Parameters by the tensors' elements: a tied lm_head once, buffers (rotary tables, masks, scales) not at all.
    /// Of packed weights (GPTQ, AWQ) by the architecture; null where that is unknown too.
    pub parameters_total: Option<u64>,
    /// How the weights are stored: the type that most of them have (`Q4_1`, `BF16`), or the method of a quantized
    /// folder with its bits (`gptq 4-bit`).
    pub quantization: String,
    /// Bits of one weight, as the configuration states them; null in a GGUF, whose tensors tell.
    stated_bits: Option<u32>,
    loadable_problems: Vec<String>,
    /// The operators held against the tensors, once; null where there is no shape.
    walk: Option<Walk>,
}

impl ModelFiles {
    /// Reads the headers of a `.gguf` file (with its sibling shards), of a folder with `config.json` and safetensors,
    /// or of a folder with exactly one GGUF model. Where a folder has both, safetensors are taken: the GGUF can be
    /// named by its own path.
    ///
    /// # Errors
    /// [`ModelFileError`], whose variants tell a wrong name from a broken file and from a passing fault of the disk.
    pub fn open(path: &Path) -> Result<Self, ModelFileError> {
        let metadata = std::fs::metadata(path).map_err(|error| ModelFileError::io(path, error))?;
        if !metadata.is_dir() {
            return match path.extension() {
                Some(extension) if extension.eq_ignore_ascii_case("gguf") => gguf_model::open(path),
                _ => Err(ModelFileError::NotAModel { path: path.to_owned() }),
            };
        }
        if path.join("config.json").is_file() && !safetensors_model::weight_files(path)?.is_empty() {
            return safetensors_model::open(path);
        }
        gguf_model::open(&gguf_model::only_model_in(path)?)
    }

    /// In words, why mistral.rs 0.8.1 could not load the model; empty when nothing is known to be in the way.
    pub fn loadable_problems(&self) -> &[String] {
        &self.loadable_problems
    }

    /// The best way to count this model's FLOPs: its operators, held against its tensors; else its parameters by the
    /// tensors' elements, by the files' size, or by the size its name states.
    pub fn estimator(&self, name: &str) -> Estimator {
        let reason = match (&self.walk, &self.shape) {
            (Some(walk), _) => return Estimator::Walk(Box::new(walk.clone())),
            (None, Err(error)) => error.to_string(),
            (None, Ok(_)) => "its operators are not known".to_owned(),
        };
        if let Some(count) = self.parameters_total {
            return Estimator::Parameters(Parameters {
                count,
                method: FlopsMethod::Architecture,
                basis: format!("the tensors' sizes, because {reason}"),
            });
        }
        let by_size = self
            .stated_bits
            .map(|bits| self.file_bytes.saturating_mul(8) / u64::from(bits.max(1)));
        estimate_by_size_or_name(by_size, name, &reason)
    }

    /// SHA-256 of the weights, lowercase hex: of the file itself, or of several files that of the lines
    /// `<sha256>  <file name>` in the files' order. Reads every byte: cache it.
    ///
    /// # Errors
    /// [`ModelFileError::Io`] when a file cannot be read to its end.
    pub fn sha256(&self) -> Result<String, ModelFileError> {
        sha256::of_files(&self.files)
    }
}

/// The operators of a model held against its tensors, and its parameters where both fit.
fn walk(shape: &Result<ModelShape, ShapeError>, naming: Naming, tensors: &[TensorInfo]) -> (Option<Walk>, Option<u64>) {
    let walk = shape
        .as_ref()
        .ok()
        .map(|shape| Walk::new(shape.clone(), naming, tensors, None));
    let traced = walk.as_ref().filter(|walk| walk.is_traced());
    let parameters = traced.and_then(|walk| u64::try_from(walk.shape().parameters_total()).ok());
    (walk, parameters)
}

/// For a model without files here: by the size its name states.
pub fn estimator_by_name(name: &str) -> Estimator {
    estimate_by_size_or_name(None, name, "its files are not here")
}

/// The last resort, where neither operators nor elements can be counted.
fn estimate_by_size_or_name(by_size: Option<u64>, name: &str, reason: &str) -> Estimator {
    let estimate = |count, basis: &str| {
        Estimator::Parameters(Parameters {
            count,
            method: FlopsMethod::ParameterEstimate,
            basis: format!("{basis}, because {reason}"),
        })
    };
    match (by_size, parameters_from_name(name)) {
        (Some(count), _) => estimate(count, "the files' size and the weights' type"),
        (None, Some(count)) => estimate(count, "the model's name"),
        (None, None) => Estimator::Unknown {
            reason: format!("{reason}, and neither tensors, nor sizes, nor the name give the parameters"),
        },
    }
}
