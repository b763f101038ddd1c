//! Opens a perf event by the system call that no crate in use wraps. Takes a type, a code and a CPU, and knows no
//! energy.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{FromRawFd, RawFd};

/// The `struct perf_event_attr` of linux/perf_event.h in its first published size (`PERF_ATTR_SIZE_VER0`), which later
/// kernels accept.
#[repr(C)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
}

/// Size of [`Attributes`] in bytes.
const ATTRIBUTES_SIZE: u32 = size_of::<Attributes>() as u32;
const _: () = assert!(ATTRIBUTES_SIZE == 64);

/// PERF_FLAG_FD_CLOEXEC, so that child processes do not inherit the counters.
const CLOSE_ON_EXEC: libc::c_ulong = 8;
/// Argument `pid` for every process.
const ALL_PROCESSES: libc::pid_t = -1;
/// Argument `group_fd` for no group.
const NO_GROUP: libc::c_int = -1;

/// An open event, which counts from its opening on.
#[derive(Debug)]
pub struct OpenEvent(File);

impl OpenEvent {
    /// Reads the count.
    pub fn read(&mut self) -> io::Result<u64> {
        let mut count = [0; 8];
        self.0.read_exact(&mut count)?;
        Ok(u64::from_ne_bytes(count))
    }
}

/// Opens event `config` of PMU `kind` on `cpu`, for all processes.
///
/// # Errors
/// Returns the operating system's error, such as a missing permission.
#[expect(unsafe_code, reason = "perf_event_open has no safe wrapper")]
pub fn open(kind: u32, config: u64, cpu: u32) -> io::Result<OpenEvent> {
    let attributes = Attributes {
        kind,
        size: ATTRIBUTES_SIZE,
        config,
        sample_period: 0,
        sample_type: 0,
        read_format: 0,
        flags: 0,
        wakeup_events: 0,
        breakpoint_type: 0,
        config1: 0,
    };
    // SAFETY: the kernel reads `size` bytes behind the pointer, which is that of a live value of exactly this size, and
    // writes nothing there; the other arguments are plain numbers of the types the call takes.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            ALL_PROCESSES,
            cpu as libc::c_int,
            NO_GROUP,
            CLOSE_ON_EXEC,
        )
    };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
    Ok(OpenEvent(unsafe { File::from_raw_fd(descriptor as RawFd) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK: nanoseconds, on every machine with perf events.
    const SOFTWARE: u32 = 1;
    const CPU_CLOCK: u64 = 0;

    #[test]
    fn an_event_is_refused_for_permission_or_counts_up() {
        match open(SOFTWARE, CPU_CLOCK, 0) {
            Ok(mut event) => {
                let first = event.read().expect("a count");
                std::thread::sleep(std::time::Duration::from_millis(20));
                let grown = event.read().expect("a count") - first;
                assert!(grown >= 15_000_000, "{grown} ns in 20 ms");
            }
            Err(error) => {
                let refused = [libc::EACCES, libc::EPERM, libc::ENOSYS];
                assert!(refused.contains(&error.raw_os_error().unwrap_or(0)), "{error}");
            }
        }
    }

    #[test]
    fn a_type_that_does_not_exist_is_an_error_and_not_a_counter() {
        assert!(open(u32::MAX, 0, 0).is_err());
    }
}
