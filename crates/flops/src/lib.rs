//! FLOPs, bytes and arithmetic intensity of transformer inference, counted from the headers of a model's files and its
//! numbers of tokens.
//!
//! The crate owns the families of models, the conventions of counting and the readers of GGUF and safetensors headers.
//! It opens no network connection, reads no weights (except to hash them), runs no model and measures nothing.
//!
//! ```
//! use joulemark_flops::model_files::describe_config;
//! use joulemark_flops::{Confidence, Logits, Question, RequestTokens};
//!
//! // The `config.json` of SmolLM2-135M, shortened. `model_files::describe` takes a path instead.
//! let config = serde_json::json!({
//!     "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
//!     "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": true,
//!     "torch_dtype": "bfloat16",
//! });
//! // A prompt of 512 tokens, and two output tokens: the prefill gives the first, one decode step the second.
//! // `flops_decode` sums all `output` - 1 decode steps: here one.
//! let tokens = RequestTokens { input: 512, output: 2 };
//! let question = Question { tokens, batch: 1, logits: Logits::Last, device: None };
//! let answer = describe_config(&config, "SmolLM2-135M").answer("SmolLM2-135M", &question);
//!
//! assert_eq!(answer.params_total, Some(134_515_008));
//! assert_eq!(answer.flops_decode, Some(304_418_304));
//! assert_eq!(answer.flops_confidence, Some(Confidence::Medium));
//! ```
//!
//! # Entry points
//!
//! | available | begin with | highest confidence |
//! |---|---|---|
//! | a folder or a GGUF file | [`model_files::describe()`], [`model_files::ModelFiles::open`] | high |
//! | the content of `config.json` | [`model_files::describe_config`], [`from_config_json`] | medium |
//! | the metadata of a GGUF file | [`from_gguf_metadata`] | high, with the tensors |
//! | a name such as `Llama-2-7b` | [`model_files::estimator_by_name`] | low |
//!
//! Each returns, or leads to, an [`Estimator`]. It answers one [`Question`] with a [`FlopsAnswer`], or counts any
//! [`Schedule`] of requests into a [`FlopsEstimate`].
//!
//! # What is counted
//!
//! The conventions are those of PyTorch's `FlopCounterMode` over eager attention, so the figures can be compared:
//!
//! - Only matrix products count, with 2 FLOPs for each multiply-add: linear layers, attention scores and values,
//!   lm_head.
//! - Attention counts the full T × S matrix of new tokens and cached keys, without causal halving. In decode, a layer
//!   with a sliding window sees no more keys than the window; its prefill computes the whole matrix and masks it.
//! - Norms, softmax, activations, rotary embedding and biases are counted separately (`flops_elementwise`, one FLOP for
//!   each operation). The embedding look-up counts 0.
//! - In a mixture of experts only the chosen experts count.
//! - Recurrent layers count the products that the plain path of transformers 5.24 computes: chunk by chunk with padding
//!   in a prefill, token by token in decode.
//! - An encoder processes the input once. Its decoder begins with one token and attends to the whole input in each
//!   step.
//! - A quantized model has the same products, because they are computed after dequantization.
//!
//! # Confidence in a figure
//!
//! [`FlopsMethod`] is the method of a count, and [`Confidence`] the confidence in it: high for [`FlopsMethod::Traced`],
//! medium for [`FlopsMethod::Architecture`], low for [`FlopsMethod::ParameterEstimate`]. Where a model's files differ
//! from its family by more than a quarter, the count by the family's formulas has low confidence too. Files that are
//! not a whole model get no figure.
//!
//! # Structure
//!
//! A [`ModelShape`] contains a model's dimensions. `operator` lists its operators, `line` gives each one a cost for
//! each unit of work, and a [`Schedule`] gives the amount of work. Where the tensors are known, `placement` assigns
//! each one to an operator.

#[cfg(test)]
mod absorbed_tests;
mod answer;
mod companion;
mod config_json;
mod count;
#[cfg(test)]
mod engine_tests;
mod estimate;
#[cfg(test)]
mod facts_tests;
mod family;
mod gguf_metadata;
pub mod json_text;
mod line;
mod metadata;
pub mod model_files;
mod model_name;
mod names;
mod operator;
mod peaks;
mod placement;
#[cfg(test)]
mod placement_tests;
mod roofline;
mod schedule;
mod shape;
mod shortened;
mod stored;
mod tensor;
mod traffic;
mod units;
mod walk;

pub use answer::{FlopsAnswer, OperatorAnswer, Question};
pub use config_json::from_config_json;
pub use count::Flops;
pub use estimate::{Estimator, FlopsEstimate, FlopsMethod, Parameters};
pub use family::{FAMILIES, Family};
pub use gguf_metadata::from_gguf_metadata;
pub use line::OperatorKind;
pub use metadata::MetadataValue;
pub use model_name::{NamedSize, size_from_name};
pub use names::Naming;
pub use peaks::{DevicePeaks, KNOWN_DEVICES, device_named, known_device};
pub use roofline::Devices;
pub use schedule::{LatentCache, Logits, RanPasses, RequestTokens, Schedule};
pub use shape::{ModelShape, ShapeError};
pub use tensor::TensorInfo;
pub use traffic::Traffic;
pub use walk::Walk;

use shortened::shortened;

pub use joulemark_measurement::{ComputeMetrics, Confidence, Roofline};

/// Runs the code of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
