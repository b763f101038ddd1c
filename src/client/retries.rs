//! Limits the retries of a request.

use std::time::Duration;

use joulemark_measurement::{Backoff, clock::Monotonic};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Time limit and backoff for the retries of one request.
#[derive(Clone, Debug)]
pub struct Retries {
    limit: Duration,
    failing_since: Option<Monotonic>,
    backoff: Backoff,
}

impl Retries {
    /// Creates the state before the first failure; `limit` counts from it.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            failing_since: None,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        }
    }

    /// Starts anew after a response of the server.
    pub fn reset(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Returns the pause before the next retry; `None` when it would end after the time limit. `asked` is the minimum
    /// that the server asks for; `luck`, from 0 to 1, spreads the retries of many clients.
    pub fn pause(&mut self, now: Monotonic, asked: Option<Duration>, luck: f64) -> Option<Duration> {
        let since = *self.failing_since.get_or_insert(now);
        let own = self.backoff.next_pause().as_secs_f64() * (0.5 + luck);
        let pause = own.max(asked.map_or(0.0, |asked| asked.as_secs_f64()));
        let left = self.limit.as_secs_f64() - now.sec_since(since);
        (pause <= left).then(|| Duration::from_secs_f64(pause))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_pauses_stay_within_the_limit_and_are_at_least_as_long_as_asked(
            whole_sec in 0.0..500.0_f64, asked_sec in proptest::option::of(0.0..100.0_f64), luck in 0.0..1.0_f64,
        ) {
            let asked = asked_sec.map(Duration::from_secs_f64);
            let mut retries = Retries::new(Duration::from_secs_f64(whole_sec));
            let (mut at, mut waited) = (0.0, 0.0);
            let mut tries = 0;
            while let Some(pause) = retries.pause(Monotonic::from_sec(at), asked, luck) {
                let pause = pause.as_secs_f64();
                prop_assert!(asked_sec.is_none_or(|asked| pause >= asked - 1e-6));
                // A pause is rounded to nanoseconds.
                prop_assert!(pause <= asked_sec.unwrap_or(0.0).max(LONGEST_PAUSE.as_secs_f64() * 1.5) + 1e-6);
                at += pause;
                waited += pause;
                tries += 1;
                prop_assert!(tries < 10_000);
            }
            prop_assert!(waited <= whole_sec + 1e-6);
        }
    }

    #[test]
    fn pauses_grow_and_start_anew_after_a_response() {
        let mut retries = Retries::new(Duration::from_secs(100));
        let at = Monotonic::from_sec(5.0);
        let pauses: Vec<_> = (0..7)
            .filter_map(|_| retries.pause(at, None, 0.5))
            .map(|pause| pause.as_secs_f64())
            .collect();
        assert_eq!(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]);
        retries.reset();
        assert_eq!(retries.pause(at, None, 0.5), Some(Duration::from_millis(500)));
        let mut none = Retries::new(Duration::ZERO);
        assert_eq!(none.pause(at, None, 0.0), None);
    }
}
