use serde::{Deserialize, Serialize};

/// Time series of one device, sampled by the meter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceSeries {
    /// NVML index of a GPU; null for a CPU source.
    pub gpu: Option<u32>,
    /// The GPU's UUID; null for a CPU source.
    pub gpu_uuid: Option<String>,
    /// Name of the RAPL zone, or `host` for the estimate.
    pub zone: Option<String>,
    /// Folder of the RAPL zone; null where there is none.
    pub zone_path: Option<String>,
    /// Points in order of time.
    pub points: Vec<SeriesPoint>,
}

/// One sample, or the mean over one step of the requested resolution. A point stands for the time since the previous
/// point, so that the sum of `power_w` times that time is the energy. A value that the device does not report is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeriesPoint {
    /// CLOCK_MONOTONIC, seconds.
    pub at_monotonic_sec: f64,
    /// Mean power in watts since the previous point: the rate of change of an energy counter, or the integral of polled
    /// power over time.
    pub power_w: Option<f64>,
    /// For a GPU, NVML's SM utilisation; for a CPU, the busy share of the host's CPUs; both in percent.
    pub utilisation_percent: Option<f64>,
    /// Temperature in degrees Celsius.
    pub temperature_c: Option<f64>,
    /// Clock of the streaming multiprocessors in MHz.
    pub sm_clock_mhz: Option<f64>,
    /// Memory clock in MHz.
    pub memory_clock_mhz: Option<f64>,
    /// Memory in use, in bytes.
    pub memory_used_bytes: Option<f64>,
    /// The board's power limit in watts.
    pub power_limit_w: Option<f64>,
    /// Names of NVML's active clock event (throttle) reasons.
    pub throttle_reasons: Vec<String>,
}
