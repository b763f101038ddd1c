//! Liveness of the scheduler's loops, for the service manager's watchdog: a server may still answer while its scheduler
//! hangs. A scheduler that only waits for the database is not stuck.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;

/// Time in seconds that the heartbeat loop may take beyond one lease, after which a heartbeat without an answer is
/// given up.
const HEARTBEAT_MARGIN_SEC: f64 = 30.0;

/// Maximum duration in seconds of one round over the queue while heartbeats reach the database. By then the kernel has
/// closed even a connection that was cut without notice.
const MAX_ROUND_SEC: f64 = 1200.0;

/// Time of the last round of each loop.
#[derive(Debug)]
pub struct Liveness {
    round: Stamp,
    heartbeat: Stamp,
    /// Time at which a heartbeat last failed to reach the database.
    disconnected: Stamp,
}

#[derive(Debug)]
struct Stamp(AtomicU64);

impl Stamp {
    fn set(&self, now: Monotonic) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    fn age_sec(&self, now: Monotonic) -> f64 {
        now.sec_since(Monotonic(self.0.load(Ordering::Relaxed)))
    }
}

impl Liveness {
    /// Creates the record; all loops count as alive at `now`.
    pub fn new(now: Monotonic) -> Self {
        let stamp = || Stamp(AtomicU64::new(now.0));
        Self {
            round: stamp(),
            heartbeat: stamp(),
            disconnected: stamp(),
        }
    }

    /// Records the end of a round over the queue.
    pub fn round_done(&self, now: Monotonic) {
        self.round.set(now);
    }

    /// Records a round of the heartbeat, and whether it reached the database.
    pub fn heartbeat_done(&self, now: Monotonic, is_connected: bool) {
        self.heartbeat.set(now);
        if !is_connected {
            self.disconnected.set(now);
        }
    }

    /// Returns a description of the loop that hangs; `None` while none does.
    pub fn what_is_stuck(&self, now: Monotonic, lease: Duration) -> Option<String> {
        let heartbeat_sec = self.heartbeat.age_sec(now);
        if heartbeat_sec > lease.as_secs_f64() + HEARTBEAT_MARGIN_SEC {
            return Some(format!("the last heartbeat was {heartbeat_sec:.0} s ago"));
        }
        let round_sec = self.round.age_sec(now);
        let is_stuck = round_sec > MAX_ROUND_SEC && self.disconnected.age_sec(now) > MAX_ROUND_SEC;
        is_stuck.then(|| format!("a round over the queue has not ended for {round_sec:.0} s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn at(sec: f64) -> Monotonic {
        Monotonic::from_sec(5000.0 + sec)
    }

    #[test]
    fn loops_that_come_round_are_alive() {
        let liveness = Liveness::new(at(0.0));
        for second in 1..5000 {
            let now = at(f64::from(second));
            liveness.heartbeat_done(now, true);
            liveness.round_done(now);
            assert_eq!(liveness.what_is_stuck(now, LEASE), None);
        }
    }

    #[test]
    fn a_heartbeat_that_stands_still_for_more_than_a_lease_is_stuck() {
        let liveness = Liveness::new(at(0.0));
        assert_eq!(liveness.what_is_stuck(at(59.0), LEASE), None);
        let stuck = liveness.what_is_stuck(at(61.0), LEASE).unwrap();
        assert!(stuck.contains("heartbeat") && stuck.contains("61 s"), "{stuck}");
    }

    #[test]
    fn a_step_that_waits_for_a_database_that_is_away_is_not_stuck_and_one_that_never_ends_is() {
        let liveness = Liveness::new(at(0.0));
        for second in 1..3000 {
            let now = at(f64::from(second));
            liveness.heartbeat_done(now, second > 1500);
            assert_eq!(
                liveness.what_is_stuck(now, LEASE).is_some(),
                f64::from(second) > 1500.0 + MAX_ROUND_SEC,
                "after {second} s"
            );
        }
    }
}
