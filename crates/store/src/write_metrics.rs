use super::{Store, StoreError};
use crate::metrics::StoreMetrics;
use joulemark_measurement::clock::Monotonic;

/// Awaits a write, and records its duration and a failure under `operation`.
pub(super) async fn timed<T>(
    metrics: &StoreMetrics,
    operation: &'static str,
    write: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let start = Monotonic::now();
    let outcome = write.await;
    let label = [("operation", operation)];
    let took_sec = Monotonic::now().sec_since(start);
    metrics.write_sec.get_or_create(&label).observe(took_sec);
    // A lost attempt is an expected answer.
    if outcome.as_ref().is_err_and(|error| !error.is_lost()) {
        metrics.write_failures.get_or_create(&label).inc();
    }
    outcome
}

impl Store {
    /// Returns the metrics of this store's writes.
    pub fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }
}
