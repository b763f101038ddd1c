use serde::{Deserialize, Serialize};

/// One device over time, as the meter sampled it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceSeries {
    /// NVML index of a GPU; null for a CPU source.
    pub gpu: Option<u32>,
    /// The GPU's UUID; null for a CPU source.
    pub gpu_uuid: Option<String>,
    /// The RAPL zone's name; `host` for the estimate.
    pub zone: Option<String>,
    /// The RAPL zone's folder; null where there is none.
    pub zone_path: Option<String>,
    /// In order of time.
    pub points: Vec<SeriesPoint>,
}

/// One sample, or the mean over a step of the asked-for resolution. A point stands for the time since the point before
/// it, so that `power_w` times that time adds up to the energy. What a device does not tell is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeriesPoint {
    /// CLOCK_MONOTONIC, seconds.
    pub at_monotonic_sec: f64,
    /// Mean power since the point before, in watts: the difference quotient of a counter, the integral of polled power.
    pub power_w: Option<f64>,
    /// GPU: NVML's SM utilisation; CPU: busy share of the host's CPUs, both in percent.
    pub utilisation_percent: Option<f64>,
    /// In degrees Celsius.
    pub temperature_c: Option<f64>,
    /// Clock of the streaming multiprocessors in MHz.
    pub sm_clock_mhz: Option<f64>,
    /// Memory clock in MHz.
    pub memory_clock_mhz: Option<f64>,
    /// Memory in use, in bytes.
    pub memory_used_bytes: Option<f64>,
    /// The board's power limit in watts.
    pub power_limit_w: Option<f64>,
    /// NVML's clock event (throttle) reasons that hold, by name.
    pub throttle_reasons: Vec<String>,
}
