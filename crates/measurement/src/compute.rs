use serde::{Deserialize, Serialize};

use super::Confidence;

/// FLOPs and bytes of one rank in one cycle, of one cycle, or of the whole experiment. FLOPs are exact integers up to
/// 2⁵³.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComputeMetrics {
    // The table of metrics (`crates/analysis/src/metrics`) describes each metric.
    pub flops_total: Option<f64>,
    #[serde(default)]
    pub flops_prefill: Option<f64>,
    #[serde(default)]
    pub flops_decode: Option<f64>,
    #[serde(default)]
    pub flops_causal_total: Option<f64>,
    #[serde(default)]
    pub flops_elementwise: Option<f64>,
    #[serde(default)]
    pub macs_total: Option<f64>,
    #[serde(default)]
    pub flops_two_params_tokens: Option<f64>,
    pub flops_per_second: Option<f64>,
    pub flops_method: Option<String>,
    pub flops_confidence: Option<Confidence>,
    #[serde(default)]
    pub bytes_read_total: Option<f64>,
    #[serde(default)]
    pub bytes_read_decode: Option<f64>,
    #[serde(default)]
    pub bytes_per_token: Option<f64>,
    #[serde(default)]
    pub arithmetic_intensity: Option<f64>,
    #[serde(default)]
    pub roofline: Option<Roofline>,
    /// Assumptions of the count, and why a figure is uncertain or null.
    #[serde(default)]
    pub flops_notes: Vec<String>,
}

/// A run compared with the peak rates in the datasheets of its devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Roofline {
    // The table of metrics (`crates/analysis/src/metrics`) describes each metric.
    /// Name of the devices, all of which are of the same kind.
    pub device: String,
    /// Number of devices that the rates cover.
    pub devices: u32,
    /// Type of the activations, which selects the peak.
    pub precision: String,
    /// Peak of one device in FLOP/s, dense.
    pub peak_flops_per_second: f64,
    /// Peak memory bandwidth of one device in bytes/s.
    pub peak_bytes_per_second: f64,
    /// Document that states the peaks.
    pub source: String,
    pub model_flops_utilization: Option<f64>,
    pub memory_bandwidth_utilization: Option<f64>,
    pub least_time_sec: Option<f64>,
    pub roofline_share: Option<f64>,
}
