//! Floating-point operations of a transformer, from its shape and the token counts of real requests.
//! Owns the families and the conventions of counting; opens no file (`model_files` does and hands over plain words).
//!
//! Conventions, the ones of PyTorch's `FlopCounterMode` over eager attention, so that the figures can be compared:
//! matrix products only, 2 FLOPs a multiply-add: linear layers, attention scores and values over the full T × S
//! matrix (no causal halving, no saving by a sliding window), and lm_head. Norms, softmax, activations, rotary
//! embedding, biases and the embedding look-up count 0. Of a mixture of experts only the chosen experts count.
//! Quantized models count the same products: they are computed after dequantization.

mod config_json;
mod count;
mod estimate;
mod family;
mod gguf_metadata;
mod metadata;
mod model_name;
#[cfg(test)]
mod reference_tests;
mod shape;
mod tensor;
mod weights;

pub use config_json::from_config_json;
pub use count::{Flops, Logits, RequestTokens, count_decode_step, count_prefill, count_request};
pub use estimate::{Estimator, FlopsEstimate, FlopsMethod};
pub use family::{FAMILIES, Family};
pub use gguf_metadata::from_gguf_metadata;
pub use metadata::MetadataValue;
pub use model_name::parameters_from_name;
pub use shape::{ModelShape, ShapeError};
pub use tensor::TensorInfo;
pub use weights::{Weight, WeightRole};
