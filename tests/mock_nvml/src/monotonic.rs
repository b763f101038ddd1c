//! CLOCK_MONOTONIC, the clock of joulemark's windows. Declared here, so that the mock has no dependency and tests can
//! build it with `rustc` alone.

use std::ffi::{c_int, c_long};

#[repr(C)]
struct Timespec {
    sec: c_long,
    nsec: c_long,
}

unsafe extern "C" {
    fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
}

const CLOCK_MONOTONIC: c_int = 1;

pub fn now_sec() -> f64 {
    let mut time = Timespec { sec: 0, nsec: 0 };
    // SAFETY: the layout is that of 64-bit Linux, where the tests run, and the pointer is to our own value.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &raw mut time) };
    time.sec as f64 + time.nsec as f64 / 1e9
}
