//! Every GPU's samples over time, bounded. Owns how long a sample holds; deliberately does not know what is notable.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{GpuId, GpuSample, Trouble};
use crate::estimation::series::Span;
use joulemark_measurement::clock::Monotonic;

/// 2 h at 5 Hz are 36,000 samples of about 120 bytes: 4.5 MB a GPU. Beyond this the older half is thinned to every
/// second sample, as in a series of energy.
const CAPACITY: usize = 36_864;

/// A sample is believed until the next one, but not for longer than this or two intervals of the meter.
const HOLDS_SEC: f64 = 2.5;

/// More of them tell no more: the oldest are forgotten.
const MAX_ABSENCES: usize = 64;

/// A time in which a board was not there to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Absence {
    pub from: Monotonic,
    /// None while it lasts.
    pub until: Option<Monotonic>,
    pub why: String,
}

#[derive(Clone, Debug)]
pub struct GpuHistory {
    pub id: GpuId,
    pub trouble: Trouble,
    absences: VecDeque<Absence>,
    samples: VecDeque<GpuSample>,
    holds_sec: f64,
}

impl GpuHistory {
    pub fn push(&mut self, sample: GpuSample) {
        if self.samples.back().is_some_and(|last| sample.at <= last.at) {
            return;
        }
        self.samples.push_back(sample);
        if self.samples.len() > CAPACITY {
            let half = self.samples.len() / 2;
            let mut position = 0usize;
            self.samples.retain(|_| {
                position += 1;
                position > half || !position.is_multiple_of(2)
            });
        }
    }

    pub fn note(&mut self, trouble: &Trouble, now: Monotonic) {
        let lasting = self.absences.back_mut().filter(|absence| absence.until.is_none());
        match (&trouble.lost, lasting) {
            (Some(why), None) => {
                self.absences.push_back(Absence {
                    from: now,
                    until: None,
                    why: why.clone(),
                });
                if self.absences.len() > MAX_ABSENCES {
                    self.absences.pop_front();
                }
            }
            (None, Some(absence)) => absence.until = Some(now),
            _ => {}
        }
        if self.trouble != *trouble {
            self.trouble.clone_from(trouble);
        }
    }

    #[cfg(test)]
    pub fn last(&self) -> Option<&GpuSample> {
        self.samples.back()
    }

    /// The first time within `span` in which the board was away.
    pub fn first_absence(&self, span: Span) -> Option<&Absence> {
        let touches =
            |absence: &&Absence| absence.from <= span.end && absence.until.is_none_or(|until| until >= span.start);
        self.absences.iter().find(touches)
    }

    /// Returns the first sample whose slow readings are of `at` or later.
    pub fn first_look(&self, at: Monotonic) -> Option<&GpuSample> {
        let first = self
            .samples
            .partition_point(|sample| sample.slow.read_at.is_none_or(|read| read < at));
        self.samples.get(first)
    }

    /// Returns the last sample whose slow readings are of `at` or earlier.
    pub fn last_look(&self, at: Monotonic) -> Option<&GpuSample> {
        let next = self
            .samples
            .partition_point(|sample| sample.slow.read_at.is_none_or(|read| read <= at));
        self.samples.get(next.checked_sub(1)?)
    }

    /// The sample that holds at `at`.
    pub fn holding(&self, at: Monotonic) -> Option<&GpuSample> {
        let next = self.samples.partition_point(|sample| sample.at <= at);
        let sample = self.samples.get(next.checked_sub(1)?)?;
        (at.sec_since(sample.at) <= self.holds_sec).then_some(sample)
    }

    /// Every sample that holds for a part of `span`, with the seconds for which it does; the first may be older.
    pub fn during(&self, span: Span) -> Vec<(&GpuSample, f64)> {
        let first = self
            .samples
            .partition_point(|sample| sample.at <= span.start)
            .saturating_sub(1);
        let samples = self.samples.range(first..).take_while(|sample| sample.at < span.end);
        let held = samples.enumerate().map(|(offset, sample)| {
            let next = self.samples.get(first + offset + 1).map_or(span.end, |next| next.at);
            let until = next.sec_since(sample.at).min(self.holds_sec);
            let from = span.start.sec_since(sample.at).max(0.0);
            (sample, until.min(span.end.sec_since(sample.at)) - from)
        });
        held.filter(|(_, sec)| *sec > 0.0).collect()
    }

    /// Returns the most memory in use of all samples that hold for a part of `span`; `None` where none tells.
    pub fn peak_memory_bytes(&self, span: Span) -> Option<u64> {
        let samples = self.during(span).into_iter();
        samples.filter_map(|(sample, _)| sample.slow.memory_used_bytes).max()
    }
}

#[derive(Clone, Debug)]
pub struct TelemetryLog {
    pub gpus: Vec<GpuHistory>,
    /// How often the meter sweeps, in seconds.
    pub interval_sec: f64,
    /// Whether process ids that a driver names are numbered as this process sees them; false in most containers.
    pub pids_are_ours: bool,
}

impl TelemetryLog {
    pub fn new(gpus: &[GpuId], interval_sec: f64, pids_are_ours: bool) -> Self {
        let history = |id: &GpuId| GpuHistory {
            id: id.clone(),
            trouble: Trouble::default(),
            absences: VecDeque::new(),
            samples: VecDeque::new(),
            holds_sec: HOLDS_SEC.max(2.0 * interval_sec),
        };
        Self {
            gpus: gpus.iter().map(history).collect(),
            interval_sec,
            pids_are_ours,
        }
    }

    pub fn gpu(&self, uuid: &str) -> Option<&GpuHistory> {
        self.gpus.iter().find(|gpu| gpu.id.uuid == uuid)
    }
}

/// The log as the meter's thread and its readers share it.
#[derive(Clone, Debug)]
pub struct SharedLog(Arc<Mutex<TelemetryLog>>);

impl SharedLog {
    pub fn new(log: TelemetryLog) -> Self {
        Self(Arc::new(Mutex::new(log)))
    }

    /// A panic while the lock was held leaves a log with one sample missing, which is still a log.
    pub fn lock(&self) -> MutexGuard<'_, TelemetryLog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Brisk, Slow};

    fn sec(sec: f64) -> Monotonic {
        Monotonic::from_sec(sec)
    }

    fn history(times: impl IntoIterator<Item = f64>) -> GpuHistory {
        let id = GpuId {
            index: 0,
            uuid: "GPU-a".to_owned(),
        };
        let mut history = TelemetryLog::new(&[id], 0.1, true).gpus.remove(0);
        for at in times {
            history.push(GpuSample {
                at: sec(at),
                brisk: Brisk::default(),
                slow: Slow::default(),
            });
        }
        history
    }

    fn held(history: &GpuHistory, start: f64, end: f64) -> Vec<(f64, f64)> {
        let span = Span {
            start: sec(start),
            end: sec(end),
        };
        let rounded = |sec: f64| (sec * 1e6).round() / 1e6;
        history
            .during(span)
            .iter()
            .map(|(sample, sec)| (sample.at.as_sec(), rounded(*sec)))
            .collect()
    }

    #[test]
    fn a_window_between_two_samples_sees_the_one_before_it() {
        let history = history([1.0, 2.0, 3.0]);
        assert_eq!(held(&history, 1.25, 1.75), [(1.0, 0.5)]);
        assert_eq!(held(&history, 1.5, 2.5), [(1.0, 0.5), (2.0, 0.5)]);
    }

    #[test]
    fn a_sample_holds_for_two_and_a_half_seconds_at_most() {
        let history = history([1.0, 9.0]);
        assert_eq!(held(&history, 1.0, 10.0), [(1.0, 2.5), (9.0, 1.0)]);
        assert_eq!(held(&history, 4.0, 5.0), []);
        assert!(history.holding(sec(3.5)).is_some());
        assert!(history.holding(sec(3.6)).is_none());
        assert!(history.holding(sec(0.5)).is_none());
    }

    #[test]
    fn a_long_log_is_thinned_and_never_grows_beyond_its_bound() {
        let history = history((0..200_000).map(|i| f64::from(i) * 0.2));
        assert!(history.samples.len() <= CAPACITY);
        assert!(history.holding(sec(39_999.8)).is_some());
        assert!(
            history.samples.front().unwrap().at < sec(10.0),
            "the beginning is coarser, not gone"
        );
    }
}
