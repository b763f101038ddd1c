//! What is said of the service itself, and looks at it that many share.

use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use joulemark_measurement::clock::Monotonic;

/// Whether the service works.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`; whatever is not is a problem document.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// The program's version.
    pub version: &'static str,
}

/// Whether experiments can be accepted, and whose energy would be missing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Readiness {
    #[serde(flatten)]
    pub health: Health,
    /// Each source of energy that does not answer now, with the reason; experiments that do not need it run.
    pub energy_problems: Vec<String>,
    /// How many ends of runs wait on disk for the database; null where it is in memory.
    pub endings_on_disk: Option<usize>,
    /// How many ends of runs are in memory alone, since neither the database nor the disk takes them: they are lost with
    /// the server.
    pub endings_in_memory: u64,
}

/// Looks one after the other, each shared by all who came before it began: anybody may ask, and each look costs the
/// database and the disks something.
#[derive(Debug)]
pub struct Rounds<T>(Mutex<Option<(Monotonic, T)>>);

impl<T> Default for Rounds<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Rounds<T> {
    /// Returns what a look showed that began after this call, with `look` where nobody else's did.
    pub async fn look(&self, look: impl AsyncFnOnce() -> T) -> T {
        let came = Monotonic::now();
        let mut last = self.0.lock().await;
        if let Some((began, seen)) = &*last
            && *began >= came
        {
            return seen.clone();
        }
        let began = Monotonic::now();
        let seen = look().await;
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
    async fn many_who_ask_at_once_share_a_look_and_the_next_one_looks_anew() {
        let (rounds, looks) = (Rounds::default(), AtomicUsize::new(0));
        let look = async || {
            tokio::time::sleep(Duration::from_millis(20)).await;
            looks.fetch_add(1, Ordering::Relaxed)
        };
        futures::future::join_all((0..100).map(|_| rounds.look(&look))).await;
        assert_eq!(
            looks.load(Ordering::Relaxed),
            2,
            "the first, and one for all who came meanwhile"
        );
        assert_eq!(rounds.look(&look).await, 2);
    }
}
