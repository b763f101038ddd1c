//! Names the driver call that a source is in, for the thread that watches it.

use std::sync::{Arc, Mutex, PoisonError};

/// The name of the driver call that a source began last. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct CurrentCall(Arc<Mutex<&'static str>>);

impl CurrentCall {
    /// Records that a call begins.
    pub fn begin(&self, call: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = call;
    }

    /// Returns the name of the call that began last; empty before the first.
    pub fn name(&self) -> &'static str {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
