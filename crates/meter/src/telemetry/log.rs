//! Stores the samples of every GPU over time, in bounded memory. Owns how long a sample is valid; leaves what is
//! notable to `environment`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{GpuId, GpuSample, Trouble};
use crate::estimation::series::Span;
use joulemark_measurement::clock::Monotonic;

/// Maximum number of samples: 2 h at 5 Hz are 36,000 samples of about 120 bytes, 4.5 MB for each GPU. Beyond it every
/// second sample of the older half is dropped.
const CAPACITY: usize = 36_864;

/// Maximum validity of a sample in seconds, unless two intervals of the meter are longer. A newer sample ends it.
const HOLDS_SEC: f64 = 2.5;

/// Maximum number of absences that are stored; the oldest are dropped.
const MAX_ABSENCES: usize = 64;

/// A time in which a board could not be queried.
#[derive(Clone, Debug, PartialEq)]
pub struct Absence {
    /// Time of the first failure.
    pub from: Monotonic,
    /// Time when the board answered again; `None` while it is away.
    pub until: Option<Monotonic>,
    /// The reason.
    pub why: String,
}

/// The samples of one GPU.
#[derive(Clone, Debug)]
pub struct GpuHistory {
    /// The GPU.
    pub id: GpuId,
    /// What prevents readings now.
    pub trouble: Trouble,
    absences: VecDeque<Absence>,
    samples: VecDeque<GpuSample>,
    holds_sec: f64,
}

impl GpuHistory {
    /// Adds a sample. One that is not newer than the last is ignored.
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

    /// Records what prevents readings at `now`, and begins or ends an absence.
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
    /// Returns the newest sample.
    pub fn last(&self) -> Option<&GpuSample> {
        self.samples.back()
    }

    /// Returns the first absence that overlaps `span`.
    pub fn first_absence(&self, span: Span) -> Option<&Absence> {
        let touches =
            |absence: &&Absence| absence.from <= span.end && absence.until.is_none_or(|until| until >= span.start);
        self.absences.iter().find(touches)
    }

    /// Returns the first sample whose slow readings were made at `at` or later.
    pub fn first_look(&self, at: Monotonic) -> Option<&GpuSample> {
        let first = self
            .samples
            .partition_point(|sample| sample.slow.read_at.is_none_or(|read| read < at));
        self.samples.get(first)
    }

    /// Returns the last sample whose slow readings were made at `at` or earlier.
    pub fn last_look(&self, at: Monotonic) -> Option<&GpuSample> {
        let next = self
            .samples
            .partition_point(|sample| sample.slow.read_at.is_none_or(|read| read <= at));
        self.samples.get(next.checked_sub(1)?)
    }

    /// Returns the sample that is valid at `at`.
    pub fn holding(&self, at: Monotonic) -> Option<&GpuSample> {
        let next = self.samples.partition_point(|sample| sample.at <= at);
        let sample = self.samples.get(next.checked_sub(1)?)?;
        (at.sec_since(sample.at) <= self.holds_sec).then_some(sample)
    }

    /// Returns every sample that is valid for a part of `span`, with the seconds of that part. The first may be older
    /// than the span.
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

    /// Returns the maximum memory in use in bytes over `span`; `None` when no sample has it.
    pub fn peak_memory_bytes(&self, span: Span) -> Option<u64> {
        let samples = self.during(span).into_iter();
        samples.filter_map(|(sample, _)| sample.slow.memory_used_bytes).max()
    }
}

/// The samples of all GPUs.
#[derive(Clone, Debug)]
pub struct TelemetryLog {
    /// Histories of the GPUs, in the order of the sources.
    pub gpus: Vec<GpuHistory>,
    /// Interval between two sweeps in seconds.
    pub interval_sec: f64,
    /// Whether the driver's process ids are those of this process's namespace; false in most containers.
    pub pids_are_ours: bool,
}

impl TelemetryLog {
    /// Creates an empty log.
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

    /// Returns the history of a GPU.
    pub fn gpu(&self, uuid: &str) -> Option<&GpuHistory> {
        self.gpus.iter().find(|gpu| gpu.id.uuid == uuid)
    }
}

/// The log, shared by the meter's thread and its readers.
#[derive(Clone, Debug)]
pub struct SharedLog(Arc<Mutex<TelemetryLog>>);

impl SharedLog {
    /// Shares a log.
    pub fn new(log: TelemetryLog) -> Self {
        Self(Arc::new(Mutex::new(log)))
    }

    /// Locks the log. A panic while the lock was held leaves a valid log that lacks one sample.
    pub fn lock(&self) -> MutexGuard<'_, TelemetryLog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Fast, Slow};

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
                fast: Fast::default(),
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
