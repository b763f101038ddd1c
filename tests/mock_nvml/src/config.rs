//! The mock's switches. They are read from `<library file>.conf` next to the library, so that each test's copy of the
//! library has its own. A variable `MOCK_NVML_<KEY>` takes precedence, for a `joulemark` that is started as a child
//! process.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::control::Control;
use crate::law::Law;
use crate::shape::Shape;
use crate::telemetry::Telemetry;
use crate::{DRIVER_NOT_LOADED, NO_PERMISSION, UNINITIALIZED, monotonic, nvmlInit_v2};

/// The values of all switches. Most are lists with one entry for each device, separated by commas; the last entry
/// applies to all further devices. Times are CLOCK_MONOTONIC seconds.
pub struct Config {
    pub telemetry: Telemetry,
    pub control: Control,
    pub devices: u32,
    /// Number from which the devices' UUIDs are counted, so that those of several hosts differ.
    pub first_serial: u32,
    shapes: Vec<Shape>,
    /// `static:dynamic:memory` (W, W, share of the clock): power follows the limit instead of a shape; empty for none.
    laws: Vec<Option<Law>>,
    /// 1: the energy counter returns NOT_SUPPORTED, as before Volta.
    no_counter: Vec<f64>,
    /// 1: the power fields 185 and 186 return NOT_SUPPORTED; `nvmlDeviceGetPowerUsage` still works.
    no_instant: Vec<f64>,
    /// CUDA compute capability, such as 6.1; 0 where it is not reported.
    compute_capability: Vec<f64>,
    /// 1: every reading returns NO_PERMISSION.
    no_permission: Vec<f64>,
    /// Result of `nvmlInit_v2`; 0 is success.
    pub init: c_uint,
    /// Results of requests for a handle and for a UUID; 0 is success.
    no_handle: Vec<f64>,
    no_uuid: Vec<f64>,
    /// Device that falls off the bus, and when (0 is from the start).
    lost: Option<(u32, f64)>,
    /// Device whose calls do not return, and since when (0 is from the start).
    hangs: Option<(u32, f64)>,
    /// Duration of each call on a device.
    latency_ms: Vec<f64>,
    /// Time at which the lost device returns, with its counter at 0; never by default.
    back_at_sec: f64,
    /// Refresh period of counter and sensor; 0 for continuous values.
    refresh_ms: Vec<f64>,
    /// Averaging period of `nvmlDeviceGetPowerUsage` and field 185; field 186 stays instantaneous. 0 for none.
    average_ms: Vec<f64>,
    /// Factor of all power readings, so that they contradict the counter.
    power_scale: Vec<f64>,
    /// Time at which power readings are `spike_w`, and for how long; 0 is never.
    spike_at_sec: Vec<f64>,
    spike_sec: Vec<f64>,
    spike_w: Vec<f64>,
    /// Time at which the counter jumps by `leap_j`, and time at which it stops permanently; 0 is never.
    leap_at_sec: Vec<f64>,
    leap_j: Vec<f64>,
    stops_at_sec: Vec<f64>,
    /// Maximum power limit that can be set, in watts; 0 returns NOT_SUPPORTED.
    max_limit: Vec<f64>,
    /// Time at which the counter restarts from 0 without notice; 0 is never.
    reset_at_sec: Vec<f64>,
    /// Time at which the driver is unloaded: from then on every call fails and, after it is loaded again, counters
    /// begin at 0.
    reload_at_sec: f64,
    /// 1: the driver is unloaded when the record has the line `<seconds> 0 reload 1`, and not before.
    reload_when_told: bool,
    /// Time until the driver is loaded again; a library that was initialised before remains unusable afterwards.
    reload_sec: f64,
    /// 1: after the reload, the devices are numbered in reverse.
    reload_reverses: bool,
    initialised_at_sec: f64,
}

impl Config {
    pub fn load() -> Self {
        let beside = |ending: &str| {
            library_file().map(|mut file| {
                file.as_mut_os_string().push(ending);
                file
            })
        };
        let file = beside(".conf");
        let text = file
            .and_then(|file| std::fs::read_to_string(file).ok())
            .unwrap_or_default();
        let pairs: HashMap<String, String> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect();
        let record = beside(".set").unwrap_or_default();
        Self::from(record, |key| {
            std::env::var(format!("MOCK_NVML_{}", key.to_uppercase()))
                .ok()
                .or_else(|| pairs.get(key).cloned())
        })
    }

    /// Creates the switches. One that cannot be parsed ends the test process: a mock that guesses would prove nothing.
    fn from(record: PathBuf, value: impl Fn(&str) -> Option<String>) -> Self {
        let parsed = |key: &str, text: &str| -> f64 {
            text.trim()
                .parse()
                .unwrap_or_else(|_| panic!("mock_nvml: {key}={text}"))
        };
        let number = |key: &str, default: f64| value(key).map_or(default, |text| parsed(key, &text));
        let list = |key: &str, default: f64| -> Vec<f64> {
            value(key).map_or_else(
                || vec![default],
                |text| text.split(',').map(|item| parsed(key, item)).collect(),
            )
        };
        let shapes = value("shape").unwrap_or_else(|| "constant:200".to_owned());
        Self {
            telemetry: Telemetry::from(&value),
            control: Control::from(record, list),
            laws: value("law").unwrap_or_default().split(',').map(Law::parse).collect(),
            devices: number("devices", 1.0) as u32,
            first_serial: number("first_serial", 0.0) as u32,
            shapes: shapes
                .split(',')
                .map(|text| Shape::parse(text).unwrap_or_else(|| panic!("mock_nvml: shape {text}")))
                .collect(),
            no_counter: list("no_counter", 0.0),
            no_instant: list("no_instant", 0.0),
            compute_capability: list("compute_capability", 9.0),
            no_permission: list("no_permission", 0.0),
            init: number("init", 0.0) as c_uint,
            no_handle: list("no_handle", 0.0),
            no_uuid: list("no_uuid", 0.0),
            back_at_sec: number("back_at_sec", f64::INFINITY),
            lost: value("lost").map(|_| (number("lost", 0.0) as u32, number("lost_at_sec", 0.0))),
            hangs: value("hangs").map(|_| (number("hangs", 0.0) as u32, number("hangs_at_sec", 0.0))),
            latency_ms: list("latency_ms", 0.0),
            refresh_ms: list("refresh_ms", 0.0),
            average_ms: list("average_ms", 0.0),
            power_scale: list("power_scale", 1.0),
            spike_at_sec: list("spike_at_sec", 0.0),
            spike_sec: list("spike_sec", 0.1),
            spike_w: list("spike_w", 4_294_967.295),
            leap_at_sec: list("leap_at_sec", 0.0),
            leap_j: list("leap_j", 0.0),
            stops_at_sec: list("stops_at_sec", 0.0),
            max_limit: list("max_limit", 0.0),
            reset_at_sec: list("reset_at_sec", 0.0),
            reload_at_sec: number("reload_at_sec", f64::INFINITY),
            reload_when_told: number("reload_when_told", 0.0) != 0.0,
            reload_sec: number("reload_sec", 0.0),
            reload_reverses: number("reload_reverses", 0.0) != 0.0,
            initialised_at_sec: monotonic::now_sec(),
        }
    }

    fn shape(&self, device: u32) -> &Shape {
        of(&self.shapes, device)
    }

    /// Returns when the driver is unloaded; infinity for never.
    fn unloaded_at_sec(&self) -> f64 {
        match self.reload_when_told {
            true => self.control.reload_at_sec().unwrap_or(f64::INFINITY),
            false => self.reload_at_sec,
        }
    }

    /// Returns when the driver was loaded; earlier settings are lost.
    pub fn loaded_at_sec(&self) -> f64 {
        Some(self.unloaded_at_sec() + self.reload_sec)
            .filter(|loaded| *loaded <= monotonic::now_sec())
            .unwrap_or(0.0)
    }

    /// Returns the joules from time 0 by the device's law or shape.
    fn energy_j(&self, device: u32, at_sec: f64) -> f64 {
        match of(&self.laws, device) {
            Some(law) => law.energy_j(&self.control.limits_w(device, self.loaded_at_sec()), at_sec),
            None => self.shape(device).energy_j(at_sec),
        }
    }

    fn power_w(&self, device: u32, at_sec: f64) -> f64 {
        let Some(law) = of(&self.laws, device) else {
            return self.shape(device).power_w(at_sec);
        };
        let limits = self.control.limits_w(device, self.loaded_at_sec());
        let held = limits.iter().rfind(|(begin_sec, _)| *begin_sec <= at_sec);
        held.map_or(0.0, |(_, limit_w)| law.power_w(*limit_w))
    }

    pub fn has_counter(&self, device: u32) -> bool {
        *of(&self.no_counter, device) == 0.0
    }

    pub fn has_fields(&self, device: u32) -> bool {
        *of(&self.no_instant, device) == 0.0
    }

    /// Returns major and minor number; `None` where they are not reported.
    pub fn compute_capability(&self, device: u32) -> Option<(c_int, c_int)> {
        let tenths = (of(&self.compute_capability, device) * 10.0).round() as c_int;
        (tenths > 0).then_some((tenths / 10, tenths % 10))
    }

    /// Waits as long as a call on the device takes: forever where it hangs.
    pub fn take_time(&self, device: u32, now_sec: f64) {
        while self
            .hangs
            .is_some_and(|(hanging, at_sec)| hanging == device && now_sec >= at_sec)
        {
            std::thread::sleep(Duration::from_secs(1));
        }
        let latency_ms = *of(&self.latency_ms, device);
        if latency_ms > 0.0 {
            std::thread::sleep(Duration::from_secs_f64(latency_ms / 1e3));
        }
    }

    pub fn is_lost(&self, device: u32, now_sec: f64) -> bool {
        self.lost
            .is_some_and(|(lost, at_sec)| lost == device && (at_sec..self.back_at_sec).contains(&now_sec))
    }

    /// Returns the error of every call while the driver is unloaded, or when it was reloaded after initialisation.
    pub fn driver_trouble(&self, now_sec: f64) -> Option<c_uint> {
        let unloaded_at_sec = self.unloaded_at_sec();
        if now_sec < unloaded_at_sec {
            None
        } else if now_sec < unloaded_at_sec + self.reload_sec {
            Some(DRIVER_NOT_LOADED)
        } else {
            (self.initialised_at_sec < unloaded_at_sec).then_some(UNINITIALIZED)
        }
    }

    /// Returns whether the driver is unloaded now.
    pub fn is_driver_away(&self) -> bool {
        let now_sec = monotonic::now_sec();
        let unloaded_at_sec = self.unloaded_at_sec();
        (unloaded_at_sec..unloaded_at_sec + self.reload_sec).contains(&now_sec)
    }

    /// Returns the device with this number, or the number of this device: the mapping is its own inverse.
    pub fn numbered(&self, index: u32) -> u32 {
        if self.reload_reverses && self.initialised_at_sec >= self.unloaded_at_sec() {
            self.devices - 1 - index
        } else {
            index
        }
    }

    pub fn handle_refusal(&self, device: u32) -> Option<c_uint> {
        Some(*of(&self.no_handle, device) as c_uint).filter(|code| *code != 0)
    }

    pub fn uuid_refusal(&self, device: u32) -> Option<c_uint> {
        Some(*of(&self.no_uuid, device) as c_uint).filter(|code| *code != 0)
    }

    pub fn refusal(&self, device: u32) -> Option<c_uint> {
        (*of(&self.no_permission, device) != 0.0).then_some(NO_PERMISSION)
    }

    /// Returns the joules since the driver was loaded, as the counter shows them at `now_sec`.
    pub fn counter_j(&self, device: u32, now_sec: f64) -> f64 {
        let reset_sec = *of(&self.reset_at_sec, device);
        let driver_sec = self.unloaded_at_sec() + self.reload_sec;
        let back_sec = self
            .lost
            .filter(|(lost, _)| *lost == device)
            .map_or(0.0, |_| self.back_at_sec);
        let zeros = [reset_sec, driver_sec, back_sec]
            .into_iter()
            .filter(|zero| *zero <= now_sec);
        let zero_sec = zeros.fold(0.0, f64::max);
        let stops_sec = Some(*of(&self.stops_at_sec, device)).filter(|stops| *stops > 0.0);
        let refreshed_sec = self.refreshed(device, now_sec);
        let shown_sec = stops_sec
            .map_or(refreshed_sec, |stops| refreshed_sec.min(stops))
            .max(zero_sec);
        let leap_sec = *of(&self.leap_at_sec, device);
        let has_leapt = leap_sec > 0.0 && shown_sec >= leap_sec;
        let leap_j = if has_leapt { *of(&self.leap_j, device) } else { 0.0 };
        self.energy_j(device, shown_sec) - self.energy_j(device, zero_sec) + leap_j
    }

    pub fn max_limit_w(&self, device: u32) -> Option<f64> {
        Some(*of(&self.max_limit, device)).filter(|limit| *limit > 0.0)
    }

    /// Returns the power that is reported during a spike, independent of the load.
    fn spike_w(&self, device: u32, now_sec: f64) -> Option<f64> {
        let at_sec = *of(&self.spike_at_sec, device);
        let is_now = at_sec > 0.0 && (at_sec..at_sec + *of(&self.spike_sec, device)).contains(&now_sec);
        is_now.then(|| *of(&self.spike_w, device))
    }

    pub fn instant_w(&self, device: u32, now_sec: f64) -> f64 {
        if let Some(spike_w) = self.spike_w(device, now_sec) {
            return spike_w;
        }
        self.power_w(device, self.refreshed(device, now_sec)) * of(&self.power_scale, device)
    }

    pub fn averaged_w(&self, device: u32, now_sec: f64) -> f64 {
        let length_sec = of(&self.average_ms, device) / 1e3;
        if length_sec <= 0.0 {
            return self.instant_w(device, now_sec);
        }
        if let Some(spike_w) = self.spike_w(device, now_sec) {
            return spike_w;
        }
        let end_sec = self.refreshed(device, now_sec);
        let mean_w = (self.energy_j(device, end_sec) - self.energy_j(device, end_sec - length_sec)) / length_sec;
        mean_w * of(&self.power_scale, device)
    }

    /// Returns the time whose value the hardware shows at `now_sec`.
    fn refreshed(&self, device: u32, now_sec: f64) -> f64 {
        let refresh_sec = of(&self.refresh_ms, device) / 1e3;
        if refresh_sec > 0.0 {
            (now_sec / refresh_sec).floor() * refresh_sec
        } else {
            now_sec
        }
    }
}

pub fn of<T>(list: &[T], device: u32) -> &T {
    list.get(device as usize).unwrap_or_else(|| &list[list.len() - 1])
}

#[repr(C)]
struct DlInfo {
    file_name: *const c_char,
    file_base: *mut c_void,
    symbol_name: *const c_char,
    symbol_address: *mut c_void,
}

unsafe extern "C" {
    fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
}

/// Returns the file that this copy of the library was loaded from.
fn library_file() -> Option<PathBuf> {
    let mut info = DlInfo {
        file_name: std::ptr::null(),
        file_base: std::ptr::null_mut(),
        symbol_name: std::ptr::null(),
        symbol_address: std::ptr::null_mut(),
    };
    // SAFETY: the address is that of our own function and `info` is ours; the name lives as long as the library.
    let name = unsafe {
        if dladdr(nvmlInit_v2 as *const c_void, &raw mut info) == 0 || info.file_name.is_null() {
            return None;
        }
        CStr::from_ptr(info.file_name)
    };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}
