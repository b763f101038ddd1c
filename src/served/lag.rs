//! Measures the overhead of the load generator itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use joulemark_measurement::LoadGenerator;
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};

/// Width in milliseconds and number of the buckets of read delays. The last bucket includes all longer delays.
const BUCKET_MS: f64 = 0.1;
const BUCKETS: usize = 10_000;

/// CPU time of this process for sending requests, and the delays between the arrival of a chunk and its reading.
#[derive(Debug)]
pub struct Lag(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    /// Number of chunks for each bucket of read delays.
    late: Vec<u64>,
    cpu_sec: f64,
}

impl Default for Lag {
    fn default() -> Self {
        Self(Mutex::new(Seen {
            late: vec![0; BUCKETS],
            cpu_sec: cpu_sec(),
        }))
    }
}

impl Lag {
    /// Counts chunks by their read delays in seconds.
    pub fn note(&self, late_sec: impl Iterator<Item = f64>) {
        let mut seen = self.seen();
        for late_sec in late_sec {
            let bucket = (late_sec * MILLISECONDS_PER_SECOND / BUCKET_MS) as usize;
            seen.late[bucket.min(BUCKETS - 1)] += 1;
        }
    }

    /// Returns the values since the last call.
    pub fn since_last(&self) -> LoadGenerator {
        let mut seen = self.seen();
        let now_sec = cpu_sec();
        let used_sec = now_sec - seen.cpu_sec;
        seen.cpu_sec = now_sec;
        let late = std::mem::replace(&mut seen.late, vec![0; BUCKETS]);
        LoadGenerator {
            cpu_sec: used_sec.max(0.0),
            lag_p99_ms: p99_ms(&late),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the upper edge of the bucket with the 99th percentile; `None` without any chunk.
fn p99_ms(late: &[u64]) -> Option<f64> {
    let all: u64 = late.iter().sum();
    let mut left = (all - all.div_ceil(100)).min(all.checked_sub(1)?);
    let bucket = late.iter().position(|count| {
        let is_here = left < *count;
        left = left.saturating_sub(*count);
        is_here
    });
    bucket.map(|bucket| (bucket + 1) as f64 * BUCKET_MS)
}

/// Returns the CPU time of this process in seconds; 0 when the kernel does not report it.
fn cpu_sec() -> f64 {
    let sec = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| sec(usage.user_time()) + sec(usage.system_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_is_the_bucket_that_one_in_a_hundred_exceeds() {
        let lag = Lag::default();
        assert_eq!(lag.since_last().lag_p99_ms, None);
        let p99 = |late_ms: &[(usize, f64)]| {
            for (count, late_ms) in late_ms {
                lag.note(std::iter::repeat_n(late_ms / 1e3, *count));
            }
            lag.since_last().lag_p99_ms.expect("something was seen")
        };
        assert!((p99(&[(98, 0.02), (2, 5.04)]) - 5.1).abs() < 1e-9);
        assert!((p99(&[(1000, 0.02), (2, 5.04)]) - 0.1).abs() < 1e-9);
        assert!((p99(&[(1, 7.0)]) - 7.1).abs() < 1e-9);
        assert!((p99(&[(1, 1e9)]) - 1000.0).abs() < 1e-6);
    }
}
