//! When something that is done again and again is due next.

use std::time::Duration;

use joulemark_measurement::clock::Monotonic;

/// The rhythm of one thing that is done again and again.
pub struct Beat {
    next: Monotonic,
}

impl Beat {
    pub fn starting_at_once() -> Self {
        Self { next: Monotonic::now() }
    }

    /// Returns when it is due next.
    pub fn next(&self) -> Monotonic {
        self.next
    }

    /// Returns whether it is time; if so, the next time is `then` later.
    pub fn is_due(&mut self, then: Duration) -> bool {
        self.missed(then).is_some()
    }

    /// Returns how many times were let pass before this one; `None` when it is not time yet.
    pub fn missed(&mut self, then: Duration) -> Option<u64> {
        let (now, period_ns) = (Monotonic::now(), then.as_nanos().max(1) as u64);
        let late_ns = now.0.checked_sub(self.next.0)?;
        // After a stall, go on from now: catching up in a burst would add nothing.
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
        let mut beat = Beat { next: late(350) };
        assert_eq!(beat.missed(period), Some(3));
        assert_eq!(beat.missed(period), Some(0), "it is due once more, now");
        assert_eq!(beat.missed(period), None);
    }
}
