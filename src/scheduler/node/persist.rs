//! Retries writes while the database cannot be reached.

use std::time::Duration;

use joulemark_measurement::Backoff;
use joulemark_store::StoreError;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Repeats a write while the database cannot be reached, so that an outage loses no measurement. Every write of a run
/// is idempotent.
///
/// # Errors
/// Returns an error that another try would not solve.
pub async fn persist<T, W: Future<Output = Result<T, StoreError>>>(write: impl Fn() -> W) -> Result<T, StoreError> {
    let mut backoff = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
    loop {
        match write().await {
            Err(error) if error.is_retryable() => {
                let pause = backoff.next_pause();
                tracing::warn!(%error, "the database cannot be reached; trying again in {:.1} s", pause.as_secs_f64());
                tokio::time::sleep(pause).await;
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use joulemark_store::Store;

    #[tokio::test]
    async fn a_write_is_repeated_until_the_database_is_back() {
        let tries = Cell::new(0);
        let write = || {
            tries.set(tries.get() + 1);
            let tried = tries.get();
            async move {
                // Nothing listens on port 1: opening fails as when the database cannot be reached.
                if tried < 3 {
                    Store::open("postgres://127.0.0.1:1/away").await.map(|_| tried)
                } else {
                    Ok(tried)
                }
            }
        };
        assert_eq!(persist(write).await.expect("it is back"), 3);
    }
}
