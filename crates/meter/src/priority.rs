//! How the kernel treats a thread that sleeps nearly always, and is late by as much as others make it wait.

use std::io;

/// Sleeps of plain threads may be drawn out by 50 µs to save wake-ups; a reading wants its moment.
const TIMER_SLACK_NS: libc::c_ulong = 1_000;

/// The lowest of the real-time priorities goes before every plain thread, inference included, and behind the kernel's.
const REAL_TIME_PRIORITY: libc::c_int = 1;

/// Half-way up where real time is not allowed.
const NICE: libc::c_int = -10;

/// Raises the calling thread as far as this process may: real time with CAP_SYS_NICE or RLIMIT_RTPRIO, else a better
/// nice value, else nothing. Never fails: what is late is to say so in its figures. For threads that stamp what happens, as
/// the meter's and a load generator's; what they start is not raised.
pub fn raise_priority() {
    if let Err(error) = nix::sys::prctl::set_timerslack(TIMER_SLACK_NS) {
        tracing::debug!(%error, "the timer slack stays what it was");
    }
    match real_time().or_else(|_| nicer()) {
        Ok(how) => tracing::debug!("the thread runs with {how}"),
        Err(error) => tracing::debug!(%error, "the thread runs like any other"),
    }
}

#[expect(unsafe_code, reason = "sched_setscheduler has no safe wrapper in the crates we have")]
fn real_time() -> io::Result<&'static str> {
    let parameter = libc::sched_param {
        sched_priority: REAL_TIME_PRIORITY,
    };
    // What this thread starts (the one that opens NVML again) is not real time.
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: thread 0 is the caller's own, and the pointer is that of a live value that is only read.
    let answer = unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
    (answer == 0)
        .then_some("real-time priority")
        .ok_or_else(io::Error::last_os_error)
}

#[expect(unsafe_code, reason = "setpriority has no safe wrapper in the crates we have")]
fn nicer() -> io::Result<&'static str> {
    // SAFETY: plain numbers; on Linux process 0 means the calling thread.
    let answer = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    (answer == 0)
        .then_some("a raised nice value")
        .ok_or_else(io::Error::last_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_thread_goes_on_and_its_sleeps_are_sharp_and_others_stay_what_they_were() {
        std::thread::spawn(|| {
            raise_priority();
            // A real-time thread has none at all.
            let slack_ns = nix::sys::prctl::get_timerslack().expect("it is told");
            assert!([0, TIMER_SLACK_NS as i32].contains(&slack_ns), "{slack_ns}");
        })
        .join()
        .expect("it goes on");
        let others_ns = nix::sys::prctl::get_timerslack().expect("it is told");
        assert!(others_ns > TIMER_SLACK_NS as i32, "{others_ns}");
    }
}
