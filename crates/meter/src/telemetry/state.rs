//! Defines the present state of a GPU as the API returns it.

use serde::Serialize;

use super::GpuHistory;
use joulemark_measurement::clock::Monotonic;

/// The state of a GPU at the meter's last reading, at most a second or two old. A value that the board does not report
/// is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GpuState {
    /// Percentage of NVML's last sensor period (1/6 to 1 s) in which a kernel ran.
    pub utilisation_percent: Option<u32>,
    /// Temperature in degrees Celsius.
    pub temperature_c: Option<u32>,
    /// Clock of the streaming multiprocessors in MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Memory clock in MHz.
    pub memory_clock_mhz: Option<u32>,
    /// Memory in use, in bytes.
    pub memory_used_bytes: Option<u64>,
    /// Power limit in force, in watts.
    pub power_limit_w: Option<f64>,
    /// Names of NVML's clock event (throttle) reasons that hold; null when the board does not report them.
    pub throttle_reasons: Option<Vec<String>>,
    /// Whether the driver keeps the board initialised.
    pub persistence_mode: Option<bool>,
    /// Whether the board is partitioned into MIG slices.
    pub mig_enabled: Option<bool>,
    /// Number of processes with a compute context on the board; null when the board does not report it.
    pub compute_processes: Option<u32>,
    /// Why the board is not read now; null while it is.
    pub lost: Option<String>,
}

impl GpuState {
    /// Returns the state that the history shows at `now`.
    pub(crate) fn at(history: &GpuHistory, now: Monotonic) -> Self {
        let lost = history.trouble.lost.clone();
        let Some(sample) = history.holding(now).filter(|_| lost.is_none()) else {
            return Self {
                lost,
                ..Self::default()
            };
        };
        let (fast, slow) = (&sample.fast, &sample.slow);
        let names = fast
            .clock_events
            .map(|events| events.names().into_iter().map(str::to_owned).collect());
        Self {
            utilisation_percent: fast.utilisation_percent,
            temperature_c: slow.temperature_c,
            sm_clock_mhz: fast.sm_clock_mhz,
            memory_clock_mhz: fast.memory_clock_mhz,
            memory_used_bytes: slow.memory_used_bytes,
            power_limit_w: slow.power_limit_w,
            throttle_reasons: names,
            persistence_mode: slow.persistence_mode,
            mig_enabled: slow.mig_enabled,
            compute_processes: slow.compute_pids.as_ref().map(|pids| pids.len() as u32),
            lost,
        }
    }
}
