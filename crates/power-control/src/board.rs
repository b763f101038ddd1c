//! One board, accessed by NVML: reads its limits, and sets limits and clocks when this process has the permission. Each
//! call loads the library again, so that it works after the driver was reloaded.

use std::path::Path;

use joulemark_measurement::units::MILLIWATTS_PER_WATT;
use joulemark_meter::open_nvml;
use nvml_wrapper::enums::device::GpuLockedClocksSetting;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use thiserror::Error;

use crate::setting::Setting;

/// The reason why a board could not be set.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ControlError {
    /// The permission is missing.
    #[error("it may not be set: {0}")]
    Forbidden(String),
    /// The driver or the daemon rejected the value.
    #[error("{0}")]
    Refused(String),
    /// The driver, the board or the daemon does not answer.
    #[error("{0}")]
    Away(String),
}

/// The present power limits of a board.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Present index in NVML.
    pub index: u32,
    /// The limit that was set, in watts; `None` for a board without one.
    pub set_w: Option<f64>,
    /// The lowest limit that applies, in watts; `None` when it cannot be read.
    pub in_force_w: Option<f64>,
    /// The limit after the driver is loaded, in watts; `None` when it cannot be read.
    pub default_w: Option<f64>,
    /// The energy counter in millijoules, which restarts at 0 with the driver; `None` when it cannot be read.
    pub counter_mj: Option<u64>,
}

/// Runs `ask` on the board with this UUID.
fn with_board<T>(
    library: Option<&Path>,
    uuid: &str,
    ask: impl FnOnce(&mut Device<'_>) -> Result<T, NvmlError>,
) -> Result<T, ControlError> {
    let nvml: Nvml = open_nvml(library).map_err(|finding| ControlError::Away(finding.detail))?;
    let mut device = nvml.device_by_uuid(uuid).map_err(to_control_error)?;
    ask(&mut device).map_err(to_control_error)
}

/// Converts an error of NVML.
fn to_control_error(error: NvmlError) -> ControlError {
    match error {
        NvmlError::NoPermission => ControlError::Forbidden(format!("NVML: {error}")),
        NvmlError::InvalidArg | NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_) => {
            ControlError::Refused(format!("NVML: {error}"))
        }
        error => ControlError::Away(format!("NVML: {error}")),
    }
}

/// Reads the limits of a board. Blocks.
///
/// # Errors
/// Returns [`ControlError`] when the driver or the board does not answer.
pub fn reads(library: Option<&Path>, uuid: &str) -> Result<Limits, ControlError> {
    with_board(library, uuid, |device| {
        let watts = |milliwatts: u32| f64::from(milliwatts) / MILLIWATTS_PER_WATT;
        Ok(Limits {
            index: device.index()?,
            set_w: device.power_management_limit().ok().map(watts),
            in_force_w: device.enforced_power_limit().ok().map(watts),
            default_w: device.power_management_limit_default().ok().map(watts),
            counter_mj: device.total_energy_consumption().ok(),
        })
    })
}

/// Sets a board directly. Blocks.
///
/// # Errors
/// Returns the [`ControlError`] of the first value that was rejected; values set before it remain set.
pub fn set(library: Option<&Path>, uuid: &str, setting: &Setting) -> Result<(), ControlError> {
    with_board(library, uuid, |device| {
        if let Some(mhz) = setting.memory_clock_mhz {
            device.set_mem_locked_clocks(mhz, mhz)?;
        }
        if let Some(mhz) = setting.gpu_clock_mhz {
            let both = GpuLockedClocksSetting::Numeric {
                min_clock_mhz: mhz,
                max_clock_mhz: mhz,
            };
            device.set_gpu_locked_clocks(both)?;
        }
        match setting.power_limit_w {
            Some(watts) => device.set_power_management_limit(milliwatts(watts)),
            None => Ok(()),
        }
    })
}

/// Unlocks the clocks of a board directly. Blocks.
///
/// # Errors
/// Returns the [`ControlError`] of the first clock that could not be unlocked.
pub fn unlock(library: Option<&Path>, uuid: &str, (gpu, memory): (bool, bool)) -> Result<(), ControlError> {
    with_board(library, uuid, |device| {
        if gpu {
            device.reset_gpu_locked_clocks()?;
        }
        if memory {
            device.reset_mem_locked_clocks()?;
        }
        Ok(())
    })
}

/// Checks that this process can set a board, by setting its present limit again. Blocks.
///
/// # Errors
/// Returns [`ControlError`] when it cannot.
pub fn check_permission(library: Option<&Path>, uuid: &str) -> Result<(), ControlError> {
    with_board(library, uuid, |device| {
        let now = device.power_management_limit()?;
        device.set_power_management_limit(now)
    })
}

/// Converts watts to whole milliwatts, the unit of NVML.
pub fn milliwatts(watts: f64) -> u32 {
    (watts * MILLIWATTS_PER_WATT).round() as u32
}
