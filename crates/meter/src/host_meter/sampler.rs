//! The meter's loop: when to sweep, and what to do with a source that fails or panics. Knows no windows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::lock::lock;
use super::punctuality::Punctuality;
use crate::cpu_time::{CpuTimeError, HostCpuClock};
use crate::estimation::edge_reads::{Awaited, EdgeReads};
use crate::estimation::polling::{Pace, Polls};
use crate::estimation::timeline::Timeline;
use crate::process_tree::ProcessTree;
use crate::source::{EnergySource, PollError, SourceDescription, Value};
use crate::telemetry::{TelemetryPace, thread_cpu_sec};
use joulemark_measurement::clock::Monotonic;

/// A sweep of some devices takes milliseconds; faster than this the meter would measure itself.
const FASTEST: Duration = Duration::from_millis(5);

/// Finding what processes started reads a file a thread: at every sweep it would cost more than the sweep. What comes
/// and goes in between is still known from its parent.
const BETWEEN_FAMILY_LOOKS: Duration = Duration::from_secs(1);

/// What fails for a moment at an edge is asked again so often, a moment apart.
const EDGE_ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(1);

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

/// When something that is done again and again is due next.
struct Beat {
    next: Monotonic,
}

impl Beat {
    fn starting_at_once() -> Self {
        Self { next: Monotonic::now() }
    }

    /// Whether it is time; if so, the next time is `then` later.
    fn is_due(&mut self, then: Duration) -> bool {
        self.missed(then).is_some()
    }

    /// How many times were let pass before this one; none when it is not time yet.
    fn missed(&mut self, then: Duration) -> Option<u64> {
        let (now, period_ns) = (Monotonic::now(), then.as_nanos().max(1) as u64);
        let late_ns = now.0.checked_sub(self.next.0)?;
        // After a stall, go on from now: catching up in a burst would add nothing.
        self.next = Monotonic(self.next.0 + period_ns).max(now);
        Some(late_ns / period_ns)
    }
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

    fn sample_one(&mut self, index: usize) -> Result<Value, PollError> {
        match catch_unwind(AssertUnwindSafe(|| self.source.sample_one(index))) {
            Ok(answer) => answer,
            Err(_) => {
                self.panics += 1;
                Err(PollError::Retry("the source panicked while it was read".to_owned()))
            }
        }
    }

    fn all(&self, error: &PollError) -> Vec<Result<Value, PollError>> {
        vec![Err(error.clone()); self.track_count]
    }
}

/// The sources whose last reading worked.
fn answering(timeline: &Timeline) -> Vec<usize> {
    let tracks = timeline.tracks().iter().enumerate();
    let working = tracks.filter(|(_, track)| track.last_error.is_none() && !track.chosen().is_empty());
    working.map(|(source, _)| source).collect()
}

pub struct Sampler {
    sources: Vec<Guarded>,
    host_cpu_clock: Option<HostCpuClock>,
    trees: HashMap<u32, ProcessTree>,
    /// When the trees' descendants are looked for again.
    families: Beat,
    timeline: Arc<Mutex<Timeline>>,
    telemetry: TelemetryPace,
    punctuality: Punctuality,
    attending: Arc<AtomicUsize>,
}

impl Sampler {
    pub fn new(
        sources: Vec<Box<dyn EnergySource>>,
        host_cpu_clock: Option<HostCpuClock>,
        timeline: Arc<Mutex<Timeline>>,
        (telemetry, punctuality): (TelemetryPace, Punctuality),
        attending: Arc<AtomicUsize>,
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
            trees: HashMap::new(),
            families: Beat::starting_at_once(),
            timeline,
            telemetry,
            punctuality,
            attending,
        }
    }

    /// Sweeps at every interval and at every request, until nobody holds the other end.
    pub fn run(mut self, interval: Duration, requests: &Receiver<Sender<()>>) {
        let mut polls = Polls::plan(&lock(&self.timeline), Monotonic::now());
        let mut sweeps = Beat::starting_at_once();
        let mut edge_reads: Option<EdgeReads> = None;
        loop {
            let next_edge_read = edge_reads.as_ref().map_or(sweeps.next, EdgeReads::next);
            let next = sweeps.next.min(next_edge_read).min(polls.next());
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
                    edge_reads = EdgeReads::after_edge(&lock(&self.timeline), Monotonic::now());
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(missed) = sweeps.missed(interval) {
                        self.punctuality.note(missed);
                        self.sweep(false);
                        self.telemetry.sample_what_is_due();
                    }
                    self.poll(&mut polls, interval);
                    let then = Monotonic::now();
                    if let Some(due) = edge_reads.take_if(|reads| reads.next() <= then) {
                        self.read(&due.due(then), false);
                        edge_reads = due.after(&lock(&self.timeline), then, Monotonic::now());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn poll(&mut self, polls: &mut Polls, sweep: Duration) {
        let then = Monotonic::now();
        let due = polls.due(then);
        if due.is_empty() {
            return;
        }
        let before_sec = thread_cpu_sec();
        self.read(&due, false);
        let pace = Pace {
            sweep,
            attended: self.attending.load(Ordering::Relaxed) > 0,
        };
        let spent_sec = thread_cpu_sec() - before_sec;
        polls.after(&lock(&self.timeline), pace, then, Monotonic::now(), spent_sec);
    }

    fn sweep(&mut self, edge: bool) {
        let before = if edge {
            answering(&lock(&self.timeline))
        } else {
            Vec::new()
        };
        for guarded in &mut self.sources {
            let answers = guarded.sample();
            let mut timeline = lock(&self.timeline);
            for (offset, answer) in answers.into_iter().take(guarded.track_count).enumerate() {
                timeline.record(guarded.first_track + offset, answer, edge);
            }
        }
        if edge {
            self.ask_again(before);
            self.wait_for_ticks();
        }
        self.sweep_cpu_time(edge);
    }

    /// A window cannot wait for the next sweep: what failed just now and worked before is asked again at once.
    fn ask_again(&mut self, mut worked: Vec<usize>) {
        for _ in 0..EDGE_ATTEMPTS {
            let answer_now = answering(&lock(&self.timeline));
            worked.retain(|source| !answer_now.contains(source));
            if worked.is_empty() {
                return;
            }
            std::thread::sleep(BETWEEN_ATTEMPTS);
            self.read(&worked, true);
        }
    }

    fn wait_for_ticks(&mut self) {
        let mut awaited = Awaited::at_edge(&lock(&self.timeline), Monotonic::now());
        loop {
            let sources = awaited.to_read(&lock(&self.timeline), Monotonic::now());
            if sources.is_empty() {
                return;
            }
            self.read(&sources, true);
        }
    }

    fn read(&mut self, tracks: &[usize], edge: bool) {
        for track in tracks {
            let owner = self.sources.iter_mut().rfind(|guarded| guarded.first_track <= *track);
            if let Some(guarded) = owner {
                let answer = guarded.sample_one(*track - guarded.first_track);
                lock(&self.timeline).record(*track, answer, edge);
            }
        }
    }

    fn sweep_cpu_time(&mut self, edge: bool) {
        let tracked = lock(&self.timeline).tracked();
        self.trees.retain(|pid, _| tracked.contains(pid));
        let look = self.families.is_due(BETWEEN_FAMILY_LOOKS) || edge;
        for pid in tracked {
            let cpu_sec = self.tree_cpu_sec(pid, look);
            let mut timeline = lock(&self.timeline);
            match cpu_sec {
                Ok(cpu_sec) => timeline.record_process_cpu(pid, Monotonic::now(), cpu_sec, edge),
                Err(_) => timeline.untrack(pid),
            }
        }
        let busy = self.host_cpu_clock.as_ref().map(HostCpuClock::busy_sec);
        let (mut timeline, now) = (lock(&self.timeline), Monotonic::now());
        if let Some(Ok(busy_sec)) = busy {
            timeline.record_host_cpu(now, busy_sec, edge);
        }
        timeline.note_sweep(now);
    }

    fn tree_cpu_sec(&mut self, pid: u32, look: bool) -> Result<f64, CpuTimeError> {
        let (tree, look) = match self.trees.entry(pid) {
            Entry::Occupied(known) => (known.into_mut(), look),
            Entry::Vacant(new) => (new.insert(ProcessTree::new(pid)?), true),
        };
        if look {
            tree.look_for_descendants();
        }
        tree.cpu_sec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_was_held_up_counts_the_sweeps_it_missed_and_goes_on_from_now() {
        let period = Duration::from_secs(100);
        let late = |sec: u64| {
            Monotonic(
                Monotonic::now()
                    .0
                    .saturating_sub(Duration::from_secs(sec).as_nanos() as u64),
            )
        };
        let mut beat = Beat { next: late(350) };
        assert_eq!(beat.missed(period), Some(3));
        assert_eq!(beat.missed(period), Some(0), "it is due once more, now");
        assert_eq!(beat.missed(period), None);
    }
}
