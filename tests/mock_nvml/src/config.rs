//! The mock's switches. From `<library file>.conf` beside the library, so that each test's copy of the library has
//! its own; a `MOCK_NVML_<KEY>` variable goes before it, for a `joulemark` started as a child.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::shape::Shape;
use crate::{NO_PERMISSION, nvmlInit_v2};

pub struct Config {
    pub devices: u32,
    shapes: Vec<Shape>,
    /// The energy counter answers NOT_SUPPORTED, as before Volta.
    pub no_counter: bool,
    /// The power fields 185 and 186 answer NOT_SUPPORTED; `nvmlDeviceGetPowerUsage` still works.
    pub no_instant: bool,
    no_permission: bool,
    /// Device that falls off the bus, and when (CLOCK_MONOTONIC seconds; 0 is from the start).
    lost: Option<(u32, f64)>,
    /// Period at which counter and sensor move; 0 is always.
    refresh_sec: f64,
}

impl Config {
    pub fn load() -> Self {
        let file = library_file().map(|mut file| {
            file.as_mut_os_string().push(".conf");
            file
        });
        let text = file
            .and_then(|file| std::fs::read_to_string(file).ok())
            .unwrap_or_default();
        let pairs: HashMap<String, String> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Self::from(|key| {
            std::env::var(format!("MOCK_NVML_{}", key.to_uppercase()))
                .ok()
                .or_else(|| pairs.get(key).cloned())
        })
    }

    /// A switch that cannot be understood ends the test process: a mock that guesses would prove nothing.
    fn from(value: impl Fn(&str) -> Option<String>) -> Self {
        let number = |key: &str, default: f64| {
            value(key).map_or(default, |text| {
                text.parse().unwrap_or_else(|_| panic!("mock_nvml: {key}={text}"))
            })
        };
        let flag = |key: &str| value(key).is_some_and(|text| text == "1");
        let shapes = value("shape").unwrap_or_else(|| "constant:200".to_owned());
        Self {
            devices: number("devices", 1.0) as u32,
            shapes: shapes
                .split(',')
                .map(|text| Shape::parse(text).unwrap_or_else(|| panic!("mock_nvml: shape {text}")))
                .collect(),
            no_counter: flag("no_counter"),
            no_instant: flag("no_instant"),
            no_permission: flag("no_permission"),
            lost: value("lost").map(|_| (number("lost", 0.0) as u32, number("lost_at_sec", 0.0))),
            refresh_sec: number("refresh_ms", 0.0) / 1e3,
        }
    }

    /// Shapes are given one a device, separated by commas; the last one serves the devices that have none.
    pub fn shape(&self, device: u32) -> &Shape {
        self.shapes
            .get(device as usize)
            .unwrap_or_else(|| &self.shapes[self.shapes.len() - 1])
    }

    pub fn is_lost(&self, device: u32, now_sec: f64) -> bool {
        self.lost
            .is_some_and(|(lost, at_sec)| lost == device && now_sec >= at_sec)
    }

    pub fn refusal(&self) -> Option<c_uint> {
        self.no_permission.then_some(NO_PERMISSION)
    }

    /// The moment whose value the hardware shows at `now_sec`.
    pub fn refreshed(&self, now_sec: f64) -> f64 {
        if self.refresh_sec > 0.0 {
            (now_sec / self.refresh_sec).floor() * self.refresh_sec
        } else {
            now_sec
        }
    }
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

/// The file this very copy of the library was loaded from.
fn library_file() -> Option<PathBuf> {
    let mut info = DlInfo {
        file_name: std::ptr::null(),
        file_base: std::ptr::null_mut(),
        symbol_name: std::ptr::null(),
        symbol_address: std::ptr::null_mut(),
    };
    // SAFETY: the address is one of our own functions and `info` is ours; the name lives as long as the library.
    let name = unsafe {
        if dladdr(nvmlInit_v2 as *const c_void, &raw mut info) == 0 || info.file_name.is_null() {
            return None;
        }
        CStr::from_ptr(info.file_name)
    };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}
