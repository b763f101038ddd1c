//! Bounds the refresh period of a sensor whose values do not show it: one without noise, under a load with few levels.
//!
//! A value changes only when the sensor refreshes, so that all changes are whole periods apart. A period that does not
//! fit them is refuted.

use super::refresh_period::FAST_REFRESH_SEC;
use super::refreshed_power::AROUND_SEC;
use super::samples::Series;
use super::span::Span;

/// Maximum number of changes that are examined. More would refute no further period.
const MAX_CHANGES: usize = 64;

impl Series {
    /// Returns the longest period in seconds, at most `longest_sec`, for which every change of value around `span` can
    /// be a refresh.
    pub fn slowest_refresh_sec(&self, span: Span, longest_sec: f64) -> f64 {
        let origin = span.start;
        let near = |at: f64| (-AROUND_SEC..span.sec() + AROUND_SEC).contains(&at);
        let steps = self.samples.iter().map(|sample| sample.changed_within(origin));
        let mut changes: Vec<(f64, f64)> = steps.filter(|(after, by)| after < by && near(*by)).collect();
        changes.dedup();
        changes.truncate(MAX_CHANGES);
        // Two changes are two refreshes, so the period is at most their distance.
        let apart = changes.windows(2).map(|pair| pair[1].1 - pair[0].0);
        let longest_sec = apart.fold(longest_sec, f64::min).max(FAST_REFRESH_SEC);
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
            return longest_sec;
        };
        let sharpest = changes
            .iter()
            .map(|(after, by)| by - after)
            .fold(f64::INFINITY, f64::min);
        let span_sec = (last.1 - first.1).max(longest_sec);
        let mut period = longest_sec;
        // Each step changes the period so that the outermost change moves by the error of the sharpest one.
        let slack_sec = sharpest / 2.0;
        while period > FAST_REFRESH_SEC && !fits(&changes, period, slack_sec) {
            period -= sharpest * period / span_sec;
        }
        period.max(FAST_REFRESH_SEC)
    }
}

/// Returns whether for some phase every change encloses a refresh of this period.
fn fits(changes: &[(f64, f64)], period: f64, slack_sec: f64) -> bool {
    let origin = changes[0].0;
    let (mut earliest, mut latest) = (0.0f64, changes[0].1 - origin);
    changes.iter().all(|(after, by)| {
        if by - after >= period {
            return true;
        }
        // The number of periods that brings the change nearest to the remaining range of phases.
        let periods = (((after + by) / 2.0 - origin - (earliest + latest) / 2.0) / period).round();
        earliest = earliest.max(after - slack_sec - origin - periods * period);
        latest = latest.min(by + slack_sec - origin - periods * period);
        earliest < latest
    })
}
