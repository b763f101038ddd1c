//! A stand-in for `libnvidia-ml.so`: the C functions that joulemark resolves, for devices whose power is a known
//! function of CLOCK_MONOTONIC. Owns the C interface only; the truth is in `shape`, the switches are in `config`.

mod config;
mod control;
mod holders;
pub mod law;
mod monotonic;
pub mod shape;
mod telemetry;

use std::ffi::{CStr, c_char, c_int, c_longlong, c_uint, c_ulonglong, c_void};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU32, Ordering};

use config::Config;

const SUCCESS: c_uint = 0;
const UNINITIALIZED: c_uint = 1;
const INVALID_ARGUMENT: c_uint = 2;
const NOT_SUPPORTED: c_uint = 3;
const NO_PERMISSION: c_uint = 4;
const NOT_FOUND: c_uint = 6;
const INSUFFICIENT_SIZE: c_uint = 7;
const DRIVER_NOT_LOADED: c_uint = 9;
const GPU_IS_LOST: c_uint = 15;

const FIELD_POWER_AVERAGE: c_uint = 185;
const FIELD_POWER_INSTANT: c_uint = 186;
const VALUE_TYPE_UNSIGNED_INT: c_uint = 1;
const MEMORY_BYTES: c_ulonglong = 80 << 30;

/// Set by `nvmlInit_v2`. Each copy of the library in a process has its own.
static CONFIG: RwLock<Option<Config>> = RwLock::new(None);
/// Number of initialisations without a shutdown.
static USERS: AtomicU32 = AtomicU32::new(0);

/// `nvmlFieldValue_t`. The union's widest member represents it, with its bytes in little-endian order.
#[repr(C)]
pub struct FieldValue {
    field_id: c_uint,
    scope_id: c_uint,
    timestamp: c_longlong,
    latency_usec: c_longlong,
    value_type: c_uint,
    nvml_return: c_uint,
    value: c_ulonglong,
}

/// `nvmlMemory_v2_t`.
#[repr(C)]
pub struct MemoryV2 {
    version: c_uint,
    total: c_ulonglong,
    reserved: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

/// A handle is the device's index plus one, so that null is no device.
type Handle = *mut c_void;

/// Runs `answer` with the device's index, unless a failure that affects every call on a device applies.
fn with_device(device: Handle, answer: impl FnOnce(&Config, u32) -> c_uint) -> c_uint {
    let config = CONFIG.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(config) = config.as_ref() else {
        return UNINITIALIZED;
    };
    if let Some(trouble) = config.driver_trouble(monotonic::now_sec()) {
        return trouble;
    }
    match (device as usize).checked_sub(1).map(|index| index as u32) {
        Some(index) if index < config.devices => {
            config.take_time(index, monotonic::now_sec());
            if config.is_lost(index, monotonic::now_sec()) {
                GPU_IS_LOST
            } else {
                answer(config, index)
            }
        }
        _ => INVALID_ARGUMENT,
    }
}

fn write<T>(target: *mut T, value: T) -> c_uint {
    if target.is_null() {
        return INVALID_ARGUMENT;
    }
    // SAFETY: not null, and NVML's contract is that the caller's pointer is valid for one aligned T.
    unsafe { target.write(value) };
    SUCCESS
}

fn write_text(target: *mut c_char, length: c_uint, text: &str) -> c_uint {
    if target.is_null() {
        return INVALID_ARGUMENT;
    }
    if text.len() >= length as usize {
        return INSUFFICIENT_SIZE;
    }
    // SAFETY: the caller gives a buffer of `length` bytes, and the text with its NUL was checked to fit.
    unsafe {
        target.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
        target.add(text.len()).write(0);
    }
    SUCCESS
}

// SAFETY (every `no_mangle` below): the names are NVML's own; nothing else in this library or its users defines them.

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> c_uint {
    let mut config = CONFIG.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Like the real library: further initialisations have no effect until it is shut down.
    if config.is_some() {
        USERS.fetch_add(1, Ordering::SeqCst);
        return SUCCESS;
    }
    let loaded = Config::load();
    if loaded.is_driver_away() {
        return DRIVER_NOT_LOADED;
    }
    if loaded.init != SUCCESS {
        return loaded.init;
    }
    *config = Some(loaded);
    USERS.store(1, Ordering::SeqCst);
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> c_uint {
    let mut config = CONFIG.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Like the real library: the last user shuts it down.
    if USERS.fetch_sub(1, Ordering::SeqCst) == 1 {
        *config = None;
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlErrorString(code: c_uint) -> *const c_char {
    let text: &'static CStr = match code {
        SUCCESS => c"success",
        NOT_SUPPORTED => c"not supported",
        NO_PERMISSION => c"no permission",
        DRIVER_NOT_LOADED => c"driver not loaded",
        GPU_IS_LOST => c"GPU is lost",
        _ => c"mock error",
    };
    text.as_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) -> c_uint {
    write_text(version, length, "555.42.06-mock")
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> c_uint {
    let config = CONFIG.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    config
        .as_ref()
        .map_or(UNINITIALIZED, |config| write(count, config.devices))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut Handle) -> c_uint {
    let config = CONFIG.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    let own = match config.as_ref() {
        Some(config) if index < config.devices => config.numbered(index),
        _ => index,
    };
    drop(config);
    give_handle(own, device)
}

fn give_handle(own: u32, device: *mut Handle) -> c_uint {
    let handle = (own as usize + 1) as Handle;
    with_device(handle, |config, own| match config.handle_refusal(own) {
        Some(code) => code,
        None => write(device, handle),
    })
}

/// Bit that is set in the handle of a MIG slice, in addition to its board's handle.
const SLICE: usize = 1 << 16;

/// Writes the handle of a slice of a board in MIG mode: `MIG-…-<board>` or `MIG-GPU-…-<board>/<instance>/<instance>`.
fn give_slice(uuid: &str, device: *mut Handle) -> c_uint {
    let name = uuid.split('/').next().unwrap_or_default();
    let own: Option<u32> = name.rsplit('-').next().and_then(|own| own.parse().ok());
    let Some(own) = own else { return NOT_FOUND };
    with_device((own as usize + 1) as Handle, |config, own| {
        if config.telemetry.is_sliced(own) {
            write(device, ((own as usize + 1) | SLICE) as Handle)
        } else {
            NOT_FOUND
        }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetDeviceHandleFromMigDeviceHandle(slice: Handle, device: *mut Handle) -> c_uint {
    match slice as usize {
        handle if handle & SLICE == 0 => INVALID_ARGUMENT,
        handle => give_handle((handle & !SLICE) as u32 - 1, device),
    }
}

/// # Safety
///
/// `uuid` is null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, device: *mut Handle) -> c_uint {
    if uuid.is_null() {
        return INVALID_ARGUMENT;
    }
    // SAFETY: not null, and by this function's contract a C string.
    let uuid = unsafe { CStr::from_ptr(uuid) };
    let uuid = uuid.to_str().ok();
    if let Some(slice) = uuid.filter(|uuid| uuid.starts_with("MIG-")) {
        return give_slice(slice, device);
    }
    let own = uuid.and_then(|uuid| uuid.rsplit('-').next()?.parse().ok());
    own.map_or(INVALID_ARGUMENT, |own| give_handle(own, device))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetIndex(device: Handle, index: *mut c_uint) -> c_uint {
    with_device(device, |config, own| write(index, config.numbered(own)))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetUUID(device: Handle, uuid: *mut c_char, length: c_uint) -> c_uint {
    with_device(device, |config, own| {
        if let Some(code) = config.uuid_refusal(own) {
            return code;
        }
        let serial = config.first_serial + own;
        write_text(uuid, length, &format!("GPU-00000000-0000-0000-0000-{serial:012}"))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetName(device: Handle, name: *mut c_char, length: c_uint) -> c_uint {
    with_device(device, |_, _| write_text(name, length, "Mock GPU 80GB"))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: Handle, memory: *mut MemoryV2) -> c_uint {
    with_device(device, |config, own| {
        let used = config.telemetry.memory_used_bytes(own).unwrap_or(0);
        write(
            memory,
            MemoryV2 {
                version: 0,
                total: MEMORY_BYTES,
                reserved: 0,
                free: MEMORY_BYTES - used,
                used,
            },
        )
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetTotalEnergyConsumption(device: Handle, energy_mj: *mut c_ulonglong) -> c_uint {
    with_device(device, |config, own| match config.refusal(own) {
        Some(code) => code,
        None if !config.has_counter(own) => NOT_SUPPORTED,
        None => write(energy_mj, (config.counter_j(own, monotonic::now_sec()) * 1e3) as u64),
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetCudaComputeCapability(device: Handle, major: *mut c_int, minor: *mut c_int) -> c_uint {
    with_device(device, |config, own| match config.compute_capability(own) {
        Some((its_major, its_minor)) => write(major, its_major).max(write(minor, its_minor)),
        None => NOT_SUPPORTED,
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetPowerUsage(device: Handle, power_mw: *mut c_uint) -> c_uint {
    with_device(device, |config, own| match config.refusal(own) {
        Some(code) => code,
        None => write(power_mw, (config.averaged_w(own, monotonic::now_sec()) * 1e3) as c_uint),
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetPowerManagementLimitConstraints(
    device: Handle,
    min_mw: *mut c_uint,
    max_mw: *mut c_uint,
) -> c_uint {
    with_device(device, |config, own| match config.max_limit_w(own) {
        None => NOT_SUPPORTED,
        Some(max_w) => match write(min_mw, (config.control.min_limit_w(own) * 1e3) as c_uint) {
            SUCCESS => write(max_mw, (max_w * 1e3) as c_uint),
            code => code,
        },
    })
}

/// # Safety
///
/// `values` is null or points to `count` initialised values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetFieldValues(device: Handle, count: c_int, values: *mut FieldValue) -> c_uint {
    if values.is_null() || count <= 0 {
        return INVALID_ARGUMENT;
    }
    // SAFETY: not null, and by this function's contract `count` initialised values.
    let values = unsafe { std::slice::from_raw_parts_mut(values, count as usize) };
    with_device(device, |config, own| {
        for value in values {
            let known = config.has_fields(own);
            let watts = match (config.refusal(own), value.field_id) {
                (Some(code), _) => Err(code),
                (None, FIELD_POWER_INSTANT) if known => Ok(config.instant_w(own, monotonic::now_sec())),
                (None, FIELD_POWER_AVERAGE) if known => Ok(config.averaged_w(own, monotonic::now_sec())),
                _ => Err(NOT_SUPPORTED),
            };
            value.nvml_return = watts.err().unwrap_or(SUCCESS);
            value.value_type = VALUE_TYPE_UNSIGNED_INT;
            value.value = (watts.unwrap_or(0.0) * 1e3) as c_ulonglong;
        }
        SUCCESS
    })
}
