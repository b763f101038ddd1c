//! Token rate and remaining time of one phase.

use std::collections::VecDeque;

use joulemark_measurement::clock::Monotonic;

/// Time in seconds over which the rate is computed: long enough to be steady, short enough to show a change.
const RATE_SEC: f64 = 5.0;
/// Minimum time in seconds for a rate; a rate over less is noise.
const MIN_SEC: f64 = 0.2;

/// Number of generated tokens over time in one phase.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// The last point before the window of the rate, followed by those in the window.
    points: VecDeque<(Monotonic, u64)>,
    first: Option<(Monotonic, u64)>,
    /// Tokens in the phase at the last mark.
    marked: Option<u64>,
}

impl Pace {
    /// Records the number of tokens at a time.
    pub fn note(&mut self, now: Monotonic, tokens: u64) {
        self.first.get_or_insert((now, tokens));
        if self.points.back().is_some_and(|(_, last)| *last == tokens) {
            return;
        }
        self.points.push_back((now, tokens));
        while self.points.get(1).is_some_and(|(at, _)| now.sec_since(*at) >= RATE_SEC) {
            self.points.pop_front();
        }
    }

    /// Returns the recent rate in tokens per second; `None` when nothing was generated or the time is too short.
    pub fn lately(&self, now: Monotonic) -> Option<f64> {
        let (oldest, newest) = (self.points.front()?, self.points.back()?);
        // Time without tokens counts, so the rate of a hanging run falls.
        rate(*oldest, (now, newest.1))
    }

    /// Returns the tokens and seconds since the phase began; `None` before the first point.
    pub fn so_far(&self, now: Monotonic) -> Option<(u64, f64)> {
        let (began, before) = self.first?;
        let tokens = self.points.back()?.1.saturating_sub(before);
        Some((tokens, now.sec_since(began)))
    }

    /// Marks the present number of tokens.
    pub fn mark(&mut self) {
        let tokens = self.points.back().zip(self.first);
        self.marked = tokens.map(|((_, newest), (_, first))| newest.saturating_sub(first));
    }

    /// Returns the tokens in the phase at the last mark; `None` before the first.
    pub fn marked(&self) -> Option<u64> {
        self.marked
    }
}

fn rate(from: (Monotonic, u64), to: (Monotonic, u64)) -> Option<f64> {
    let sec = to.0.sec_since(from.0);
    let tokens = to.1.saturating_sub(from.1);
    (sec >= MIN_SEC && tokens > 0).then(|| tokens as f64 / sec)
}

/// Estimates the seconds until `expected` tokens are generated, at the average time per token so far; `None` before the
/// first token or when the time is too short.
pub fn eta_sec(so_far: (u64, f64), expected: u64) -> Option<f64> {
    let (tokens, sec) = so_far;
    let remaining = expected.saturating_sub(tokens);
    (tokens > 0 && sec >= MIN_SEC).then(|| sec * remaining as f64 / tokens as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(sec: f64) -> Monotonic {
        Monotonic::from_sec(100.0 + sec)
    }

    #[test]
    fn the_rate_is_over_the_last_seconds_and_a_pause_lowers_it() {
        let mut pace = Pace::default();
        assert_eq!(pace.lately(at(0.0)), None);
        for tenth in 0..=200 {
            let sec = f64::from(tenth) / 10.0;
            // Ten tokens per second for ten seconds, then twenty.
            let tokens = if sec < 10.0 {
                10.0 * sec
            } else {
                100.0 + 20.0 * (sec - 10.0)
            };
            pace.note(at(sec), tokens.round() as u64);
        }
        let lately = pace.lately(at(20.0)).unwrap();
        assert!((lately - 20.0).abs() < 0.5, "{lately}");
        assert!(pace.lately(at(40.0)).unwrap() < 5.0);
        assert_eq!(pace.so_far(at(20.0)), Some((300, 20.0)));
    }

    #[test]
    fn without_tokens_there_is_no_estimate() {
        assert_eq!(eta_sec((0, 9.0), 100), None);
        assert_eq!(eta_sec((25, 5.0), 100), Some(15.0));
        assert_eq!(eta_sec((120, 5.0), 100), Some(0.0));
    }

    proptest! {
        #[test]
        fn a_rate_lies_between_the_slowest_and_the_fastest_step(steps in prop::collection::vec((0.01_f64..2.0, 1_u64..100), 2..200)) {
            let (mut pace, mut now, mut tokens) = (Pace::default(), 0.0, 0);
            let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
            pace.note(at(now), tokens);
            for (sec, more) in steps {
                now += sec;
                tokens += more;
                least = least.min(more as f64 / sec);
                most = most.max(more as f64 / sec);
                pace.note(at(now), tokens);
            }
            if let Some(lately) = pace.lately(at(now)) {
                prop_assert!(lately >= least * 0.999 && lately <= most * 1.001, "{} of {} to {}", lately, least, most);
            }
        }
    }
}
