//! Raises the priority of a thread that sleeps most of the time and must wake up on time.

use std::io;

/// Timer slack in nanoseconds. The kernel may delay wake-ups of ordinary threads by 50 µs.
const TIMER_SLACK_NS: libc::c_ulong = 1_000;

/// The lowest real-time priority. It precedes every ordinary thread, inference included, and comes after the kernel's
/// threads.
const REAL_TIME_PRIORITY: libc::c_int = 1;

/// Nice value where real-time priority is not permitted: half-way up.
const NICE: libc::c_int = -10;

/// Raises the calling thread's priority as far as the process may: to real time with CAP_SYS_NICE or RLIMIT_RTPRIO,
/// else to a better nice value, else not at all.
///
/// Never fails; a thread that wakes up late shows it in its figures. Meant for threads that stamp events, such as the
/// meter's and a load generator's. Threads and processes that it starts are not raised.
pub fn raise_priority() {
    if let Err(error) = nix::sys::prctl::set_timerslack(TIMER_SLACK_NS) {
        tracing::debug!(%error, "the timer slack is unchanged");
    }
    match real_time().or_else(|_| raised_nice()) {
        Ok(how) => tracing::debug!("the thread runs with {how}"),
        Err(error) => tracing::debug!(%error, "the thread runs with ordinary priority"),
    }
}

/// Gives the calling thread real-time priority. Returns the name of what it got.
#[expect(unsafe_code, reason = "sched_setscheduler has no safe wrapper in the crates we have")]
fn real_time() -> io::Result<&'static str> {
    let parameter = libc::sched_param {
        sched_priority: REAL_TIME_PRIORITY,
    };
    // Threads that this one starts, such as the one that reopens NVML, are not real time.
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: thread 0 is the caller's own, and the pointer is that of a live value that is only read.
    let answer = unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
    (answer == 0)
        .then_some("real-time priority")
        .ok_or_else(io::Error::last_os_error)
}

/// Gives the calling thread a better nice value. Returns the name of what it got.
#[expect(unsafe_code, reason = "setpriority has no safe wrapper in the crates we have")]
fn raised_nice() -> io::Result<&'static str> {
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
            // A real-time thread has no timer slack.
            let slack_ns = nix::sys::prctl::get_timerslack().expect("it is told");
            assert!([0, TIMER_SLACK_NS as i32].contains(&slack_ns), "{slack_ns}");
        })
        .join()
        .expect("it goes on");
        let others_ns = nix::sys::prctl::get_timerslack().expect("it is told");
        assert!(others_ns > TIMER_SLACK_NS as i32, "{others_ns}");
    }
}
