//! Computes the pauses between the tries of a callback.

use std::time::Duration;

/// Maximum time between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(3600);
const GROWTH: u32 = 3;

/// Times of the tries: the pause is tripled after each failed one, up to an hour.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Pause after the first try.
    pub first: Duration,
    pub max_attempts: u32,
}

impl Schedule {
    /// Returns the pause after the try with this number, counted from 1; `None` after the last one. `chance`, from 0 to
    /// 1, varies the pause by a quarter either way, so that calls that failed together do not come together again.
    pub fn pause(&self, attempt: u32, chance: f64) -> Option<Duration> {
        if attempt >= self.max_attempts {
            return None;
        }
        let factor = GROWTH.saturating_pow(attempt.saturating_sub(1));
        let pause = self.first.saturating_mul(factor).min(MAX_PAUSE);
        Some(pause.mul_f64(0.75 + 0.5 * chance.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_goes_on_for_hours() {
        let schedule = Schedule {
            first: Duration::from_secs(10),
            max_attempts: 12,
        };
        let pauses: Vec<_> = (1..=12).map(|attempt| schedule.pause(attempt, 0.5)).collect();
        let sec: Vec<_> = pauses.iter().flatten().map(Duration::as_secs).collect();
        assert_eq!(sec, [10, 30, 90, 270, 810, 2430, 3600, 3600, 3600, 3600, 3600]);
        assert!(sec.iter().sum::<u64>() > 5 * 3600);
    }

    proptest! {
        #[test]
        fn pauses_are_within_bounds_and_end(first in 1_u64..10_000, most in 1_u32..100, attempt in 1_u32..200, chance in 0.0_f64..=1.0) {
            let schedule = Schedule { first: Duration::from_secs(first), max_attempts: most };
            match schedule.pause(attempt, chance) {
                None => prop_assert!(attempt >= most),
                Some(pause) => {
                    prop_assert!(attempt < most && pause <= MAX_PAUSE.mul_f64(1.25));
                    prop_assert!(pause >= Duration::from_secs(first).min(MAX_PAUSE).mul_f64(0.75));
                }
            }
        }
    }
}
