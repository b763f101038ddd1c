//! A series as rates over time: power of a counter. Pure.

use super::{Sample, Series, Span};
use crate::clock::Monotonic;

/// A counter that stands still for longer than this really rests; before, it may not have refreshed yet.
const LONGEST_STILL_SEC: f64 = 1.0;

/// Mean growth per second since the rate before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub since: Monotonic,
    pub at: Monotonic,
    /// None across a break, where growth is not known.
    pub per_sec: Option<f64>,
}

impl Series {
    /// Rates that tile the samples of `span`, so that their sum over time is the growth. Each reaches back to the one
    /// before it; the first may reach back before `span`.
    ///
    /// A stretch shorter than `least_sec`, or one in which the counter did not move, is drawn together with the next:
    /// a step of 20 J that falls between a regular sample and one for an edge a millisecond later is not 20 kW.
    pub fn rates(&self, span: Span, least_sec: f64) -> Vec<Rate> {
        let first = self.samples.partition_point(|sample| sample.at <= span.start);
        let Some(mut anchor) = self.samples.get(first.saturating_sub(1)) else {
            return Vec::new();
        };
        let mut rates = Vec::new();
        for sample in self.samples.range(first..).take_while(|sample| sample.at <= span.end) {
            if let Some(per_sec) = rate(anchor, sample, least_sec) {
                rates.push(Rate {
                    since: anchor.at,
                    at: sample.at,
                    per_sec,
                });
                anchor = sample;
            }
        }
        rates
    }

    /// Mean growth per second between two moments, where it is known.
    pub fn rate_between(&self, start: Monotonic, end: Monotonic) -> Option<f64> {
        let span = Span { start, end };
        Some(self.growth(span, 0.0).ok()?.total / span.sec())
    }
}

fn rate(anchor: &Sample, sample: &Sample, least_sec: f64) -> Option<Option<f64>> {
    let sec = sample.at.sec_since(anchor.at);
    if sec <= 0.0 {
        return None;
    }
    if sample.epoch != anchor.epoch {
        return Some(None);
    }
    let grown = sample.total - anchor.total;
    let stands_still = grown == 0.0 && sec < LONGEST_STILL_SEC;
    (sec >= least_sec && !stands_still).then(|| Some(grown / sec))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sec(sec: f64) -> Monotonic {
        Monotonic::from_sec(sec)
    }

    fn span(start: f64, end: f64) -> Span {
        Span {
            start: sec(start),
            end: sec(end),
        }
    }

    #[test]
    fn a_counter_that_refreshes_slowly_is_read_from_step_to_step() {
        let mut series = Series::default();
        for tick in 0..100 {
            let at = f64::from(tick) * 0.02;
            series.push_total(sec(at), (at / 0.1 + 1e-9).floor() * 20.0, false);
        }
        let rates = series.rates(span(0.5, 1.5), 0.01);
        assert!(rates.len() >= 9, "{rates:?}");
        let right = |rate: &Rate| rate.per_sec.is_some_and(|watts| (watts - 200.0).abs() < 1e-6);
        assert!(rates[1..].iter().all(right), "{rates:?}");
    }

    #[test]
    fn a_step_between_two_samples_a_millisecond_apart_is_no_spike() {
        let mut series = Series::default();
        for (at, joules) in [(0.0, 0.0), (0.1, 20.0), (0.2, 20.0), (0.201, 40.0), (0.3, 60.0)] {
            series.push_total(sec(at), joules, false);
        }
        let rates = series.rates(span(0.0, 1.0), 0.05);
        assert!(rates.iter().all(|rate| rate.per_sec.unwrap() < 210.0), "{rates:?}");
    }

    #[test]
    fn a_counter_that_rests_has_no_power_and_one_that_fell_an_unknown_one() {
        let mut series = Series::default();
        for (at, joules) in [(0.0, 5.0), (0.6, 5.0), (1.2, 5.0), (1.4, 1.0), (1.5, 3.0)] {
            series.push_total(sec(at), joules, false);
        }
        let rates = series.rates(span(0.0, 2.0), 0.05);
        let powers: Vec<_> = rates.iter().map(|rate| rate.per_sec).collect();
        assert_eq!(powers[..2], [Some(0.0), None]);
        assert!((powers[2].unwrap() - 20.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn rates_over_time_add_up_to_the_growth(
            steps in prop::collection::vec((0.001f64..0.3, 0.0f64..50.0), 3..200),
            least_sec in 0.0f64..0.2,
        ) {
            let (mut at, mut total, mut series) = (10.0, 0.0, Series::default());
            for (dt, joules) in &steps {
                series.push_total(sec(at), total, false);
                at += dt;
                total += joules;
            }
            let rates = series.rates(span(0.0, 1e6), least_sec);
            prop_assert!(rates.windows(2).all(|pair| pair[0].at == pair[1].since));
            let Some(last) = rates.last() else { return Ok(()) };
            let sum: f64 = rates.iter().map(|rate| rate.per_sec.unwrap() * rate.at.sec_since(rate.since)).sum();
            let growth = series.growth(Span { start: rates[0].since, end: last.at }, 0.0).unwrap().total;
            prop_assert!((sum - growth).abs() <= 1e-6 * (1.0 + growth), "{} {}", sum, growth);
        }
    }
}
