//! The loop that reads the sources which answer in time: when to sweep, and whom to ask again. Knows no windows.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::beat::Beat;
use super::crew::Crew;
use super::lock::lock;
use super::unit::Unit;
use crate::estimation::edge_reads::{Awaited, EdgeReads};
use crate::estimation::polling::{Pace, Polls};
use crate::estimation::timeline::Timeline;
use crate::priority::raise_priority;
use crate::source::SourceDescription;
use crate::telemetry::thread_cpu_sec;
use joulemark_measurement::clock::Monotonic;

/// A sweep of some devices takes milliseconds; faster than this the meter would measure itself.
const FASTEST: Duration = Duration::from_millis(5);

/// What fails for a moment at an edge is asked again so often, a moment apart.
const EDGE_ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(1);

/// The interval asked for, or a shorter one where a counter could otherwise wrap twice unseen.
pub fn pace(asked: Duration, descriptions: &[SourceDescription]) -> Duration {
    let safe = descriptions
        .iter()
        .filter_map(|description| description.wraps)
        .map(|wraps| wraps.safe_gap_sec() / 2.0);
    let shortest = safe.fold(asked.as_secs_f64(), f64::min);
    Duration::from_secs_f64(shortest.max(0.0)).max(FASTEST)
}

/// The source whose driver kept this thread for too long. Another thread has the rest.
struct Superseded(Arc<Unit>);

/// Reads what answers in time until the meter ends, or goes on with the one source whose driver kept this thread.
pub fn read_together(crew: Arc<Crew>) {
    raise_priority();
    if let Err(superseded) = Sampler::new(Arc::clone(&crew)).run() {
        crew.read_alone(&superseded.0);
    }
}

struct Sampler {
    crew: Arc<Crew>,
    units: Vec<Arc<Unit>>,
}

/// The sources whose last reading worked.
fn answering(timeline: &Timeline) -> Vec<usize> {
    let tracks = timeline.tracks().iter().enumerate();
    let working = tracks.filter(|(_, track)| track.last_error.is_none() && !track.chosen().is_empty());
    working.map(|(source, _)| source).collect()
}

impl Sampler {
    fn new(crew: Arc<Crew>) -> Self {
        Self {
            units: crew.together(),
            crew,
        }
    }

    /// Sweeps at every interval and at every request, until the meter ends.
    ///
    /// # Errors
    /// Returns the source that this thread has to go on with alone.
    fn run(mut self) -> Result<(), Superseded> {
        let crew = Arc::clone(&self.crew);
        let mut polls = Polls::plan(&lock(&crew.timeline), Monotonic::now());
        let mut sweeps = Beat::starting_at_once();
        // Who had asked the thread before this one.
        let mut edge_reads = self.serve()?;
        while !crew.is_over() {
            let next_edge_read = edge_reads.as_ref().map_or(sweeps.next(), EdgeReads::next);
            let next = sweeps.next().min(next_edge_read).min(polls.next());
            let wait = Duration::from_nanos(next.0.saturating_sub(Monotonic::now().0));
            let asked = crew.requests().recv_timeout(wait);
            match asked {
                Ok(first) => {
                    // All who ask before the sweep begins are served by it.
                    let all = std::iter::once(first)
                        .chain(crew.requests().try_iter())
                        .collect::<Vec<_>>();
                    self.asking().extend(all);
                    edge_reads = self.serve()?;
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(missed) = sweeps.missed(crew.interval) {
                        crew.punctuality.note(missed);
                        self.units = crew.together();
                        self.sweep(false)?;
                        self.sample_telemetry()?;
                    }
                    self.poll(&mut polls)?;
                    let then = Monotonic::now();
                    if let Some(due) = edge_reads.take_if(|reads| reads.next() <= then) {
                        self.read(&due.due(then), false)?;
                        edge_reads = due.after(&lock(&crew.timeline), then, Monotonic::now());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    fn asking(&self) -> std::sync::MutexGuard<'_, Vec<Sender<()>>> {
        self.crew.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sweeps for all who ask, if any, and plans what is read after it.
    fn serve(&mut self) -> Result<Option<EdgeReads>, Superseded> {
        if self.asking().is_empty() {
            return Ok(None);
        }
        self.crew.wake_the_alone();
        self.sweep(true)?;
        for done in self.asking().drain(..) {
            // The one who asked may have given up; the samples are there all the same.
            done.send(()).ok();
        }
        Ok(EdgeReads::after_edge(&lock(&self.crew.timeline), Monotonic::now()))
    }

    /// Ends this thread's part when `unit` kept it for too long; has a slow one read by a thread of its own.
    fn go_on_after(&self, unit: &Arc<Unit>) -> Result<(), Superseded> {
        if unit.was_left_to_this_thread() {
            return Err(Superseded(Arc::clone(unit)));
        }
        if unit.is_slow() {
            self.crew.start_alone(unit);
        }
        Ok(())
    }

    fn poll(&mut self, polls: &mut Polls) -> Result<(), Superseded> {
        let then = Monotonic::now();
        let due = polls.due(then);
        if due.is_empty() {
            return Ok(());
        }
        let before_sec = thread_cpu_sec();
        self.read(&due, false)?;
        let pace = Pace {
            sweep: self.crew.interval,
            attended: self.crew.attending.load(Ordering::Relaxed) > 0,
        };
        let spent_sec = thread_cpu_sec() - before_sec;
        polls.after(&lock(&self.crew.timeline), pace, then, Monotonic::now(), spent_sec);
        Ok(())
    }

    fn sweep(&mut self, edge: bool) -> Result<(), Superseded> {
        let crew = Arc::clone(&self.crew);
        let before = if edge {
            answering(&lock(&crew.timeline))
        } else {
            Vec::new()
        };
        for unit in self.units.iter().filter(|unit| !unit.is_alone()) {
            unit.sweep(&crew.timeline, edge);
            self.go_on_after(unit)?;
        }
        if edge {
            self.ask_again(before)?;
            self.wait_for_ticks()?;
        }
        let mut cpu_times = crew.cpu_times.lock().unwrap_or_else(PoisonError::into_inner);
        cpu_times.sweep(&crew.timeline, edge);
        Ok(())
    }

    fn sample_telemetry(&self) -> Result<(), Superseded> {
        for unit in self.units.iter().filter(|unit| !unit.is_alone()) {
            unit.sample_telemetry();
            self.go_on_after(unit)?;
        }
        Ok(())
    }

    /// A window cannot wait for the next sweep: what failed just now and worked before is asked again at once.
    fn ask_again(&mut self, mut worked: Vec<usize>) -> Result<(), Superseded> {
        for _ in 0..EDGE_ATTEMPTS {
            let answer_now = answering(&lock(&self.crew.timeline));
            worked.retain(|source| !answer_now.contains(source));
            if worked.is_empty() {
                return Ok(());
            }
            std::thread::sleep(BETWEEN_ATTEMPTS);
            self.read(&worked, true)?;
        }
        Ok(())
    }

    fn wait_for_ticks(&mut self) -> Result<(), Superseded> {
        let mut awaited = Awaited::at_edge(&lock(&self.crew.timeline), Monotonic::now());
        loop {
            let sources = awaited.to_read(&lock(&self.crew.timeline), Monotonic::now());
            if !self.read(&sources, true)? {
                return Ok(());
            }
        }
    }

    /// Reads these sources, but not those that are read alone; returns whether there was any.
    fn read(&self, tracks: &[usize], edge: bool) -> Result<bool, Superseded> {
        let mut is_any = false;
        for track in tracks {
            let owner = self.units.iter().rfind(|unit| unit.first_track <= *track);
            if let Some(unit) = owner.filter(|unit| unit.has(*track) && !unit.is_alone()) {
                unit.read(*track, &self.crew.timeline, edge);
                self.go_on_after(unit)?;
                is_any = true;
            }
        }
        Ok(is_any)
    }
}
