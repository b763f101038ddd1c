//! Computes the growth of a series over a span of time and its uncertainty. Pure.

use super::counter_interpolation::Reached;
use super::samples::{Sample, Series};
use super::span::Span;
use joulemark_measurement::clock::Monotonic;

/// The growth of a series over a span, in the series' unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Growth from the span's start to its end.
    pub total: f64,
    /// Number of samples inside the span, both edges included.
    pub sample_count: u32,
    /// Mean interval between those samples in seconds; `None` with fewer than two.
    pub interval_sec: Option<f64>,
    /// Half-widths of the errors at the span's start and end from the uncertain times of the refreshes around each.
    pub timing: [f64; 2],
    /// Half-widths of the errors at the span's start and end from the unknown course of power between those refreshes.
    pub shape: [f64; 2],
}

/// The reason why growth over a span is unknown.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unknown {
    /// The span does not end after it starts.
    #[error("the window has no length")]
    EmptyWindow,
    /// The series has no sample.
    #[error("it was never sampled")]
    NeverSampled,
    /// The first sample is this many seconds after the span's start.
    #[error("it was first sampled {0:.3} s after the window began")]
    BeganLate(f64),
    /// The last sample is this many seconds before the span's end.
    #[error("it was last sampled {0:.3} s before the window ended")]
    EndedEarly(f64),
    /// The series is broken within the span, for this reason.
    #[error("{0}")]
    Broken(String),
}

impl Series {
    /// Returns the growth from `span.start` to `span.end`, interpolated at both. `refresh_sec` is the maximum age of a
    /// value when it is read; 0 for a value that is always fresh.
    ///
    /// # Errors
    /// Returns [`Unknown`] when samples of one epoch do not cover the span. Nothing is extrapolated.
    pub fn growth(&self, span: Span, refresh_sec: f64) -> Result<Growth, Unknown> {
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
        // The last sample at or before the start, and the first at or after the end.
        let from = self.samples.partition_point(|sample| sample.at <= span.start) - 1;
        let to = self.samples.partition_point(|sample| sample.at < span.end);
        let (before, after) = (&self.samples[from], &self.samples[to]);
        if before.epoch != after.epoch {
            return Err(Unknown::Broken(self.why_broken(before.epoch)));
        }
        let polled = after.power_w.is_some();
        let reached = |index: usize, at| {
            if polled {
                self.integral(index, at)
            } else {
                self.reached(at, refresh_sec)
            }
        };
        let (start, end) = (reached(from, span.start), reached(to.saturating_sub(1), span.end));
        let inside = (from..=to).filter(|index| {
            let at = self.samples[*index].at;
            at >= span.start && at <= span.end
        });
        let sample_count = inside.clone().count() as u32;
        let length = inside.clone().next().zip(inside.clone().next_back());
        let length_sec = length.map(|(first, last)| self.samples[last].at.sec_since(self.samples[first].at));
        Ok(Growth {
            total: end.total - start.total,
            sample_count,
            interval_sec: length_sec
                .filter(|_| sample_count >= 2)
                .map(|sec| sec / f64::from(sample_count - 1)),
            timing: [start.timing, end.timing],
            shape: [start.shape, end.shape],
        })
    }

    /// Returns the growth over `span` of a quantity that is constant after its last sample, such as the CPU time of an
    /// ended process.
    ///
    /// # Errors
    /// Returns [`Unknown`] as [`growth`](Self::growth) does for the part of the span up to the last sample.
    pub fn growth_until_the_end(&self, span: Span) -> Result<f64, Unknown> {
        let Some(last) = self.last() else {
            return Err(Unknown::NeverSampled);
        };
        if last.at <= span.start && self.first().is_some_and(|first| first.at <= span.start) {
            return Ok(0.0);
        }
        let lived = Span {
            start: span.start,
            end: span.end.min(last.at),
        };
        self.growth(lived, 0.0).map(|growth| growth.total)
    }

    /// Returns the reason of the first break after an epoch.
    fn why_broken(&self, epoch: u32) -> String {
        let reason = self.breaks.iter().find(|(broken, _)| *broken > epoch);
        reason.map_or_else(|| "its readings are not continuous".to_owned(), |(_, why)| why.clone())
    }

    /// Returns polled power integrated up to `at`, which is at or after the sample at `index` and at most at the next.
    fn integral(&self, index: usize, at: Monotonic) -> Reached {
        let before = &self.samples[index];
        let since = at.sec_since(before.at);
        let Some(after) = self.samples.get(index + 1).filter(|_| since > 0.0) else {
            return Reached::exactly(before.total);
        };
        let sec = after.at.sec_since(before.at);
        Reached::exactly(before.total + partial_trapezoid(before, after, since.min(sec), sec))
    }
}

/// Returns the energy of the first `since` seconds between two samples. Power is taken to be linear, so that the parts
/// of a window add up to the whole exactly.
fn partial_trapezoid(before: &Sample, after: &Sample, since: f64, sec: f64) -> f64 {
    let from_w = before.power_w.or(after.power_w).unwrap_or(0.0);
    let to_w = after.power_w.unwrap_or(from_w);
    from_w * since + (to_w - from_w) * since * since / (2.0 * sec)
}
