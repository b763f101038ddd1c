//! Converts a series into rates over time, such as the power of a counter. Pure.

use super::samples::{Sample, Series};
use super::span::Span;
use joulemark_measurement::clock::Monotonic;

/// Seconds after which a counter that stands still is at rest. Before, it may not have refreshed yet.
const MAX_STILL_SEC: f64 = 1.0;

/// Samples on either side by which one is placed among its refreshes. The number is small because rates of hours are
/// computed while the meter waits.
const RATE_SAMPLES_AROUND: usize = 48;

/// The mean growth per second since the rate before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Start of the interval.
    pub since: Monotonic,
    /// End of the interval.
    pub at: Monotonic,
    /// Growth per second; `None` across a break, where growth is unknown.
    pub per_sec: Option<f64>,
}

impl Series {
    /// Returns rates that tile the samples of `span`, so that their integral is the growth. Each begins where the one
    /// before it ends; the first may begin before `span`.
    ///
    /// An interval shorter than `least_sec`, or one in which the counter did not move, is joined with the next.
    /// Otherwise a step of 20 J between a regular sample and one for an edge a millisecond later would appear as 20 kW.
    ///
    /// `refresh_sec` is the maximum age of a value when it is read. The counter at a sample is interpolated between the
    /// refreshes around it; otherwise a constant load would seem to swing with their phase.
    pub fn rates(&self, span: Span, least_sec: f64, refresh_sec: f64) -> Vec<Rate> {
        let first = self.samples.partition_point(|sample| sample.at <= span.start);
        let Some(mut anchor) = self.samples.get(first.saturating_sub(1)) else {
            return Vec::new();
        };
        let reached = |sample: &Sample| {
            if refresh_sec > 0.0 {
                self.reached_among(sample.at, refresh_sec, RATE_SAMPLES_AROUND).total
            } else {
                sample.total
            }
        };
        let mut rates = Vec::new();
        let mut total = reached(anchor);
        for sample in self.samples.range(first..).take_while(|sample| sample.at <= span.end) {
            if let Some(is_known) = is_a_stretch(anchor, sample, least_sec) {
                let (before, sec) = (total, sample.at.sec_since(anchor.at));
                total = reached(sample);
                rates.push(Rate {
                    since: anchor.at,
                    at: sample.at,
                    per_sec: is_known.then(|| (total - before) / sec),
                });
                anchor = sample;
            }
        }
        rates
    }

    /// Returns the mean growth per second between two moments; `None` when it is unknown.
    pub fn rate_between(&self, start: Monotonic, end: Monotonic) -> Option<f64> {
        let span = Span { start, end };
        Some(self.growth(span, 0.0).ok()?.total / span.sec())
    }
}

/// Returns whether the growth between two samples is known, which it is not across a break. Returns `None` when they
/// are too close to make an interval.
fn is_a_stretch(anchor: &Sample, sample: &Sample, least_sec: f64) -> Option<bool> {
    let sec = sample.at.sec_since(anchor.at);
    if sec <= 0.0 {
        return None;
    }
    if sample.epoch != anchor.epoch {
        return Some(false);
    }
    let stands_still = sample.total == anchor.total && sec < MAX_STILL_SEC;
    (sec >= least_sec && !stands_still).then_some(true)
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
        let rates = series.rates(span(0.5, 1.5), 0.01, 0.0);
        assert!(rates.len() >= 9, "{rates:?}");
        let right = |rate: &Rate| rate.per_sec.is_some_and(|watts| (watts - 200.0).abs() < 1e-6);
        assert!(rates[1..].iter().all(right), "{rates:?}");
    }

    #[test]
    fn a_constant_load_is_constant_however_the_counter_s_phase_drifts() {
        let mut series = Series::default();
        let refreshed = |at: f64| (at / 0.05 + 1e-9).floor() * 0.05 * 300.0;
        for reading in 0..400 {
            series.push_total(
                sec(f64::from(reading) * 0.001),
                refreshed(f64::from(reading) * 0.001),
                false,
            );
        }
        let mut at = 0.4;
        for reading in 0..30 {
            at += 0.06 + 0.08 * (f64::from(reading) * 0.618).fract();
            series.push_total(sec(at), refreshed(at), false);
        }
        let off = |rates: &[Rate]| {
            let of = |rate: &Rate| (rate.per_sec.unwrap() - 300.0).abs();
            rates.iter().map(of).sum::<f64>() / rates.len() as f64
        };
        let (raw, placed) = (
            series.rates(span(0.5, 3.2), 0.05, 0.0),
            series.rates(span(0.5, 3.2), 0.05, 0.05),
        );
        assert_eq!(raw.len(), placed.len());
        assert!(
            off(&placed) < off(&raw) / 2.0,
            "{} W, as read {} W",
            off(&placed),
            off(&raw)
        );
        // Near a reading either of two refreshes may be the one shown; elsewhere the rates are exact.
        let exact = placed
            .iter()
            .filter(|rate| (rate.per_sec.unwrap() - 300.0).abs() < 1.0)
            .count();
        assert!(exact * 3 > placed.len(), "{placed:?}");
    }

    #[test]
    fn a_step_between_two_samples_a_millisecond_apart_is_no_spike() {
        let mut series = Series::default();
        for (at, joules) in [(0.0, 0.0), (0.1, 20.0), (0.2, 20.0), (0.201, 40.0), (0.3, 60.0)] {
            series.push_total(sec(at), joules, false);
        }
        let rates = series.rates(span(0.0, 1.0), 0.05, 0.0);
        assert!(rates.iter().all(|rate| rate.per_sec.unwrap() < 210.0), "{rates:?}");
    }

    #[test]
    fn a_counter_that_rests_has_no_power_and_one_that_fell_an_unknown_one() {
        let mut series = Series::default();
        for (at, joules) in [(0.0, 5.0), (0.6, 5.0), (1.2, 5.0), (1.4, 1.0), (1.5, 3.0)] {
            series.push_total(sec(at), joules, false);
        }
        let rates = series.rates(span(0.0, 2.0), 0.05, 0.0);
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
            let rates = series.rates(span(0.0, 1e6), least_sec, 0.0);
            prop_assert!(rates.windows(2).all(|pair| pair[0].at == pair[1].since));
            let Some(last) = rates.last() else { return Ok(()) };
            let sum: f64 = rates.iter().map(|rate| rate.per_sec.unwrap() * rate.at.sec_since(rate.since)).sum();
            let growth = series.growth(Span { start: rates[0].since, end: last.at }, 0.0).unwrap().total;
            prop_assert!((sum - growth).abs() <= 1e-6 * (1.0 + growth), "{} {}", sum, growth);
        }
    }
}
