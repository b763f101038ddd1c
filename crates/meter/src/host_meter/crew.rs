//! The threads that read: one for all sources that answer in time, one for each that does not, and one that watches them.
//!
//! Owns which thread has which source. A driver call that hangs keeps its thread, and its source, to itself: another
//! thread goes on with the rest.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::cpu_times::CpuTimes;
use super::punctuality::Punctuality;
use super::unit::Unit;
use crate::estimation::timeline::Timeline;
use joulemark_measurement::EnergyMethod;
use joulemark_measurement::clock::Monotonic;

/// How often the threads are looked at. A wake-up costs some µs.
const WATCH_PERIOD: Duration = Duration::from_millis(50);

/// A reading that takes longer has the other sources read by another thread: several times what a driver takes that
/// wakes a sleeping board.
const DEADLINE_SEC: f64 = 0.1;

/// A driver that takes longer is silent: its source has no reading. A slow one, of 200 ms a call, answers in time.
const SILENT_SEC: f64 = 2.0;

/// A source read alone rests as long as its reading takes, and at least this long when it shows power only.
const SHORTEST_REST: Duration = Duration::from_millis(22);

/// A thread that ends within it is waited for when the meter ends; one that hangs is left to the end of the process.
const LAST_PATIENCE: Duration = Duration::from_millis(300);

/// What the threads share.
pub struct Crew {
    units: Vec<Arc<Unit>>,
    pub timeline: Arc<Mutex<Timeline>>,
    pub cpu_times: Mutex<CpuTimes>,
    pub interval: Duration,
    pub punctuality: Punctuality,
    pub attending: Arc<AtomicUsize>,
    requests: Mutex<Receiver<Sender<()>>>,
    /// Who asked for a sweep that is not done yet.
    pub asking: Mutex<Vec<Sender<()>>>,
    /// What the thread does that reads what answers in time.
    together: fn(Arc<Self>),
    /// Every thread that reads or has read, the newest that reads together last.
    readers: Mutex<Vec<JoinHandle<()>>>,
    is_over: AtomicBool,
}

impl Crew {
    pub fn new(
        units: Vec<Unit>,
        timeline: Arc<Mutex<Timeline>>,
        (cpu_times, interval): (CpuTimes, Duration),
        (punctuality, attending): (Punctuality, Arc<AtomicUsize>),
        requests: Receiver<Sender<()>>,
        together: fn(Arc<Self>),
    ) -> Arc<Self> {
        Arc::new(Self {
            units: units.into_iter().map(Arc::new).collect(),
            timeline,
            cpu_times: Mutex::new(cpu_times),
            interval,
            punctuality,
            attending,
            requests: Mutex::new(requests),
            asking: Mutex::default(),
            together,
            readers: Mutex::default(),
            is_over: AtomicBool::new(false),
        })
    }

    /// Starts the thread that reads and the one that watches it.
    ///
    /// # Errors
    /// Returns an error when the operating system starts no thread.
    pub fn start(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        self.read_together()?;
        let crew = Arc::clone(self);
        std::thread::Builder::new()
            .name("energy-watch".to_owned())
            .spawn(move || crew.watch())
    }

    /// Ends the threads, and waits for the one that watches and shortly for those that read.
    pub fn end(&self, watcher: JoinHandle<()>) {
        self.is_over.store(true, Ordering::Release);
        watcher.thread().unpark();
        self.units.iter().for_each(|unit| unit.wake());
        if watcher.join().is_err() {
            tracing::error!("the thread that watches the energy meter had panicked");
        }
        let deadline = Monotonic::now().0 + LAST_PATIENCE.as_nanos() as u64;
        for reader in self.readers().drain(..) {
            while !reader.is_finished() && Monotonic::now().0 < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            if reader.is_finished() && reader.join().is_err() {
                tracing::error!("a thread of the energy meter had panicked");
            }
        }
    }

    /// Returns whether a thread reads what answers in time.
    pub fn is_alive(&self) -> bool {
        self.readers().last().is_some_and(|reader| !reader.is_finished())
    }

    fn readers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the meter has ended.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Returns the sources that are read together.
    pub fn together(&self) -> Vec<Arc<Unit>> {
        let together = self.units.iter().filter(|unit| !unit.is_alone());
        together.cloned().collect()
    }

    /// Has each source that is read alone read now, and waits for none.
    pub fn wake_the_alone(&self) {
        for unit in self.units.iter().filter(|unit| unit.is_alone()) {
            unit.wake();
        }
    }

    pub fn requests(&self) -> MutexGuard<'_, Receiver<Sender<()>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_together(self: &Arc<Self>) -> io::Result<()> {
        let (crew, together) = (Arc::clone(self), self.together);
        let reader = std::thread::Builder::new()
            .name("energy-meter".to_owned())
            .spawn(move || together(crew))?;
        let mut readers = self.readers();
        // What a source had while it was slow has ended; a year holds many such times.
        readers.retain(|reader| !reader.is_finished());
        readers.push(reader);
        Ok(())
    }

    /// Starts a thread that reads one slow source.
    pub fn start_alone(self: &Arc<Self>, unit: &Arc<Unit>) {
        if !unit.set_alone() {
            return;
        }
        let (crew, read) = (Arc::clone(self), Arc::clone(unit));
        let started = std::thread::Builder::new()
            .name("energy-slow".to_owned())
            .spawn(move || crew.read_alone(&read));
        match started {
            // Before the one that reads together, which stays the last.
            Ok(reader) => {
                let mut readers = self.readers();
                let newest = readers.pop();
                readers.retain(|reader| !reader.is_finished());
                readers.push(reader);
                readers.extend(newest);
            }
            Err(error) => {
                tracing::error!(%error, "no thread to read a slow source: it goes on keeping the others waiting");
                unit.set_together();
            }
        }
    }

    /// Reads one source until it answers in time again or the meter ends.
    pub fn read_alone(&self, unit: &Unit) {
        unit.read_by_this_thread();
        while !self.is_over() {
            unit.sweep(&self.timeline, false);
            unit.sample_telemetry();
            if unit.is_quick_again() {
                return unit.set_together();
            }
            std::thread::park_timeout(self.rest_of(unit));
        }
    }

    fn rest_of(&self, unit: &Unit) -> Duration {
        let tracks = unit.first_track..unit.first_track + unit.track_count;
        let timeline = super::lock::lock(&self.timeline);
        let shows_power = timeline.tracks()[tracks]
            .iter()
            .any(|track| track.description.method == EnergyMethod::PowerIntegration);
        let usual = if shows_power {
            SHORTEST_REST.min(self.interval)
        } else {
            self.interval
        };
        usual.max(unit.last_took())
    }

    /// Looks at every reading that is under way until the meter ends.
    fn watch(self: &Arc<Self>) {
        while !self.is_over() {
            let now = Monotonic::now();
            for unit in &self.units {
                let Some(waiting) = unit.waiting(now) else { continue };
                if waiting.for_sec > SILENT_SEC {
                    unit.record_silence(&waiting, &self.timeline);
                }
                let is_held_up =
                    waiting.for_sec > DEADLINE_SEC && (waiting.for_sec > SILENT_SEC || !unit.waits_for_a_cpu());
                if is_held_up
                    && unit.leave_to_its_reader()
                    && let Err(error) = self.read_together()
                {
                    tracing::error!(%error, "no thread to read the sources that answer");
                }
            }
            std::thread::park_timeout(WATCH_PERIOD);
        }
    }
}
