//! How the meter itself does: whether it keeps its pace, and what each source answered. For those who watch the service.

use super::HostMeter;
use super::lock::lock;
use crate::source::{PollError, SourceId};
use joulemark_measurement::clock::Monotonic;

/// The state of the meter itself: whether its thread lives and keeps its pace, and what each source answered.
#[derive(Clone, Debug, PartialEq)]
pub struct MeterHealth {
    /// Time between two regular sweeps over all sources, in seconds.
    pub sample_interval_sec: f64,
    /// Regular sweeps since the start.
    pub sweeps: u64,
    /// Regular sweeps that were left out because the thread was held up.
    pub missed_sweeps: u64,
    /// Whether the meter's thread still runs.
    pub is_alive: bool,
    /// The sources, in the order in which they were opened.
    pub sources: Vec<SourceHealth>,
}

/// The state of one source since the meter's start.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceHealth {
    /// The source.
    pub id: SourceId,
    /// Energy since the meter's start, up to the latest sample, in joules. What passed while the source could not be
    /// read is not in it.
    pub energy_j: f64,
    /// Power just now in watts; `None` while it is unknown.
    pub power_w: Option<f64>,
    /// Readings that worked.
    pub answers: u64,
    /// Readings that failed.
    pub failures: u64,
    /// Age of the latest answer in seconds; `None` when there was none.
    pub age_sec: Option<f64>,
}

impl HostMeter {
    /// Returns the meter's own state. Reads no source: everything is in memory already.
    pub fn health(&self) -> MeterHealth {
        let now = Monotonic::now();
        let [sweeps, missed_sweeps] = self.0.punctuality.counts();
        let timeline = lock(&self.0.timeline);
        let counted = timeline
            .tracks()
            .iter()
            .filter(|track| !PollError::is_repeat(track.last_error.as_ref()));
        let sources = counted.map(|track| SourceHealth {
            id: track.description.id.clone(),
            energy_j: track.tally.energy_j,
            power_w: track.live_power_w(),
            answers: track.tally.answers,
            failures: track.tally.failures,
            age_sec: track.chosen().last().map(|last| now.sec_since(last.at).max(0.0)),
        });
        let sources = sources.collect();
        drop(timeline);
        MeterHealth {
            sample_interval_sec: self.sample_interval_sec(),
            sweeps,
            missed_sweeps,
            is_alive: self.0.thread.as_ref().is_some_and(|thread| !thread.is_finished()),
            sources,
        }
    }
}
