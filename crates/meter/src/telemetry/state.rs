//! What a GPU tells of itself right now, as it is served.

use serde::Serialize;

use super::GpuHistory;
use joulemark_measurement::clock::Monotonic;

/// A GPU at the meter's latest look, at most a second or two old. What the board does not tell is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GpuState {
    /// Share of NVML's last sensor period (1/6 to 1 s) in which a kernel ran.
    pub utilisation_percent: Option<u32>,
    /// In degrees Celsius.
    pub temperature_c: Option<u32>,
    /// Clock of the streaming multiprocessors in MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Memory clock in MHz.
    pub memory_clock_mhz: Option<u32>,
    /// Memory in use, in bytes.
    pub memory_used_bytes: Option<u64>,
    /// The power limit in force, in watts.
    pub power_limit_w: Option<f64>,
    /// NVML's clock event (throttle) reasons that hold, by name; null when the board does not tell.
    pub throttle_reasons: Option<Vec<String>>,
    /// Whether the driver keeps the board initialised.
    pub persistence_mode: Option<bool>,
    /// Whether the board is cut into MIG slices.
    pub mig_enabled: Option<bool>,
    /// Processes with a compute context on the board; null when the board does not tell.
    pub compute_processes: Option<u32>,
    /// Why the board is not asked just now; null while it is.
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
        let (brisk, slow) = (&sample.brisk, &sample.slow);
        let names = brisk
            .clock_events
            .map(|events| events.names().into_iter().map(str::to_owned).collect());
        Self {
            utilisation_percent: brisk.utilisation_percent,
            temperature_c: slow.temperature_c,
            sm_clock_mhz: brisk.sm_clock_mhz,
            memory_clock_mhz: brisk.memory_clock_mhz,
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
