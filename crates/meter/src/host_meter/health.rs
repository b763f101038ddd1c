//! Reports the state of the meter itself, for monitoring.

use super::HostMeter;
use super::lock::lock;
use crate::source::SourceId;
use joulemark_measurement::clock::Monotonic;

/// The state of the meter itself: whether its thread runs and sweeps in time, and what each source answered.
#[derive(Clone, Debug, PartialEq)]
pub struct MeterHealth {
    /// Interval between two regular sweeps over all sources, in seconds.
    pub sample_interval_sec: f64,
    /// Number of regular sweeps since the start.
    pub sweeps: u64,
    /// Number of regular sweeps that were skipped because the thread was delayed.
    pub missed_sweeps: u64,
    /// Whether the meter's thread runs.
    pub is_alive: bool,
    /// State of each source, in the order in which they were opened.
    pub sources: Vec<SourceHealth>,
}

/// The state of one source since the meter's start.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceHealth {
    /// Identity of the source.
    pub id: SourceId,
    /// Energy in joules since the meter's start, up to the latest sample. Energy used while the source could not be
    /// read is not included.
    pub energy_j: f64,
    /// Present power in watts; `None` while it is unknown.
    pub power_w: Option<f64>,
    /// Number of readings that worked.
    pub answers: u64,
    /// Number of readings that failed.
    pub failures: u64,
    /// Age of the latest reading in seconds; `None` when there was none.
    pub age_sec: Option<f64>,
}

impl HostMeter {
    /// Returns the state of the meter itself. Reads no source.
    pub fn health(&self) -> MeterHealth {
        let now = Monotonic::now();
        let [sweeps, missed_sweeps] = self.0.sweep_counts.counts();
        let timeline = lock(&self.0.timeline);
        let counted = timeline.tracks().iter().filter(|track| !track.is_repeat());
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
            is_alive: self.0.pool.is_alive(),
            sources,
        }
    }
}
