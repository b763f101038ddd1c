//! The meter's loop: when to sweep, and what to do with a source that fails or panics. Knows no windows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::lock;
use crate::clock::Monotonic;
use crate::energy::cpu_time::{HostCpuClock, process_cpu_sec};
use crate::energy::source::{EnergySource, PollError, SourceDescription, Value};
use crate::energy::timeline::Timeline;

/// A sweep of some devices takes milliseconds; faster than this the meter would measure itself.
const FASTEST: Duration = Duration::from_millis(5);

/// A source that panics this often in a row is broken, not unlucky.
const PANICS_UNTIL_GONE: u32 = 3;

/// The interval asked for, or a shorter one where a counter could otherwise wrap twice unseen.
pub fn pace(asked: Duration, descriptions: &[SourceDescription]) -> Duration {
    let safe = descriptions
        .iter()
        .filter_map(|description| description.wraps)
        .map(|wraps| wraps.safe_gap_sec() / 2.0);
    let shortest = safe.fold(asked.as_secs_f64(), f64::min);
    Duration::from_secs_f64(shortest.max(0.0)).max(FASTEST)
}

struct Guarded {
    source: Box<dyn EnergySource>,
    first_track: usize,
    track_count: usize,
    panics: u32,
}

impl Guarded {
    fn sample(&mut self) -> Vec<Result<Value, PollError>> {
        if self.panics >= PANICS_UNTIL_GONE {
            return self.all(&PollError::Gone(
                "the source panicked again and again and is no longer asked".to_owned(),
            ));
        }
        // What a panicking source leaves half done is its own state only; it is asked again or dropped.
        match catch_unwind(AssertUnwindSafe(|| self.source.sample())) {
            Ok(answers) => {
                self.panics = 0;
                answers
            }
            Err(_) => {
                self.panics += 1;
                self.all(&PollError::Retry("the source panicked while it was read".to_owned()))
            }
        }
    }

    fn all(&self, error: &PollError) -> Vec<Result<Value, PollError>> {
        vec![Err(error.clone()); self.track_count]
    }
}

pub struct Sampler {
    sources: Vec<Guarded>,
    host_cpu_clock: Option<HostCpuClock>,
    timeline: Arc<Mutex<Timeline>>,
}

impl Sampler {
    pub fn new(
        sources: Vec<Box<dyn EnergySource>>,
        host_cpu_clock: Option<HostCpuClock>,
        timeline: Arc<Mutex<Timeline>>,
    ) -> Self {
        let mut first_track = 0;
        let guard = |source: Box<dyn EnergySource>| {
            let track_count = source.sources().len();
            let guarded = Guarded {
                source,
                first_track,
                track_count,
                panics: 0,
            };
            first_track += track_count;
            guarded
        };
        Self {
            sources: sources.into_iter().map(guard).collect(),
            host_cpu_clock,
            timeline,
        }
    }

    /// Sweeps at every interval and at every request, until nobody holds the other end.
    pub fn run(mut self, interval: Duration, requests: &Receiver<Sender<()>>) {
        let interval_ns = interval.as_nanos() as u64;
        let mut next = Monotonic::now();
        loop {
            let wait = Duration::from_nanos(next.0.saturating_sub(Monotonic::now().0));
            match requests.recv_timeout(wait) {
                Ok(first) => {
                    // All who ask before the sweep begins are served by it.
                    let waiting: Vec<Sender<()>> = std::iter::once(first).chain(requests.try_iter()).collect();
                    self.sweep(true);
                    for done in waiting {
                        // The one who asked may have given up; the samples are there all the same.
                        done.send(()).ok();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.sweep(false);
                    // After a stall, go on from now: catching up in a burst would add nothing.
                    next = Monotonic(next.0 + interval_ns).max(Monotonic::now());
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn sweep(&mut self, edge: bool) {
        for guarded in &mut self.sources {
            let answers = guarded.sample();
            let mut timeline = lock(&self.timeline);
            for (offset, answer) in answers.into_iter().take(guarded.track_count).enumerate() {
                timeline.record(guarded.first_track + offset, answer, edge);
            }
        }
        self.sweep_cpu_time(edge);
    }

    fn sweep_cpu_time(&self, edge: bool) {
        let mut timeline = lock(&self.timeline);
        for pid in timeline.tracked() {
            match process_cpu_sec(pid) {
                Ok(cpu_sec) => timeline.record_process_cpu(pid, Monotonic::now(), cpu_sec, edge),
                Err(_) => timeline.untrack(pid),
            }
        }
        if let Some(Ok(busy_sec)) = self.host_cpu_clock.as_ref().map(HostCpuClock::busy_sec) {
            timeline.record_host_cpu(Monotonic::now(), busy_sec, edge);
        }
    }
}
