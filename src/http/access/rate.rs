//! The rate limit on requests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::NANOSECONDS_PER_SECOND;

const NS_PER_MINUTE: u64 = 60 * NANOSECONDS_PER_SECOND as u64;
/// Number of callers above which those with their full allowance are removed from the table.
const PRUNE_AT: usize = 4096;

/// A limit on requests per minute for each caller, by the generic cell rate algorithm (ITU-T I.371). A full minute's
/// allowance may be used at once; then requests pass at the rate at which it refills.
#[derive(Debug)]
pub struct RateLimit {
    /// Nanoseconds in which the allowance for one request refills; 0 without a limit.
    interval_ns: u64,
    /// For each caller, the time at which the full allowance is back, in nanoseconds of the monotonic clock.
    full_again_ns: Mutex<HashMap<String, u64>>,
}

impl RateLimit {
    /// Returns a limit of so many requests per minute; 0 means no limit.
    pub fn per_minute(requests: u32) -> Self {
        Self {
            interval_ns: NS_PER_MINUTE.checked_div(u64::from(requests)).unwrap_or(0),
            full_again_ns: Mutex::default(),
        }
    }

    /// Takes the allowance for one request.
    ///
    /// # Errors
    /// Returns the whole seconds, at least 1, until the next request is allowed; nothing is taken.
    pub fn take(&self, caller: &str, now: Monotonic) -> Result<(), u32> {
        if self.interval_ns == 0 {
            return Ok(());
        }
        // No code panics while the lock is held, so a poisoned table is still consistent.
        let mut table = self.full_again_ns.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= PRUNE_AT {
            table.retain(|_, full_again| *full_again > now.0);
        }
        let full_again = table.get(caller).copied().unwrap_or(0).max(now.0) + self.interval_ns;
        let too_early_ns = (full_again - now.0).saturating_sub(NS_PER_MINUTE);
        if too_early_ns > 0 {
            let wait_sec = too_early_ns.div_ceil(NANOSECONDS_PER_SECOND as u64);
            return Err(u32::try_from(wait_sec).unwrap_or(u32::MAX));
        }
        table.insert(caller.to_owned(), full_again);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(sec: f64) -> Monotonic {
        Monotonic::from_sec(1000.0 + sec)
    }

    #[test]
    fn a_minutes_allowance_may_come_at_once_and_grows_back() {
        let limit = RateLimit::per_minute(3);
        for _ in 0..3 {
            assert_eq!(limit.take("a", at(0.0)), Ok(()));
        }
        assert_eq!(limit.take("a", at(0.0)), Err(20));
        assert_eq!(limit.take("b", at(0.0)), Ok(()), "another's allowance is their own");
        assert_eq!(limit.take("a", at(19.5)), Err(1));
        assert_eq!(limit.take("a", at(20.0)), Ok(()));
        assert_eq!(limit.take("a", at(20.0)), Err(20));
    }

    #[test]
    fn zero_is_no_limit() {
        let limit = RateLimit::per_minute(0);
        assert!((0..10_000).all(|_| limit.take("a", at(0.0)).is_ok()));
    }

    #[test]
    fn idle_callers_are_forgotten() {
        let limit = RateLimit::per_minute(60);
        for number in 0..PRUNE_AT {
            limit.take(&number.to_string(), at(0.0)).unwrap();
        }
        limit.take("late", at(2.0)).unwrap();
        assert_eq!(limit.full_again_ns.lock().unwrap().len(), 1);
    }

    proptest! {
        /// In any period no more requests pass than one minute's allowance plus the refill. A caller that waits as long
        /// as it was told passes.
        #[test]
        fn no_more_pass_than_is_allowed(per_minute in 1_u32..2000, gaps in proptest::collection::vec(0.0_f64..2.0, 1..300)) {
            let limit = RateLimit::per_minute(per_minute);
            let (mut now, mut passed) = (0.0, 0_u32);
            for gap in gaps {
                now += gap;
                match limit.take("a", at(now)) {
                    Ok(()) => passed += 1,
                    Err(wait_sec) => {
                        now += f64::from(wait_sec);
                        prop_assert_eq!(limit.take("a", at(now)), Ok(()));
                        passed += 1;
                    }
                }
                prop_assert!(f64::from(passed) <= f64::from(per_minute) * (1.0 + now / 60.0) * (1.0 + 1e-6) + 1e-3);
            }
        }
    }
}
