//! Keeps what was read of completed runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use joulemark_analysis::PastRun;
use joulemark_measurement::clock::Monotonic;

/// How long they are kept: other servers complete runs too.
const KEPT_SEC: f64 = 30.0;
/// Models whose runs are kept.
const MAX_MODELS: usize = 64;

/// Completed runs by model, read not long ago.
#[derive(Debug, Default)]
pub struct PastRuns(Mutex<HashMap<String, Read>>);

#[derive(Clone, Debug)]
struct Read {
    at: Monotonic,
    runs: Arc<Vec<PastRun>>,
}

impl PastRuns {
    fn kept(&self) -> MutexGuard<'_, HashMap<String, Read>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the runs of a model that were read not long ago.
    pub fn get(&self, model_name: &str) -> Option<Arc<Vec<PastRun>>> {
        let kept = self.kept();
        let read = kept.get(model_name)?;
        (Monotonic::now().sec_since(read.at) < KEPT_SEC).then(|| read.runs.clone())
    }

    /// Keeps what was read of a model now.
    pub fn keep(&self, model_name: &str, runs: Arc<Vec<PastRun>>) {
        let mut kept = self.kept();
        if kept.len() >= MAX_MODELS {
            kept.clear();
        }
        let at = Monotonic::now();
        kept.insert(model_name.to_owned(), Read { at, runs });
    }

    /// Has all read anew: a run has ended.
    pub fn forget(&self) {
        self.kept().clear();
    }
}
