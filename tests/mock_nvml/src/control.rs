//! Settings of the mock's devices: power limit and locked clocks. Owns these calls, their switches, and the record next
//! to the library, `<library>.set`, in which all processes that load this file find what any of them has set.
//!
//! Each switch is a list with one item for each device, separated by commas; the last item applies to all further
//! devices. `set_refused=1` answers every setting with NO_PERMISSION, as for users other than root. `default_limit=400`
//! (W) is the limit after the driver is loaded. `min_limit=100` and `max_limit` bound the limit; `max_limit` is 0 for a
//! board without limits. `limit_step=0` (W) is the step to which a limit is rounded down. `stricter_limit=0` (W)
//! applies in addition to the limit that is set. The highest clocks are `max_gpu_clock=1980` and
//! `max_memory_clock=2619` (MHz).

use std::ffi::c_uint;
use std::io::Write as _;
use std::path::PathBuf;

use crate::config::{Config, of};
use crate::{Handle, INVALID_ARGUMENT, NO_PERMISSION, NOT_SUPPORTED, SUCCESS};
use crate::{monotonic, with_device, write};

/// Lowest clock that can be locked, in MHz.
const LOWEST_CLOCK_MHZ: c_uint = 210;
const CLOCK_STEP_MHZ: c_uint = 15;

pub struct Control {
    record: PathBuf,
    set_refused: Vec<f64>,
    default_limit: Vec<f64>,
    min_limit: Vec<f64>,
    limit_step: Vec<f64>,
    stricter_limit: Vec<f64>,
    max_gpu_clock: Vec<f64>,
    max_memory_clock: Vec<f64>,
}

/// One line of the record: a setting of a device, and the time from which it applies. The value 0 stands for none.
struct Line {
    at_sec: f64,
    device: u32,
    what: String,
    value: f64,
}

impl Control {
    pub fn from(record: PathBuf, list: impl Fn(&str, f64) -> Vec<f64>) -> Self {
        Self {
            record,
            set_refused: list("set_refused", 0.0),
            default_limit: list("default_limit", 400.0),
            min_limit: list("min_limit", 100.0),
            limit_step: list("limit_step", 0.0),
            stricter_limit: list("stricter_limit", 0.0),
            max_gpu_clock: list("max_gpu_clock", 1980.0),
            max_memory_clock: list("max_memory_clock", 2619.0),
        }
    }

    /// Returns the settings of a device since `since_sec`, in order.
    fn lines(&self, device: u32, what: &str, since_sec: f64) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.record).unwrap_or_default();
        let line = |line: &str| {
            let mut words = line.split(' ');
            let line = Line {
                at_sec: words.next()?.parse().ok()?,
                device: words.next()?.parse().ok()?,
                what: words.next()?.to_owned(),
                value: words.next()?.parse().ok()?,
            };
            Some(line)
        };
        let all = text.lines().filter_map(line);
        all.filter(|line| line.device == device && line.what == what && line.at_sec >= since_sec)
            .collect()
    }

    fn note(&self, device: u32, what: &str, value: f64) {
        let line = format!("{} {device} {what} {value}\n", monotonic::now_sec());
        let file = std::fs::File::options().append(true).create(true).open(&self.record);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.expect("mock_nvml: the record is written");
    }

    fn latest(&self, device: u32, what: &str, since_sec: f64) -> Option<f64> {
        Some(self.lines(device, what, since_sec).last()?.value).filter(|value| *value > 0.0)
    }

    /// Returns when a test reloads the driver.
    pub fn reload_at_sec(&self) -> Option<f64> {
        Some(self.lines(0, "reload", 0.0).last()?.at_sec)
    }

    /// Returns the limit that was set last, in watts.
    pub fn set_limit_w(&self, device: u32, since_sec: f64) -> Option<f64> {
        self.latest(device, "limit", since_sec)
    }

    /// Returns the limits in force from time 0 on, each with the time of its beginning.
    pub fn limits_w(&self, device: u32, since_sec: f64) -> Vec<(f64, f64)> {
        let first = (0.0, self.in_force(device, *of(&self.default_limit, device)));
        let lines = self.lines(device, "limit", since_sec);
        let later = lines
            .iter()
            .map(|line| (line.at_sec, self.in_force(device, line.value)));
        std::iter::once(first).chain(later).collect()
    }

    /// Returns the lowest of all limits that apply when `set_w` is set.
    pub fn in_force(&self, device: u32, set_w: f64) -> f64 {
        let stricter = Some(*of(&self.stricter_limit, device)).filter(|limit| *limit > 0.0);
        stricter.map_or(set_w, |limit| limit.min(set_w))
    }

    /// Returns the locked clock, in MHz.
    pub fn locked_mhz(&self, device: u32, what: &str, since_sec: f64) -> Option<f64> {
        self.latest(device, what, since_sec)
    }

    pub fn min_limit_w(&self, device: u32) -> f64 {
        *of(&self.min_limit, device)
    }

    pub fn default_limit_w(&self, device: u32) -> f64 {
        *of(&self.default_limit, device)
    }
}

/// Runs `set` where the caller has the permission to change settings.
fn setting(device: Handle, set: impl FnOnce(&Config, u32) -> c_uint) -> c_uint {
    with_device(device, |config, own| {
        if *of(&config.control.set_refused, own) != 0.0 {
            NO_PERMISSION
        } else {
            set(config, own)
        }
    })
}

// SAFETY (every `no_mangle` below): the names are NVML's own; nothing else in this library or its users defines them.

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceSetPowerManagementLimit(device: Handle, milliwatts: c_uint) -> c_uint {
    setting(device, |config, own| {
        let watts = f64::from(milliwatts) / 1e3;
        match config.max_limit_w(own) {
            None => NOT_SUPPORTED,
            Some(max_w) if !(config.control.min_limit_w(own)..=max_w).contains(&watts) => INVALID_ARGUMENT,
            Some(_) => {
                let step = *of(&config.control.limit_step, own);
                let rounded = if step > 0.0 {
                    (watts / step).floor() * step
                } else {
                    watts
                };
                config.control.note(own, "limit", rounded);
                SUCCESS
            }
        }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetPowerManagementLimit(device: Handle, milliwatts: *mut c_uint) -> c_uint {
    with_device(device, |config, own| match config.max_limit_w(own) {
        None => NOT_SUPPORTED,
        Some(_) => write(
            milliwatts,
            (config
                .control
                .set_limit_w(own, config.loaded_at_sec())
                .unwrap_or_else(|| config.control.default_limit_w(own))
                * 1e3)
                .round() as c_uint,
        ),
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetPowerManagementDefaultLimit(device: Handle, milliwatts: *mut c_uint) -> c_uint {
    with_device(device, |config, own| match config.max_limit_w(own) {
        None => NOT_SUPPORTED,
        Some(_) => write(milliwatts, (config.control.default_limit_w(own) * 1e3) as c_uint),
    })
}

/// Locks the clock `what` at the upper of the two clocks, which a busy board uses.
fn lock(device: Handle, what: &str, upper_mhz: c_uint, highest: fn(&Control) -> &Vec<f64>) -> c_uint {
    setting(device, |config, own| {
        if f64::from(upper_mhz) > *of(highest(&config.control), own) || upper_mhz < LOWEST_CLOCK_MHZ {
            return INVALID_ARGUMENT;
        }
        config.control.note(own, what, f64::from(upper_mhz));
        SUCCESS
    })
}

fn unlock(device: Handle, what: &str) -> c_uint {
    setting(device, |config, own| {
        config.control.note(own, what, 0.0);
        SUCCESS
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceSetGpuLockedClocks(device: Handle, _lower_mhz: c_uint, upper_mhz: c_uint) -> c_uint {
    lock(device, "gpu_clock", upper_mhz, |control| &control.max_gpu_clock)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceResetGpuLockedClocks(device: Handle) -> c_uint {
    unlock(device, "gpu_clock")
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceSetMemoryLockedClocks(device: Handle, _lower_mhz: c_uint, upper_mhz: c_uint) -> c_uint {
    lock(device, "memory_clock", upper_mhz, |control| &control.max_memory_clock)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceResetMemoryLockedClocks(device: Handle) -> c_uint {
    unlock(device, "memory_clock")
}

/// Writes a list as NVML does; where there is not enough room, only its length.
///
/// # Safety
///
/// `count` is null or valid; `values` is null or points to `count` places.
unsafe fn give_list(list: &[c_uint], count: *mut c_uint, values: *mut c_uint) -> c_uint {
    if count.is_null() {
        return INVALID_ARGUMENT;
    }
    // SAFETY: not null, and by this function's contract valid.
    let places = unsafe { count.replace(list.len() as c_uint) } as usize;
    if values.is_null() || places < list.len() {
        return crate::INSUFFICIENT_SIZE;
    }
    for (place, value) in list.iter().enumerate() {
        // SAFETY: `place` is below the caller's `count`, checked above.
        unsafe { values.add(place).write(*value) };
    }
    SUCCESS
}

/// # Safety
///
/// As of [`give_list`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetSupportedMemoryClocks(
    device: Handle,
    count: *mut c_uint,
    clocks_mhz: *mut c_uint,
) -> c_uint {
    with_device(device, |config, own| {
        let highest = *of(&config.control.max_memory_clock, own) as c_uint;
        // SAFETY: by this function's contract.
        unsafe { give_list(&[highest, highest / 2], count, clocks_mhz) }
    })
}

/// # Safety
///
/// As of [`give_list`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetSupportedGraphicsClocks(
    device: Handle,
    _memory_mhz: c_uint,
    count: *mut c_uint,
    clocks_mhz: *mut c_uint,
) -> c_uint {
    with_device(device, |config, own| {
        let highest = *of(&config.control.max_gpu_clock, own) as c_uint;
        let below = (LOWEST_CLOCK_MHZ..=highest).rev().step_by(CLOCK_STEP_MHZ as usize);
        // SAFETY: by this function's contract.
        unsafe { give_list(&below.collect::<Vec<_>>(), count, clocks_mhz) }
    })
}
