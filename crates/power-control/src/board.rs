//! One board, by NVML: what limits it has, what it can be set to, and setting it where this process may. Each call opens
//! the library anew, so that a driver that was reloaded meanwhile is the one that is asked.

use std::path::Path;

use joulemark_measurement::units::MILLIWATTS_PER_WATT;
use joulemark_meter::open_nvml;
use nvml_wrapper::enums::device::GpuLockedClocksSetting;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use thiserror::Error;

use crate::setting::Setting;

/// Why a board is not set.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ControlError {
    #[error("it may not be set: {0}")]
    Forbidden(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Away(String),
}

/// What a board has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// NVML's index just now.
    pub index: u32,
    /// The limit that was set, in watts; `None` for a board that has none.
    pub set_w: Option<f64>,
    /// The lowest of all limits that apply, in watts.
    pub in_force_w: Option<f64>,
    /// The limit that it has when its driver is loaded, in watts.
    pub default_w: Option<f64>,
    /// What its energy counter shows, in millijoules: it starts again at 0 with the driver.
    pub counter_mj: Option<u64>,
}

/// Runs `ask` on the board with this UUID.
fn with_board<T>(
    library: Option<&Path>,
    uuid: &str,
    ask: impl FnOnce(&mut Device<'_>) -> Result<T, NvmlError>,
) -> Result<T, ControlError> {
    let nvml: Nvml = open_nvml(library).map_err(|finding| ControlError::Away(finding.detail))?;
    let mut device = nvml.device_by_uuid(uuid).map_err(in_words)?;
    ask(&mut device).map_err(in_words)
}

fn in_words(error: NvmlError) -> ControlError {
    match error {
        NvmlError::NoPermission => ControlError::Forbidden(format!("NVML: {error}")),
        NvmlError::InvalidArg | NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_) => {
            ControlError::Refused(format!("NVML: {error}"))
        }
        error => ControlError::Away(format!("NVML: {error}")),
    }
}

/// Reads what a board has. Blocks.
///
/// # Errors
/// [`ControlError::Away`] where the driver or the board does not answer.
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
/// [`ControlError`] of the first part that is not taken.
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

/// Unlocks clocks of a board directly. Blocks.
///
/// # Errors
/// [`ControlError`] of the first part that is not taken.
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

/// Tells whether this process may set a board, by setting the limit that it has already. Blocks.
///
/// # Errors
/// [`ControlError`] where it may not.
pub fn accepts(library: Option<&Path>, uuid: &str) -> Result<(), ControlError> {
    with_board(library, uuid, |device| {
        let now = device.power_management_limit()?;
        device.set_power_management_limit(now)
    })
}

/// Returns whole milliwatts, as NVML takes them.
pub fn milliwatts(watts: f64) -> u32 {
    (watts * MILLIWATTS_PER_WATT).round() as u32
}
