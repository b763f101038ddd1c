//! Determines when a periodic action is due.

use std::time::Duration;

use joulemark_measurement::clock::Monotonic;

/// The schedule of a periodic action.
pub struct Periodic {
    next: Monotonic,
}

impl Periodic {
    /// Creates a schedule whose action is due now.
    pub fn starting_now() -> Self {
        Self { next: Monotonic::now() }
    }

    /// Returns the time at which the action is due next.
    pub fn next(&self) -> Monotonic {
        self.next
    }

    /// Returns whether the action is due. If it is, it is due again a period of `then` later.
    pub fn is_due(&mut self, then: Duration) -> bool {
        self.missed(then).is_some()
    }

    /// Returns the number of periods missed before this one; `None` when the action is not due yet.
    pub fn missed(&mut self, then: Duration) -> Option<u64> {
        let (now, period_ns) = (Monotonic::now(), then.as_nanos().max(1) as u64);
        let late_ns = now.0.checked_sub(self.next.0)?;
        // After a stall go on from now: a burst of late actions would add nothing.
        self.next = Monotonic(self.next.0 + period_ns).max(now);
        Some(late_ns / period_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_was_held_up_counts_the_sweeps_it_missed_and_goes_on_from_now() {
        let period = Duration::from_secs(100);
        let late = |sec: u64| {
            Monotonic(
                Monotonic::now()
                    .0
                    .saturating_sub(Duration::from_secs(sec).as_nanos() as u64),
            )
        };
        let mut periodic = Periodic { next: late(350) };
        assert_eq!(periodic.missed(period), Some(3));
        assert_eq!(periodic.missed(period), Some(0), "it is due once more, now");
        assert_eq!(periodic.missed(period), None);
    }
}
