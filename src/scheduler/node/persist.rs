use std::time::Duration;

use joulemark_measurement::Backoff;
use joulemark_store::StoreError;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Repeats a write for as long as the database is away: what was measured is not thrown away for an outage. Every write
/// of a run may be repeated, since it finds its own work done.
///
/// # Errors
/// What another try would not mend.
pub async fn persist<T, W: Future<Output = Result<T, StoreError>>>(write: impl Fn() -> W) -> Result<T, StoreError> {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        match write().await {
            Err(error) if error.is_retryable() => {
                let pause = backoff.next_pause();
                tracing::warn!(%error, "the database is away; trying again in {:.1} s", pause.as_secs_f64());
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
                // Nothing listens on port 1: the error of a database that is away.
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
