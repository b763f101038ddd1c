//! Runs the loop that reads the sources which answer in time: when to sweep, and which sources to read again. Knows no
//! windows.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::lock::lock;
use super::periodic::Periodic;
use super::reader_pool::ReaderPool;
use super::unit::Unit;
use crate::estimation::edge_reads::{Awaited, EdgeReads};
use crate::estimation::polling::{Pace, Polls};
use crate::estimation::timeline::Timeline;
use crate::priority::raise_priority;
use crate::source::SourceDescription;
use crate::telemetry::thread_cpu_sec;
use joulemark_measurement::clock::Monotonic;

/// Minimum interval between two sweeps. A sweep takes milliseconds; with more of them the meter would measure itself.
const MIN_INTERVAL: Duration = Duration::from_millis(5);

/// Number of attempts at an edge to read a source again that failed for a moment.
const EDGE_ATTEMPTS: u32 = 3;
/// Pause between these attempts.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(1);

/// Returns the interval between sweeps: the requested one, or a shorter one where a counter could otherwise wrap
/// unseen.
pub fn pace(asked: Duration, descriptions: &[SourceDescription]) -> Duration {
    let safe = descriptions
        .iter()
        .filter_map(|description| description.wraps)
        .map(|wraps| wraps.safe_gap_sec() / 2.0);
    let shortest = safe.fold(asked.as_secs_f64(), f64::min);
    Duration::from_secs_f64(shortest.max(0.0)).max(MIN_INTERVAL)
}

/// The source whose driver blocked this thread for too long. Another thread reads the other sources.
struct Superseded(Arc<Unit>);

/// Reads the sources that answer in time until the meter ends. When a driver blocked this thread for too long, goes on
/// with that source alone.
pub fn read_together(pool: Arc<ReaderPool>) {
    raise_priority();
    if let Err(superseded) = Sampler::new(Arc::clone(&pool)).run() {
        pool.read_alone(&superseded.0);
    }
}

/// The state of the thread that reads the sources together.
struct Sampler {
    pool: Arc<ReaderPool>,
    units: Vec<Arc<Unit>>,
}

/// Returns the numbers of the sources whose last reading worked.
fn answering(timeline: &Timeline) -> Vec<usize> {
    let tracks = timeline.tracks().iter().enumerate();
    let working = tracks.filter(|(_, track)| track.last_error.is_none() && !track.chosen().is_empty());
    working.map(|(source, _)| source).collect()
}

impl Sampler {
    /// Creates the state with the sources that are read together now.
    fn new(pool: Arc<ReaderPool>) -> Self {
        Self {
            units: pool.together(),
            pool,
        }
    }

    /// Sweeps at every interval and at every request, until the meter ends.
    ///
    /// # Errors
    /// Returns the source that this thread must go on with alone.
    fn run(mut self) -> Result<(), Superseded> {
        let pool = Arc::clone(&self.pool);
        let mut polls = Polls::plan(&lock(&pool.timeline), Monotonic::now());
        let mut sweeps = Periodic::starting_now();
        // Callers may have asked the thread before this one.
        let mut edge_reads = self.serve()?;
        while !pool.is_over() {
            let next_edge_read = edge_reads.as_ref().map_or(sweeps.next(), EdgeReads::next);
            let next = sweeps.next().min(next_edge_read).min(polls.next());
            let wait = Duration::from_nanos(next.0.saturating_sub(Monotonic::now().0));
            let asked = pool.requests().recv_timeout(wait);
            match asked {
                Ok(first) => {
                    // One sweep serves all callers that asked before it begins.
                    let all = std::iter::once(first)
                        .chain(pool.requests().try_iter())
                        .collect::<Vec<_>>();
                    self.asking().extend(all);
                    edge_reads = self.serve()?;
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(missed) = sweeps.missed(pool.interval) {
                        pool.sweep_counts.note(missed);
                        self.units = pool.together();
                        self.sweep(false)?;
                        self.sample_telemetry()?;
                    }
                    self.poll(&mut polls)?;
                    let then = Monotonic::now();
                    if let Some(due) = edge_reads.take_if(|reads| reads.next() <= then) {
                        self.read(&due.due(then), false)?;
                        edge_reads = due.after(&lock(&pool.timeline), then, Monotonic::now());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    /// Locks the list of callers that wait for a sweep.
    fn asking(&self) -> std::sync::MutexGuard<'_, Vec<Sender<()>>> {
        self.pool.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sweeps when a caller asked for it, and plans the readings after it.
    fn serve(&mut self) -> Result<Option<EdgeReads>, Superseded> {
        if self.asking().is_empty() {
            return Ok(None);
        }
        self.pool.wake_alone();
        self.sweep(true)?;
        for done in self.asking().drain(..) {
            // The caller may have given up; the samples are stored anyway.
            done.send(()).ok();
        }
        Ok(EdgeReads::after_edge(&lock(&self.pool.timeline), Monotonic::now()))
    }

    /// Returns an error when `unit` blocked this thread for too long. Starts a thread for a source that is slow.
    fn go_on_after(&self, unit: &Arc<Unit>) -> Result<(), Superseded> {
        if unit.was_left_to_this_thread() {
            return Err(Superseded(Arc::clone(unit)));
        }
        if unit.is_slow() {
            self.pool.start_alone(unit);
        }
        Ok(())
    }

    /// Reads the sources that are due to be polled.
    fn poll(&mut self, polls: &mut Polls) -> Result<(), Superseded> {
        let then = Monotonic::now();
        let due = polls.due(then);
        if due.is_empty() {
            return Ok(());
        }
        let before_sec = thread_cpu_sec();
        self.read(&due, false)?;
        let pace = Pace {
            sweep: self.pool.interval,
            attended: self.pool.fast_pollers.load(Ordering::Relaxed) > 0,
        };
        let spent_sec = thread_cpu_sec() - before_sec;
        polls.after(&lock(&self.pool.timeline), pace, then, Monotonic::now(), spent_sec);
        Ok(())
    }

    /// Reads every source and CPU clock once. At an edge, retries what failed and awaits refreshes.
    fn sweep(&mut self, edge: bool) -> Result<(), Superseded> {
        let pool = Arc::clone(&self.pool);
        let before = if edge {
            answering(&lock(&pool.timeline))
        } else {
            Vec::new()
        };
        for unit in self.units.iter().filter(|unit| !unit.is_alone()) {
            unit.sweep(&pool.timeline, edge);
            self.go_on_after(unit)?;
        }
        if edge {
            self.ask_again(before)?;
            self.wait_for_ticks()?;
        }
        let mut cpu_times = pool.cpu_times.lock().unwrap_or_else(PoisonError::into_inner);
        cpu_times.sweep(&pool.timeline, edge);
        Ok(())
    }

    /// Reads the telemetry that is due.
    fn sample_telemetry(&self) -> Result<(), Superseded> {
        for unit in self.units.iter().filter(|unit| !unit.is_alone()) {
            unit.sample_telemetry();
            self.go_on_after(unit)?;
        }
        Ok(())
    }

    /// Retries at an edge the sources that failed just now and worked before: a window cannot wait for the next sweep.
    fn ask_again(&mut self, mut worked: Vec<usize>) -> Result<(), Superseded> {
        for _ in 0..EDGE_ATTEMPTS {
            let answer_now = answering(&lock(&self.pool.timeline));
            worked.retain(|source| !answer_now.contains(source));
            if worked.is_empty() {
                return Ok(());
            }
            std::thread::sleep(BETWEEN_ATTEMPTS);
            self.read(&worked, true)?;
        }
        Ok(())
    }

    /// Reads the fast counters until they have refreshed.
    fn wait_for_ticks(&mut self) -> Result<(), Superseded> {
        let mut awaited = Awaited::at_edge(&lock(&self.pool.timeline), Monotonic::now());
        loop {
            let sources = awaited.to_read(&lock(&self.pool.timeline), Monotonic::now());
            if !self.read(&sources, true)? {
                return Ok(());
            }
        }
    }

    /// Reads these sources, except those that are read alone. Returns whether any was read.
    fn read(&self, tracks: &[usize], edge: bool) -> Result<bool, Superseded> {
        let mut is_any = false;
        for track in tracks {
            let owner = self.units.iter().rfind(|unit| unit.first_track <= *track);
            if let Some(unit) = owner.filter(|unit| unit.has(*track) && !unit.is_alone()) {
                unit.read(*track, &self.pool.timeline, edge);
                self.go_on_after(unit)?;
                is_any = true;
            }
        }
        Ok(is_any)
    }
}
