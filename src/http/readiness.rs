//! Health and readiness of the service, and checks that concurrent requests share.

use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use joulemark_measurement::clock::Monotonic;

/// Health of the service.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`; a failure is a problem document.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// Version of the program.
    pub version: &'static str,
}

/// Readiness of the service to accept experiments, and sources of energy that do not answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Readiness {
    #[serde(flatten)]
    pub health: Health,
    /// Sources of energy that do not answer at present, with the reason. Experiments that do not need them still run.
    pub energy_problems: Vec<String>,
    /// Number of ends of runs that are spooled on disk until the database answers; null if the database is in memory.
    pub endings_on_disk: Option<usize>,
    /// Number of ends of runs that are only in memory, since neither the database nor the disk can be written; they are
    /// lost if the server stops.
    pub endings_in_memory: u64,
}

/// Checks that run one after the other. Requests that arrive before a check begins share its result, since anybody may
/// ask and each check loads the database and the disks.
#[derive(Debug)]
pub struct SharedCheck<T>(Mutex<Option<(Monotonic, T)>>);

impl<T> Default for SharedCheck<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> SharedCheck<T> {
    /// Returns the result of a check that began after this call. Runs `check` if no other caller started such a check.
    pub async fn check(&self, check: impl AsyncFnOnce() -> T) -> T {
        let came = Monotonic::now();
        let mut last = self.0.lock().await;
        if let Some((began, seen)) = &*last
            && *began >= came
        {
            return seen.clone();
        }
        let began = Monotonic::now();
        let seen = check().await;
        *last = Some((began, seen.clone()));
        seen
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn concurrent_requests_share_a_check_and_the_next_one_starts_another() {
        let (rounds, looks) = (SharedCheck::default(), AtomicUsize::new(0));
        let look = async || {
            tokio::time::sleep(Duration::from_millis(20)).await;
            looks.fetch_add(1, Ordering::Relaxed)
        };
        futures::future::join_all((0..100).map(|_| rounds.check(&look))).await;
        assert_eq!(
            looks.load(Ordering::Relaxed),
            2,
            "the first, and one for all who came meanwhile"
        );
        assert_eq!(rounds.check(&look).await, 2);
    }
}
