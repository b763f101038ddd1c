//! Floating-point operations of a transformer, from its shape and the token counts of real requests.
//! Owns the families and the conventions of counting; opens no file (`model_files` does and hands over plain words).
//!
//! Conventions, the ones of PyTorch's `FlopCounterMode` over eager attention, so that the figures can be compared:
//! matrix products only, 2 FLOPs a multiply-add: linear layers, attention scores and values over the full T × S
//! matrix of new tokens and keys in the cache (no causal halving; layers with a sliding window keep no more keys than
//! the window, while their prefill computes the whole matrix and masks it), and lm_head. Norms, softmax, activations, rotary
//! embedding and biases stand apart (`flops_elementwise`, one FLOP an operation); the embedding look-up counts 0. Of a
//! mixture of experts only the chosen experts count. Quantized models count the same products: they are computed after
//! dequantization.
//!
//! A model is a [`ModelShape`]; its operators (`operator`) have costs for each unit of work (`line`), a [`Schedule`]
//! says how much work there is, and where a model's tensors are known each is held against its operator (`placement`).

mod answer;
mod config_json;
mod count;
mod estimate;
#[cfg(test)]
mod facts_tests;
mod family;
mod gguf_metadata;
mod line;
mod metadata;
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
mod tensor;
mod traffic;
mod walk;

pub use answer::{FlopsAnswer, OperatorAnswer, Question};
pub use config_json::from_config_json;
pub use count::Flops;
pub use estimate::{Estimator, FlopsEstimate, FlopsMethod, Parameters};
pub use family::{FAMILIES, Family};
pub use gguf_metadata::from_gguf_metadata;
pub use line::OperatorKind;
pub use metadata::MetadataValue;
pub use model_name::parameters_from_name;
pub use names::Naming;
pub use peaks::{DevicePeaks, KNOWN_DEVICES, device_named, known_device};
pub use roofline::Devices;
pub use schedule::{LatentCache, Logits, RequestTokens, Schedule};
pub use shape::{ModelShape, ShapeError};
pub use tensor::TensorInfo;
pub use traffic::Traffic;
pub use walk::Walk;
