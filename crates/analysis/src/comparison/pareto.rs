use std::collections::BTreeMap;

use super::comparability::{differences, differences_in};
use super::front::{Place, Standing, front};
use super::measured::MeasuredResult;
use super::subject::{Series, Subject};
use crate::intervals::Interval;
use crate::metrics::Metric;
use crate::repetition;
use joulemark_experiment::report::MetricStatistics;

/// A result's statistics in two metrics.
#[derive(Clone, Debug)]
pub struct ParetoCandidate {
    subject: Subject,
    of_x: MetricStatistics,
    of_y: MetricStatistics,
}

/// Position of a result among others.
#[derive(Clone, Copy, Debug)]
pub struct ParetoPoint {
    pub place: Place,
    /// Number of cycles or repeats.
    pub n: u32,
    pub standing: Standing,
}

impl ParetoCandidate {
    /// Extracts two metrics of a result.
    ///
    /// # Errors
    /// Returns the reason why a metric cannot be used: it is null in a cycle, or the energies of cycles have different
    /// parts.
    pub fn new(result: &MeasuredResult, (x, y): (&'static Metric, &'static Metric)) -> Result<Self, String> {
        let of = |metric: &Metric| repetition::of_metric(metric, &result.cycles);
        Self::with(Subject::new(result, &[x, y]), (x, y), of)
    }

    /// Extracts two metrics of whole experiments that repeat each other.
    ///
    /// # Errors
    /// Fails like [`Self::new`], and where there is no repeat.
    pub fn of_repeats(results: &[MeasuredResult], (x, y): (&'static Metric, &'static Metric)) -> Result<Self, String> {
        let name = results.first().map_or("", |result| result.name.as_str());
        let subject = Subject::of_repeats(name, results, &[x, y], None);
        let subject = subject.ok_or_else(|| "no repeat has results".to_owned())?;
        let cycles: Vec<_> = results.iter().map(|result| result.cycles.clone()).collect();
        Self::with(subject, (x, y), |metric| repetition::over_experiments(metric, &cycles))
    }

    /// Creates a candidate from the statistics of both metrics.
    fn with(
        subject: Subject,
        (x, y): (&'static Metric, &'static Metric),
        statistics: impl Fn(&Metric) -> Option<MetricStatistics>,
    ) -> Result<Self, String> {
        for series in &subject.series {
            if let Some(mismatch) = &series.mismatch {
                return Err(format!("{}: {mismatch}", series.metric.name));
            }
        }
        let of = |metric: &Metric| {
            let found = statistics(metric);
            found.ok_or_else(|| format!("{} is null", metric.name))
        };
        Ok(Self {
            of_x: of(x)?,
            of_y: of(y)?,
            subject,
        })
    }
}

/// Returns the position of each result, and notes on the limits of the whole front. Where hosts or sources differ, the
/// interval of an energy includes the instrument's half-width; otherwise it does not, because that is the same for all
/// results.
pub fn pareto(candidates: &[ParetoCandidate], (x, y): (&Metric, &Metric)) -> (Vec<ParetoPoint>, Vec<String>) {
    let Some(first) = candidates.first() else {
        return (Vec::new(), Vec::new());
    };
    let is_even = |axis: usize| {
        candidates.iter().all(|candidate| {
            let (one, other) = (
                &first.subject.series[axis].instrument,
                &candidate.subject.series[axis].instrument,
            );
            let has_sources = one
                .as_ref()
                .zip(other.as_ref())
                .is_none_or(|(one, other)| one.has_sources_of(other));
            first.subject.host == candidate.subject.host && has_sources
        })
    };
    let even = [is_even(0), is_even(1)];
    let places: Vec<_> = candidates
        .iter()
        .map(|candidate| {
            let series = &candidate.subject.series;
            Place {
                x: candidate.of_x.mean,
                y: candidate.of_y.mean,
                x_interval: interval(&candidate.of_x, &series[0], even[0]),
                y_interval: interval(&candidate.of_y, &series[1], even[1]),
            }
        })
        .collect();
    let standings = front(&places, x.better, y.better);
    let points = places.into_iter().zip(standings).zip(candidates);
    let points = points.map(|((place, standing), candidate)| ParetoPoint {
        place,
        n: candidate.of_x.n,
        standing,
    });
    (points.collect(), notes(candidates))
}

/// Returns the interval of a metric, including the instrument's half-width unless `is_even`.
fn interval(of: &MetricStatistics, series: &Series, is_even: bool) -> Option<Interval> {
    match series.instrument {
        Some(_) if !is_even => of.combined_low.zip(of.combined_high),
        _ => of.ci_low.zip(of.ci_high),
    }
}

/// Returns notes on how results differ from the first one, with the number of results for each difference.
fn notes(candidates: &[ParetoCandidate]) -> Vec<String> {
    let first = &candidates[0].subject;
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for candidate in &candidates[1..] {
        let mut found = differences(first, &candidate.subject);
        for (one, other) in first.series.iter().zip(&candidate.subject.series) {
            if let Some((one, other)) = one.instrument.as_ref().zip(other.instrument.as_ref()) {
                found.extend(one.differences(other));
            }
        }
        let axes = first.series.iter().map(|series| series.metric);
        found.extend(axes.filter_map(|metric| differences_in(metric, first, &candidate.subject)));
        found.sort();
        found.dedup();
        for reason in found {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let name = &first.name;
    let note = |(reason, count)| {
        format!("{count} of the points cannot be compared with {name}, the baseline of this note: {reason}")
    };
    let mut notes: Vec<_> = reasons.into_iter().map(note).collect();
    if candidates.iter().any(|candidate| candidate.subject.host != first.host) {
        notes.push("the points come from several hosts".to_owned());
    }
    let is_estimate = |candidate: &ParetoCandidate| {
        let mut instruments = candidate
            .subject
            .series
            .iter()
            .filter_map(|series| series.instrument.as_ref());
        instruments.any(|instrument| instrument.is_estimate())
    };
    if candidates.iter().any(is_estimate) {
        notes.push("energies without a measurement are estimates".to_owned());
    }
    notes
}
