//! Telemetry of the mock's devices other than power: utilisation, clocks, temperature, settings, processes. Owns these
//! calls and their switches. Each switch is a list with one item for each device, separated by commas; the last item
//! applies to all further devices.
//!
//! `utilisation=87`, `sm_clock=1410`, `memory_clock=1593` (MHz), `clock_events=0x4` (bits; until
//! `clock_events_end_sec`), `power_limit=400` (W), `temperature=50:2` (°C, and by how many it rises per second since
//! the library was initialised), `memory_used_gib=3`, `persistence=1`, `mig=0`, `pids=4242+4243`,
//! `no_process_memory=1`; the item `none` is NOT_SUPPORTED, `refused` is NO_PERMISSION.

use std::ffi::{c_uint, c_ulonglong};

use crate::holders::Holders;
use crate::{Handle, INSUFFICIENT_SIZE, INVALID_ARGUMENT, NO_PERMISSION, NOT_SUPPORTED, SUCCESS};
use crate::{monotonic, with_device, write};

pub struct Telemetry {
    holders: Holders,
    switches: [Vec<String>; SWITCHES.len()],
    initialised_at_sec: f64,
}

const SWITCHES: [(&str, &str); 12] = [
    ("utilisation", "87"),
    ("sm_clock", "1410"),
    ("memory_clock", "1593"),
    ("clock_events", "0"),
    ("clock_events_end_sec", "inf"),
    ("power_limit", "400"),
    ("temperature", "50"),
    ("memory_used_gib", "0"),
    ("persistence", "1"),
    ("mig", "0"),
    ("pids", ""),
    ("no_process_memory", "0"),
];

impl Telemetry {
    pub fn from(value: impl Fn(&str) -> Option<String>) -> Self {
        let list = |(key, default): (&str, &str)| {
            let text = value(key).unwrap_or_else(|| default.to_owned());
            text.split(',').map(|item| item.trim().to_owned()).collect()
        };
        Self {
            holders: Holders::from(&value),
            switches: SWITCHES.map(list),
            initialised_at_sec: monotonic::now_sec(),
        }
    }

    fn item(&self, key: &str, device: u32) -> Result<&str, c_uint> {
        let position = SWITCHES
            .iter()
            .position(|(known, _)| *known == key)
            .expect("a known switch");
        let items = &self.switches[position];
        match items
            .get(device as usize)
            .unwrap_or_else(|| &items[items.len() - 1])
            .as_str()
        {
            "none" => Err(NOT_SUPPORTED),
            "refused" => Err(NO_PERMISSION),
            item => Ok(item),
        }
    }

    /// Returns a switch as a number. One that cannot be parsed ends the test process: a mock that guesses would prove
    /// nothing.
    fn number(&self, key: &str, device: u32) -> Result<u64, c_uint> {
        let item = self.item(key, device)?;
        let number = match item.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => item.parse(),
        };
        Ok(number.unwrap_or_else(|_| panic!("mock_nvml: {key}={item}")))
    }

    fn temperature_c(&self, device: u32) -> Result<c_uint, c_uint> {
        let item = self.item("temperature", device)?;
        let (start, per_sec) = item.split_once(':').unwrap_or((item, "0"));
        let number = |text: &str| {
            text.parse::<f64>()
                .unwrap_or_else(|_| panic!("mock_nvml: temperature={item}"))
        };
        let since_sec = monotonic::now_sec() - self.initialised_at_sec;
        Ok((number(start) + number(per_sec) * since_sec) as c_uint)
    }

    /// Returns the bits of the clock events, until the time at which they end.
    fn clock_events(&self, device: u32) -> Result<u64, c_uint> {
        let end_sec: f64 = self.item("clock_events_end_sec", device)?.parse().expect("a moment");
        let bits = self.number("clock_events", device)?;
        Ok(if monotonic::now_sec() < end_sec { bits } else { 0 })
    }

    /// Returns each process and its memory.
    fn processes(&self, device: u32) -> Result<Vec<(c_uint, c_ulonglong)>, c_uint> {
        let items = self.item("pids", device)?.split('+').filter(|item| !item.is_empty());
        let listed = items.map(|pid| {
            let pid = pid.parse().unwrap_or_else(|_| panic!("mock_nvml: pids={pid}"));
            (pid, LISTED_BYTES)
        });
        let holders = self.holders.of(device).into_iter().filter(|holder| holder.lives);
        Ok(listed.chain(holders.map(|holder| (holder.pid, holder.bytes))).collect())
    }

    /// Returns whether the memory of processes is not reported, as in a container or on Windows.
    fn hides_process_memory(&self, device: u32) -> bool {
        self.number("no_process_memory", device) == Ok(1)
    }

    pub fn is_sliced(&self, device: u32) -> bool {
        self.number("mig", device) == Ok(1)
    }

    pub fn memory_used_bytes(&self, device: u32) -> Result<c_ulonglong, c_uint> {
        let held: u64 = self.holders.of(device).iter().map(|holder| holder.bytes).sum();
        Ok((self.number("memory_used_gib", device)? << 30) + held)
    }
}

/// Memory of each process in `pids`.
const LISTED_BYTES: c_ulonglong = 1 << 30;

/// `nvmlUtilization_t`.
#[repr(C)]
pub struct Utilization {
    gpu: c_uint,
    memory: c_uint,
}

/// `nvmlProcessInfo_v2_t`, which version 3 of the call fills as well.
#[repr(C)]
pub struct ProcessInfo {
    pid: c_uint,
    used_gpu_memory: c_ulonglong,
    gpu_instance_id: c_uint,
    compute_instance_id: c_uint,
}

const CLOCK_SM: c_uint = 1;
const CLOCK_MEMORY: c_uint = 2;

fn answer<T>(device: Handle, target: *mut T, value: impl FnOnce(&Telemetry, u32) -> Result<T, c_uint>) -> c_uint {
    with_device(device, |config, own| match value(&config.telemetry, own) {
        Ok(value) => write(target, value),
        Err(code) => code,
    })
}

// SAFETY (every `no_mangle` below): the names are NVML's own; nothing else in this library or its users defines them.

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetUtilizationRates(device: Handle, rates: *mut Utilization) -> c_uint {
    answer(device, rates, |telemetry, own| {
        let gpu = telemetry.number("utilisation", own)? as c_uint;
        Ok(Utilization { gpu, memory: 0 })
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetClockInfo(device: Handle, kind: c_uint, mhz: *mut c_uint) -> c_uint {
    with_device(device, |config, own| {
        let (switch, lock) = match kind {
            CLOCK_SM => ("sm_clock", "gpu_clock"),
            CLOCK_MEMORY => ("memory_clock", "memory_clock"),
            _ => return INVALID_ARGUMENT,
        };
        match config.telemetry.number(switch, own) {
            Err(code) => code,
            Ok(told) => {
                let locked = config.control.locked_mhz(own, lock, config.loaded_at_sec());
                write(mhz, locked.map_or(told as c_uint, |locked| locked as c_uint))
            }
        }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetCurrentClocksThrottleReasons(device: Handle, bits: *mut c_ulonglong) -> c_uint {
    answer(device, bits, Telemetry::clock_events)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetTemperature(device: Handle, _sensor: c_uint, celsius: *mut c_uint) -> c_uint {
    answer(device, celsius, Telemetry::temperature_c)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetEnforcedPowerLimit(device: Handle, milliwatts: *mut c_uint) -> c_uint {
    with_device(device, |config, own| {
        match config.telemetry.number("power_limit", own) {
            Err(code) => code,
            Ok(told) => {
                let set_w = config.control.set_limit_w(own, config.loaded_at_sec());
                let in_force_w = config.control.in_force(own, set_w.unwrap_or(told as f64));
                write(milliwatts, (in_force_w * 1e3).round() as c_uint)
            }
        }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetPersistenceMode(device: Handle, enabled: *mut c_uint) -> c_uint {
    answer(device, enabled, |telemetry, own| {
        Ok(telemetry.number("persistence", own)? as c_uint)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetMigMode(device: Handle, current: *mut c_uint, pending: *mut c_uint) -> c_uint {
    let mode = |telemetry: &Telemetry, own| Ok(telemetry.number("mig", own)? as c_uint);
    match answer(device, current, mode) {
        SUCCESS => answer(device, pending, mode),
        code => code,
    }
}

/// # Safety
///
/// `count` is null or valid; `processes` is null or points to `count` places.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: Handle,
    count: *mut c_uint,
    processes: *mut ProcessInfo,
) -> c_uint {
    if count.is_null() {
        return INVALID_ARGUMENT;
    }
    with_device(device, |config, own| {
        let listed = match config.telemetry.processes(own) {
            Ok(listed) => listed,
            Err(code) => return code,
        };
        // SAFETY: not null, and by this function's contract valid.
        let places = unsafe { count.replace(listed.len() as c_uint) } as usize;
        if listed.is_empty() {
            return SUCCESS;
        }
        if processes.is_null() || places < listed.len() {
            return INSUFFICIENT_SIZE;
        }
        for (place, (pid, bytes)) in listed.into_iter().enumerate() {
            let info = ProcessInfo {
                pid,
                used_gpu_memory: if config.telemetry.hides_process_memory(own) {
                    u64::MAX
                } else {
                    bytes
                },
                gpu_instance_id: u32::MAX,
                compute_instance_id: u32::MAX,
            };
            // SAFETY: `place` is below the caller's `count`, checked above.
            unsafe { processes.add(place).write(info) };
        }
        SUCCESS
    })
}
