//! Whether the scheduler's loops still come round, for who would otherwise trust a server that has stopped working and
//! still answers. A database that is away is not a scheduler that is stuck.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;

/// A heartbeat that does not answer is given up after a lease; the loop has this long beside it.
const KEEPING_SPARE_SEC: f64 = 30.0;

/// A look at the queue that is not over after this long, while heartbeats reach the database, never will be: even a
/// connection that was cut without a sign has been given up by the kernel.
const LONGEST_STEP_SEC: f64 = 1200.0;

/// When each loop came round last.
#[derive(Debug)]
pub struct Liveness {
    worked: Stamp,
    kept: Stamp,
    /// When a heartbeat last did not reach the database.
    out_of_touch: Stamp,
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
    pub fn new(now: Monotonic) -> Self {
        let stamp = || Stamp(AtomicU64::new(now.0));
        Self {
            worked: stamp(),
            kept: stamp(),
            out_of_touch: stamp(),
        }
    }

    pub fn has_worked(&self, now: Monotonic) {
        self.worked.set(now);
    }

    pub fn has_kept(&self, now: Monotonic, in_touch: bool) {
        self.kept.set(now);
        if !in_touch {
            self.out_of_touch.set(now);
        }
    }

    /// Which loop does not come round any more; none while all do.
    pub fn what_is_stuck(&self, now: Monotonic, lease: Duration) -> Option<String> {
        let kept_sec = self.kept.age_sec(now);
        if kept_sec > lease.as_secs_f64() + KEEPING_SPARE_SEC {
            return Some(format!("the heartbeat has not come round for {kept_sec:.0} s"));
        }
        let worked_sec = self.worked.age_sec(now);
        let is_stuck = worked_sec > LONGEST_STEP_SEC && self.out_of_touch.age_sec(now) > LONGEST_STEP_SEC;
        is_stuck.then(|| format!("a look at the queue has not ended for {worked_sec:.0} s"))
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
            liveness.has_kept(now, true);
            liveness.has_worked(now);
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
            liveness.has_kept(now, second > 1500);
            assert_eq!(
                liveness.what_is_stuck(now, LEASE).is_some(),
                f64::from(second) > 1500.0 + LONGEST_STEP_SEC,
                "after {second} s"
            );
        }
    }
}
