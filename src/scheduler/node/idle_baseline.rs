use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use joulemark_measurement::IdlePower;
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::{BareBaselines, HostMeter};

/// Devices are left to cool and to lower their clocks for this long before their rest counts.
const SETTLE_SEC: f64 = 10.0;

/// Knows since when no experiment runs, and keeps what every source draws meanwhile: the bare idle baselines.
#[derive(Clone, Debug)]
pub struct IdleWatch(Arc<Mutex<Rest>>);

#[derive(Debug)]
struct Rest {
    /// Null while an experiment runs.
    quiet_since: Option<Monotonic>,
    baselines: BareBaselines,
    why_none: String,
}

/// The bare baselines as they stand, and why one may be missing.
#[derive(Clone, Debug, PartialEq)]
pub struct BarePowers {
    pub powers: Vec<IdlePower>,
    pub why_none: String,
}

impl IdleWatch {
    /// From `now` on nothing of ours runs; what others do is seen by the meter.
    pub fn new(now: Monotonic) -> Self {
        Self(Arc::new(Mutex::new(Rest {
            quiet_since: Some(now),
            baselines: BareBaselines::default(),
            why_none: "the server had not been at rest yet".to_owned(),
        })))
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn work_begins(&self) {
        self.rest().quiet_since = None;
    }

    pub fn work_ended(&self, now: Monotonic) {
        self.rest().quiet_since = Some(Monotonic::from_sec(now.as_sec() + SETTLE_SEC));
    }

    /// Takes a baseline from what the meter has read, where one is missing, old or short. Reads nothing itself.
    pub fn look(&self, meter: &HostMeter, now: Monotonic) {
        let mut rest = self.rest();
        let Some(quiet_since) = rest.quiet_since.filter(|_| rest.baselines.wants_more(now.as_sec())) else {
            return;
        };
        match meter.idle_powers(quiet_since) {
            Ok(powers) => rest.baselines.take(powers, now.as_sec()),
            Err(why) => rest.why_none = why.to_string(),
        }
    }

    pub fn powers(&self) -> BarePowers {
        let rest = self.rest();
        BarePowers {
            powers: rest.baselines.powers().to_vec(),
            why_none: rest.why_none.clone(),
        }
    }
}
