//! How much a series grew over a span of time, and how well that is known. Pure.

use super::{Sample, Series};
use crate::clock::Monotonic;
use crate::measurement::Window;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: Monotonic,
    pub end: Monotonic,
}

impl From<&Window> for Span {
    fn from(window: &Window) -> Self {
        Self {
            start: Monotonic::from_sec(window.start_monotonic_sec),
            end: Monotonic::from_sec(window.end_monotonic_sec),
        }
    }
}

impl Span {
    pub fn sec(&self) -> f64 {
        self.end.sec_since(self.start)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    pub total: f64,
    /// Samples inside the span, both edges included.
    pub sample_count: u32,
    /// Mean spacing of those samples; none with fewer than two.
    pub interval_sec: Option<f64>,
    /// Distance of each edge from the nearest sample, both added up: 0 when both edges were read exactly.
    pub edge_sec: f64,
    /// Largest growth per second over stretches of at least the smoothing length asked for.
    pub peak_rate: f64,
    /// The most by which trapezoids can miss a power that is monotone between samples; 0 for a counter.
    pub roughness: f64,
}

/// Why growth over a span is not known.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unknown {
    #[error("the window has no length")]
    EmptyWindow,
    #[error("it was never sampled")]
    NeverSampled,
    #[error("it was first sampled {0:.3} s after the window began")]
    BeganLate(f64),
    #[error("it was last sampled {0:.3} s before the window ended")]
    EndedEarly(f64),
    #[error("{0}")]
    Broken(String),
}

/// A point of the curve: the total at an edge, and how far the nearest sample is.
struct Edge {
    total: f64,
    roughness: f64,
    distance_sec: f64,
}

impl Series {
    /// Growth from `span.start` to `span.end`. Never extrapolated: a span not covered by samples is unknown.
    /// `smoothing_sec` is the shortest stretch whose rate is believed when the peak is looked for.
    pub fn growth(&self, span: Span, smoothing_sec: f64) -> Result<Growth, Unknown> {
        if span.end <= span.start {
            return Err(Unknown::EmptyWindow);
        }
        let (Some(first), Some(last)) = (self.first(), self.last()) else {
            return Err(Unknown::NeverSampled);
        };
        if first.at > span.start {
            return Err(Unknown::BeganLate(first.at.sec_since(span.start)));
        }
        if last.at < span.end {
            return Err(Unknown::EndedEarly(span.end.sec_since(last.at)));
        }
        // The last sample at or before the start, the first at or after the end.
        let from = self.samples.partition_point(|sample| sample.at <= span.start) - 1;
        let to = self.samples.partition_point(|sample| sample.at < span.end);
        let (before, after) = (&self.samples[from], &self.samples[to]);
        if before.epoch != after.epoch {
            return Err(Unknown::Broken(self.why_broken(before.epoch)));
        }
        let start = edge(before, self.samples.get(from + 1), span.start);
        let end = edge(&self.samples[to.saturating_sub(1)], Some(after), span.end);
        let inside = self
            .samples
            .range(from..=to)
            .filter(|sample| sample.at >= span.start && sample.at <= span.end);
        let (mut sample_count, mut first_at, mut last_at) = (0u32, None, None);
        for sample in inside {
            sample_count += 1;
            first_at.get_or_insert(sample.at);
            last_at = Some(sample.at);
        }
        let total = end.total - start.total;
        Ok(Growth {
            total,
            sample_count,
            interval_sec: first_at
                .zip(last_at)
                .filter(|_| sample_count >= 2)
                .map(|(first, last): (Monotonic, Monotonic)| last.sec_since(first) / f64::from(sample_count - 1)),
            edge_sec: start.distance_sec + end.distance_sec,
            peak_rate: self.peak_rate(from, to, smoothing_sec).max(total / span.sec()),
            roughness: end.roughness - start.roughness,
        })
    }

    /// Growth from `start` on, where the quantity stands still after its last sample (CPU time of an ended process).
    pub fn growth_until_the_end(&self, span: Span) -> Result<f64, Unknown> {
        let Some(last) = self.last() else {
            return Err(Unknown::NeverSampled);
        };
        if last.at <= span.start && self.first().is_some_and(|first| first.at <= span.start) {
            return Ok(0.0);
        }
        self.growth(
            Span {
                start: span.start,
                end: span.end.min(last.at),
            },
            0.0,
        )
        .map(|growth| growth.total)
    }

    fn why_broken(&self, epoch: u32) -> String {
        let reason = self.breaks.iter().find(|(broken, _)| *broken > epoch);
        reason.map_or_else(|| "its readings do not connect".to_owned(), |(_, why)| why.clone())
    }

    /// The steepest stretch of at least `smoothing_sec`, also one that began shortly before: a stale counter shows at
    /// the window's start what was drawn before it.
    fn peak_rate(&self, from: usize, to: usize, smoothing_sec: f64) -> f64 {
        let samples = &self.samples;
        let mut base = from;
        while base > 0
            && samples[base - 1].epoch == samples[from].epoch
            && samples[from].at.sec_since(samples[base].at) < smoothing_sec
        {
            base -= 1;
        }
        let mut peak = 0.0f64;
        for sample in samples.range(from..=to) {
            while sample.at.sec_since(samples[base + 1].at) >= smoothing_sec && samples[base + 1].at < sample.at {
                base += 1;
            }
            let dt = sample.at.sec_since(samples[base].at);
            if dt >= smoothing_sec && dt > 0.0 {
                peak = peak.max((sample.total - samples[base].total) / dt);
            }
        }
        peak
    }
}

fn edge(before: &Sample, after: Option<&Sample>, at: Monotonic) -> Edge {
    let since = at.sec_since(before.at);
    let exact = |sample: &Sample| Edge {
        total: sample.total,
        roughness: sample.roughness,
        distance_sec: 0.0,
    };
    let Some(after) = after.filter(|_| since > 0.0) else {
        return exact(before);
    };
    let dt = after.at.sec_since(before.at);
    if dt <= since {
        return exact(after);
    }
    let part = since / dt;
    let grown = match (before.power_w, after.power_w) {
        // Linear power, hence a parabola: splitting a window here adds up to the whole exactly.
        (Some(from_w), Some(to_w)) => from_w * since + (to_w - from_w) * part * since / 2.0,
        _ => (after.total - before.total) * part,
    };
    Edge {
        total: before.total + grown,
        roughness: before.roughness + (after.roughness - before.roughness) * part,
        distance_sec: since.min(dt - since),
    }
}
