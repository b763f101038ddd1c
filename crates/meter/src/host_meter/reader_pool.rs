//! Runs the threads that read: one for all sources that answer in time, one for each that does not, and one that
//! watches them.
//!
//! Owns which thread reads which source. A driver call that hangs blocks its thread and its source only: another thread
//! reads the other sources.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::cpu_times::CpuTimes;
use super::sweep_counts::SweepCounts;
use super::unit::Unit;
use crate::estimation::timeline::Timeline;
use joulemark_measurement::EnergyMethod;
use joulemark_measurement::clock::Monotonic;

/// Interval at which the threads are checked. A wake-up costs some µs.
const WATCH_PERIOD: Duration = Duration::from_millis(50);

/// Seconds after which another thread reads the other sources: several times what a driver takes to wake a sleeping
/// board.
const DEADLINE_SEC: f64 = 0.1;

/// Seconds after which a source has no reading. A slow driver, with calls of 200 ms, answers in time.
const SILENT_SEC: f64 = 2.0;

/// Minimum pause between two readings of a source that is read alone and shows only power.
const MIN_PAUSE: Duration = Duration::from_millis(22);

/// Maximum wait for a thread to end when the meter ends. A thread that hangs is left to the end of the process.
const JOIN_TIMEOUT: Duration = Duration::from_millis(300);

/// State shared by the threads.
pub struct ReaderPool {
    units: Vec<Arc<Unit>>,
    /// Everything that was read.
    pub timeline: Arc<Mutex<Timeline>>,
    /// Clocks of CPU time.
    pub cpu_times: Mutex<CpuTimes>,
    /// Interval between two regular sweeps.
    pub interval: Duration,
    /// Counts of sweeps.
    pub sweep_counts: SweepCounts,
    /// Number of callers that hold a [`FastPolling`](super::FastPolling).
    pub fast_pollers: Arc<AtomicUsize>,
    requests: Mutex<Receiver<Sender<()>>>,
    /// Callers that wait for a sweep.
    pub asking: Mutex<Vec<Sender<()>>>,
    /// Entry point of the thread that reads the sources which answer in time.
    together: fn(Arc<Self>),
    /// Every thread that reads or has read. The last is the current one that reads the sources together.
    readers: Mutex<Vec<JoinHandle<()>>>,
    is_over: AtomicBool,
}

impl ReaderPool {
    /// Creates the shared state. No thread runs before [`start`](Self::start).
    pub fn new(
        units: Vec<Unit>,
        timeline: Arc<Mutex<Timeline>>,
        (cpu_times, interval): (CpuTimes, Duration),
        (sweep_counts, fast_pollers): (SweepCounts, Arc<AtomicUsize>),
        requests: Receiver<Sender<()>>,
        together: fn(Arc<Self>),
    ) -> Arc<Self> {
        Arc::new(Self {
            units: units.into_iter().map(Arc::new).collect(),
            timeline,
            cpu_times: Mutex::new(cpu_times),
            interval,
            sweep_counts,
            fast_pollers,
            requests: Mutex::new(requests),
            asking: Mutex::default(),
            together,
            readers: Mutex::default(),
            is_over: AtomicBool::new(false),
        })
    }

    /// Starts the thread that reads and the thread that watches it.
    ///
    /// # Errors
    /// Returns an error when the operating system cannot start a thread.
    pub fn start(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        self.read_together()?;
        let pool = Arc::clone(self);
        std::thread::Builder::new()
            .name("energy-watch".to_owned())
            .spawn(move || pool.watch())
    }

    /// Ends the threads. Waits for the one that watches, and shortly for those that read.
    pub fn end(&self, watcher: JoinHandle<()>) {
        self.is_over.store(true, Ordering::Release);
        watcher.thread().unpark();
        self.units.iter().for_each(|unit| unit.wake());
        if watcher.join().is_err() {
            tracing::error!("the thread that watches the energy meter had panicked");
        }
        let deadline = Monotonic::now().0 + JOIN_TIMEOUT.as_nanos() as u64;
        for reader in self.readers().drain(..) {
            while !reader.is_finished() && Monotonic::now().0 < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            if reader.is_finished() && reader.join().is_err() {
                tracing::error!("a thread of the energy meter had panicked");
            }
        }
    }

    /// Returns whether the thread that reads the sources together runs.
    pub fn is_alive(&self) -> bool {
        self.readers().last().is_some_and(|reader| !reader.is_finished())
    }

    /// Locks the list of threads that read.
    fn readers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the meter is ending or has ended.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Returns the sources that are read together.
    pub fn together(&self) -> Vec<Arc<Unit>> {
        let together = self.units.iter().filter(|unit| !unit.is_alone());
        together.cloned().collect()
    }

    /// Triggers a reading of each source that is read alone, without waiting for it.
    pub fn wake_alone(&self) {
        for unit in self.units.iter().filter(|unit| unit.is_alone()) {
            unit.wake();
        }
    }

    /// Locks the receiver of sweep requests.
    pub fn requests(&self) -> MutexGuard<'_, Receiver<Sender<()>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread that reads the sources together.
    fn read_together(self: &Arc<Self>) -> io::Result<()> {
        let (pool, together) = (Arc::clone(self), self.together);
        let reader = std::thread::Builder::new()
            .name("energy-meter".to_owned())
            .spawn(move || together(pool))?;
        let mut readers = self.readers();
        // Threads that read a slow source for a while have ended. A year has many of them.
        readers.retain(|reader| !reader.is_finished());
        readers.push(reader);
        Ok(())
    }

    /// Starts a thread that reads one slow source. Does nothing when that source has one already.
    pub fn start_alone(self: &Arc<Self>, unit: &Arc<Unit>) {
        if !unit.set_alone() {
            return;
        }
        let (pool, read) = (Arc::clone(self), Arc::clone(unit));
        let started = std::thread::Builder::new()
            .name("energy-slow".to_owned())
            .spawn(move || pool.read_alone(&read));
        match started {
            // Inserted before the last, which is the thread that reads together.
            Ok(reader) => {
                let mut readers = self.readers();
                let newest = readers.pop();
                readers.retain(|reader| !reader.is_finished());
                readers.push(reader);
                readers.extend(newest);
            }
            Err(error) => {
                tracing::error!(%error, "cannot start a thread for a slow source, which goes on delaying the others");
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
            std::thread::park_timeout(self.pause_after(unit));
        }
    }

    /// Returns the pause after a reading of a source that is read alone.
    fn pause_after(&self, unit: &Unit) -> Duration {
        let tracks = unit.first_track..unit.first_track + unit.track_count;
        let timeline = super::lock::lock(&self.timeline);
        let shows_power = timeline.tracks()[tracks]
            .iter()
            .any(|track| track.description.method == EnergyMethod::PowerIntegration);
        let usual = if shows_power {
            MIN_PAUSE.min(self.interval)
        } else {
            self.interval
        };
        usual.max(unit.last_took())
    }

    /// Checks every reading in progress until the meter ends.
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
                    tracing::error!(%error, "cannot start a thread to read the sources that answer");
                }
            }
            std::thread::park_timeout(WATCH_PERIOD);
        }
    }
}
