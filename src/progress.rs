//! What running experiments are doing at this moment. In memory only: after a restart there is nothing to say.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use utoipa::ToSchema;

use crate::experiment::ExperimentId;

/// How far a running experiment has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    /// The measured cycle that is running, from 0; null before the first.
    pub cycle: Option<u32>,
    /// Cycles that will be measured in all.
    pub num_cycles: u32,
    /// Tokens generated since the models were loaded, over all ranks, warm-up included.
    pub generated_tokens: u64,
}

#[derive(Clone, Debug, Default)]
pub struct ProgressBoard(Arc<Mutex<HashMap<ExperimentId, Progress>>>);

impl ProgressBoard {
    fn entries(&self) -> MutexGuard<'_, HashMap<ExperimentId, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, id: ExperimentId) -> Option<Progress> {
        self.entries().get(&id).cloned()
    }

    pub fn set(&self, id: ExperimentId, progress: Progress) {
        self.entries().insert(id, progress);
    }

    pub fn clear(&self, id: ExperimentId) {
        self.entries().remove(&id);
    }
}
