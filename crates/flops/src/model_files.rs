//! The headers of a model's files: GGUF, or a folder with `config.json` and safetensors. Owns finding, naming and
//! reading the files; leaves the arithmetic to the crate's root. Reads weights only to hash them.
//!
//! [`describe()`] reads what counting needs, [`ModelFiles::open`] everything in the headers.

#[cfg(test)]
mod any_bytes;
mod catalogue;
mod config;
mod config_text;
mod description;
mod error;
mod files;
mod fingerprint;
mod ggml_type;
mod gguf;
mod gguf_model;
mod loadable;
mod open;
mod parameter_estimate;
mod parameters;
mod passed;
mod pickles;
mod read;
mod resolve;
mod safetensors;
mod safetensors_model;
mod sha256;
mod undescribed;
mod weight_size;
mod whole;

pub use catalogue::{ModelEntry, catalogue};
pub use description::{Description, describe, describe_config};
pub use error::{ModelFileError, ResolveError};
pub use files::{ModelFiles, ModelFormat};
pub use fingerprint::{Fingerprint, fingerprint};
pub use parameter_estimate::estimator_by_name;
pub use resolve::resolve;
pub use sha256::sha256;
