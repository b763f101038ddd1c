use serde::{Deserialize, Serialize};

use super::Confidence;

/// Floating-point operations of one rank in one cycle, of one cycle, or of the whole experiment. FLOPs are exact
/// integers up to 2⁵³.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComputeMetrics {
    /// Matrix products only, 2 FLOPs a multiply-add, attention over the full T × S matrix of new tokens and keys in the
    /// cache, the last position's logits in prefill, as PyTorch's FlopCounterMode counts; over each request's own
    /// lengths.
    pub flops_total: Option<f64>,
    /// The prefill's part of `flops_total`.
    #[serde(default)]
    pub flops_prefill: Option<f64>,
    /// The decode steps' part of `flops_total`.
    #[serde(default)]
    pub flops_decode: Option<f64>,
    /// `flops_total` with only those pairs in attention whose key is not later than the query.
    #[serde(default)]
    pub flops_causal_total: Option<f64>,
    /// Norms, softmax, activations, rotary embedding and sums, one FLOP an operation; not in `flops_total`.
    #[serde(default)]
    pub flops_elementwise: Option<f64>,
    /// Multiply-adds: `flops_total` / 2.
    #[serde(default)]
    pub macs_total: Option<f64>,
    /// The methodology's approximation: 2 × parameters that a token passes × input and output tokens.
    #[serde(default)]
    pub flops_two_params_tokens: Option<f64>,
    /// `flops_total` / `inference_time_sec`, FLOP/s; in the aggregate over `duration_sec`.
    pub flops_per_second: Option<f64>,
    /// `traced`, `architecture` or `parameter_estimate`; null when nothing could be counted.
    pub flops_method: Option<String>,
    /// `high`, `medium` and `low`, in the same order.
    pub flops_confidence: Option<Confidence>,
    /// Bytes of weights, keys and values that the passes must read at the least, by the weights' real types: each pass
    /// its weights once, each sequence its cache once. An estimate of the traffic, not a measurement.
    #[serde(default)]
    pub bytes_read_total: Option<f64>,
    /// The decode steps' part of `bytes_read_total`.
    #[serde(default)]
    pub bytes_read_decode: Option<f64>,
    /// `bytes_read_decode` for each token of a decode step: what one more token has to read.
    #[serde(default)]
    pub bytes_per_token: Option<f64>,
    /// `flops_total` / `bytes_read_total`, FLOP/byte.
    #[serde(default)]
    pub arithmetic_intensity: Option<f64>,
    /// What of the devices' peaks was reached; null where a peak is not known.
    #[serde(default)]
    pub roofline: Option<Roofline>,
    /// Assumptions, and why a figure is not better or not there.
    #[serde(default)]
    pub flops_notes: Vec<String>,
}

/// A run beside what its devices can do at the most, by their datasheets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Roofline {
    /// The device's name, of each of the `devices` devices of the same kind.
    pub device: String,
    /// How many such devices the rates are of.
    pub devices: u32,
    /// The type of the activations, which decides the peak.
    pub precision: String,
    /// Peak of one device in FLOP/s, dense.
    pub peak_flops_per_second: f64,
    /// Peak memory bandwidth of one device in bytes/s.
    pub peak_bytes_per_second: f64,
    /// The document that states the peaks.
    pub source: String,
    /// Model FLOPs utilisation (MFU): `flops_per_second` / peak of all devices.
    pub model_flops_utilization: Option<f64>,
    /// Model bandwidth utilisation (MBU): `bytes_read_total` / time / peak bandwidth of all devices.
    pub memory_bandwidth_utilization: Option<f64>,
    /// The least time in seconds that the roofline allows: for prefill and for decode the longer of computing and
    /// reading.
    pub least_time_sec: Option<f64>,
    /// Share of the roofline reached: `least_time_sec` / time taken.
    pub roofline_share: Option<f64>,
}
