//! Collects the idle power of devices while no experiment runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use joulemark_measurement::IdlePower;
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::{HostMeter, IdleBaselines};

/// Time in seconds after a run for which devices cool and lower their clocks before the idle baseline begins.
const SETTLE_SEC: f64 = 10.0;

/// Tracks since when no experiment runs, and keeps the idle power of every source: the bare idle baselines.
#[derive(Clone, Debug)]
pub struct IdleWatch(Arc<Mutex<IdleState>>);

#[derive(Debug)]
struct IdleState {
    /// `None` while an experiment runs.
    quiet_since: Option<Monotonic>,
    baselines: IdleBaselines,
    why_none: String,
}

/// The bare idle baselines as they stand, and the reason when one is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct BarePowers {
    pub powers: Vec<IdlePower>,
    pub why_none: String,
}

impl IdleWatch {
    /// Creates a watch for a server that runs nothing from `now` on. The meter detects activity of other programs.
    pub fn new(now: Monotonic) -> Self {
        Self(Arc::new(Mutex::new(IdleState {
            quiet_since: Some(now),
            baselines: IdleBaselines::default(),
            why_none: "the server has not been idle yet".to_owned(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, IdleState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that an experiment runs from now on.
    pub fn work_begins(&self) {
        self.state().quiet_since = None;
    }

    /// Records that no experiment runs from now on.
    pub fn work_ended(&self, now: Monotonic) {
        self.state().quiet_since = Some(Monotonic::from_sec(now.as_sec() + SETTLE_SEC));
    }

    /// Updates the baselines from the meter's past readings, where one is missing, old or short. Takes no reading.
    pub fn update(&self, meter: &HostMeter, now: Monotonic) {
        let mut state = self.state();
        let Some(quiet_since) = state.quiet_since.filter(|_| state.baselines.wants_more(now.as_sec())) else {
            return;
        };
        match meter.idle_powers(quiet_since) {
            Ok(powers) => state.baselines.take(powers, now.as_sec()),
            Err(why) => state.why_none = why.to_string(),
        }
    }

    /// Returns the present baselines.
    pub fn powers(&self) -> BarePowers {
        let state = self.state();
        BarePowers {
            powers: state.baselines.powers().to_vec(),
            why_none: state.why_none.clone(),
        }
    }
}
