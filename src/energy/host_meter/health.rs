//! How the meter itself does: whether it keeps its pace, and what each source answered. For those who watch the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{HostMeter, lock};
use crate::clock::Monotonic;
use crate::energy::source::SourceId;

/// How often the thread swept in time, and how many sweeps it let pass.
#[derive(Clone, Debug, Default)]
pub struct Punctuality(Arc<[AtomicU64; 2]>);

impl Punctuality {
    /// One sweep more, after so many that were let pass.
    pub fn note(&self, missed: u64) {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        self.0[1].fetch_add(missed, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct MeterHealth {
    pub sample_interval_sec: f64,
    /// Regular sweeps over all sources since the start, and those whose time passed while the thread was held up.
    pub sweeps: u64,
    pub missed_sweeps: u64,
    pub is_alive: bool,
    pub sources: Vec<SourceHealth>,
}

/// One source as the meter has known it since its start.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceHealth {
    pub id: SourceId,
    /// Energy since the meter's start, up to the latest sample, in joules. What passed while the source could not be
    /// read is not in it.
    pub energy_j: f64,
    /// Null while it is unknown.
    pub power_w: Option<f64>,
    pub answers: u64,
    pub failures: u64,
    /// Age of the latest answer in seconds; null when there was none.
    pub age_sec: Option<f64>,
}

impl HostMeter {
    /// Reads nothing but what the thread has gathered.
    pub fn health(&self) -> MeterHealth {
        let now = Monotonic::now();
        let [sweeps, missed_sweeps] = [0, 1].map(|at| self.0.punctuality.0[at].load(Ordering::Relaxed));
        let timeline = lock(&self.0.timeline);
        let sources = timeline.tracks().iter().map(|track| SourceHealth {
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
