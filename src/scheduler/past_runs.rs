//! Caches the completed runs of each model for the estimates of durations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use joulemark_analysis::PastRun;
use joulemark_measurement::clock::Monotonic;

/// Lifetime of an entry in seconds; it is short because other servers complete runs too.
const LIFETIME_SEC: f64 = 30.0;
/// Maximum number of models in the cache.
const MAX_MODELS: usize = 64;

/// Cache of completed runs by model.
#[derive(Debug, Default)]
pub struct PastRuns(Mutex<HashMap<String, Read>>);

#[derive(Clone, Debug)]
struct Read {
    at: Monotonic,
    runs: Arc<Vec<PastRun>>,
}

impl PastRuns {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Read>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the cached runs of a model; `None` when there are none or they are too old.
    pub fn get(&self, model_name: &str) -> Option<Arc<Vec<PastRun>>> {
        let entries = self.entries();
        let read = entries.get(model_name)?;
        (Monotonic::now().sec_since(read.at) < LIFETIME_SEC).then(|| read.runs.clone())
    }

    /// Caches the runs of a model.
    pub fn insert(&self, model_name: &str, runs: Arc<Vec<PastRun>>) {
        let mut entries = self.entries();
        if entries.len() >= MAX_MODELS {
            entries.clear();
        }
        let at = Monotonic::now();
        entries.insert(model_name.to_owned(), Read { at, runs });
    }

    /// Clears the cache, after a run has ended.
    pub fn clear(&self) {
        self.entries().clear();
    }
}
