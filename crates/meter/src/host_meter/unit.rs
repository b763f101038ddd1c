//! Reads one source, and measures how long its driver takes.
//!
//! Owns the consequence of a source that fails, panics, is slow or hangs: only its own readings are lost. Leaves to
//! others which thread reads it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

use super::lock::lock;
use crate::estimation::timeline::Timeline;
use crate::source::current_call::CurrentCall;
use crate::source::{EnergySource, Place, PollError, Value};
use crate::telemetry::{TelemetryPace, thread_cpu_sec};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::NANOSECONDS_PER_SECOND;

/// Number of panics in a row after which a source is not read any more.
const PANICS_UNTIL_GONE: u32 = 3;

/// Seconds above which a reading is slow and delays the others: ten boards at ten sweeps per second may take this long.
const SLOW_SEC: f64 = 0.01;

/// Number of slow readings in a row after which a source is read alone. A thread that waits for a CPU is late once or
/// twice in a row; a slow driver is slow each time.
const SLOW_UNTIL_ALONE: u32 = 3;

/// Number of readings in time, in a row, after which a source is read with the others again: some seconds.
const QUICK_UNTIL_BACK: u32 = 50;

/// Marks a reading in progress whose thread is to go on with this source alone. The clock reaches this bit after three
/// centuries.
const GIVEN_AWAY: u64 = 1 << 63;

/// One source, and the telemetry of its devices.
pub struct Unit {
    /// Number of its first source in the timeline.
    pub first_track: usize,
    /// Number of its sources in the timeline.
    pub track_count: usize,
    /// Name of what it measures.
    subject: String,
    /// Locked by the one thread that reads it, while the driver call lasts.
    inner: Mutex<Inner>,
    call: Option<CurrentCall>,
    /// CLOCK_MONOTONIC at the start of the reading in progress, in nanoseconds, with [`GIVEN_AWAY`]; 0 when there is
    /// none.
    reading_since_ns: AtomicU64,
    /// Kernel id of the thread that began the reading.
    reader_tid: AtomicI32,
    last_took_ns: AtomicU64,
    is_alone: AtomicBool,
    /// Whether the last reading was marked with [`GIVEN_AWAY`].
    was_given_away: AtomicBool,
    /// Whether a warning was logged that it does not answer.
    is_silent: AtomicBool,
    /// The thread that reads it alone.
    reader: Mutex<Option<Thread>>,
}

/// What only the thread that reads uses.
struct Inner {
    source: Box<dyn EnergySource>,
    telemetry: Option<TelemetryPace>,
    panics: u32,
    slow_in_a_row: u32,
    quick_in_a_row: u32,
}

/// A driver call in progress.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Name of the call; empty when the source does not report it.
    pub call: &'static str,
    /// Seconds since it began.
    pub for_sec: f64,
}

impl Unit {
    /// Creates the reader of a source whose first number in the timeline is `first_track`.
    pub fn new(source: Box<dyn EnergySource>, telemetry: Option<TelemetryPace>, first_track: usize) -> Self {
        Self {
            first_track,
            track_count: source.sources().len(),
            subject: subject(source.as_ref()),
            call: source.current_call(),
            inner: Mutex::new(Inner {
                source,
                telemetry,
                panics: 0,
                slow_in_a_row: 0,
                quick_in_a_row: 0,
            }),
            reading_since_ns: AtomicU64::new(0),
            reader_tid: AtomicI32::new(0),
            last_took_ns: AtomicU64::new(0),
            is_alone: AtomicBool::new(false),
            was_given_away: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            reader: Mutex::new(None),
        }
    }

    /// Reads everything that the source has, and stores its answers.
    pub fn sweep(&self, timeline: &Mutex<Timeline>, edge: bool) {
        let answers = self.timed(Inner::sample);
        let mut timeline = lock(timeline);
        for (offset, answer) in answers.into_iter().take(self.track_count).enumerate() {
            timeline.record(self.first_track + offset, answer, edge);
        }
    }

    /// Reads one of its tracks as cheaply as possible, and stores the answer.
    pub fn read(&self, track: usize, timeline: &Mutex<Timeline>, edge: bool) {
        let answer = self.timed(|inner| inner.sample_one(track - self.first_track));
        lock(timeline).record(track, answer, edge);
    }

    /// Reads the telemetry that is due.
    pub fn sample_telemetry(&self) {
        if let Some(telemetry) = &mut self.inner().telemetry
            && telemetry.is_due()
        {
            let _reading = self.begin();
            telemetry.sample_what_is_due();
        }
    }

    /// Returns the driver call in progress; `None` when there is none.
    pub fn waiting(&self, now: Monotonic) -> Option<Waiting> {
        let since = self.reading_since_ns.load(Ordering::Acquire);
        (since != 0).then(|| Waiting {
            call: self.call.as_ref().map_or("", CurrentCall::name),
            for_sec: now.sec_since(Monotonic(since & !GIVEN_AWAY)).max(0.0),
        })
    }

    /// Returns whether the thread that reads the source waits for a CPU rather than for the driver.
    pub fn waits_for_a_cpu(&self) -> bool {
        let tid = self.reader_tid.load(Ordering::Relaxed);
        let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap_or_default();
        // The name before the state may contain anything, parentheses too.
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('R'))
    }

    /// Stores that the driver has not answered. If it answers later, its counter goes on.
    pub fn record_silence(&self, waiting: &Waiting, timeline: &Mutex<Timeline>) {
        let call = if waiting.call.is_empty() {
            "the read of its counter"
        } else {
            waiting.call
        };
        let error = PollError::Silent(format!(
            "{}: {call} has not returned for {:.1} s",
            self.subject, waiting.for_sec
        ));
        if !self.is_silent.swap(true, Ordering::Relaxed) {
            tracing::warn!("{error}; its energy is unknown until it does");
        }
        let mut timeline = lock(timeline);
        for track in self.first_track..self.first_track + self.track_count {
            timeline.record(track, Err(error.clone()), false);
        }
    }

    /// Returns whether number `track` of the timeline belongs to this source.
    pub fn has(&self, track: usize) -> bool {
        (self.first_track..self.first_track + self.track_count).contains(&track)
    }

    /// Returns the duration of the last reading.
    pub fn last_took(&self) -> Duration {
        Duration::from_nanos(self.last_took_ns.load(Ordering::Relaxed))
    }

    /// Returns whether the source is read by its own thread, or is about to be.
    pub fn is_alone(&self) -> bool {
        self.is_alone.load(Ordering::Acquire)
    }

    /// Leaves the source to the thread whose reading is in progress. Returns `false` when that reading has ended
    /// meanwhile, or when the source is left to its thread already.
    pub fn leave_to_its_reader(&self) -> bool {
        let since = self.reading_since_ns.load(Ordering::Acquire);
        if since == 0 || since & GIVEN_AWAY != 0 || self.is_alone() {
            return false;
        }
        let left =
            self.reading_since_ns
                .compare_exchange(since, since | GIVEN_AWAY, Ordering::AcqRel, Ordering::Acquire);
        if left.is_ok() {
            self.is_alone.store(true, Ordering::Release);
        }
        left.is_ok()
    }

    /// Returns whether the last reading was marked with [`GIVEN_AWAY`]. The calling thread then goes on with the source
    /// alone.
    pub fn was_left_to_this_thread(&self) -> bool {
        self.was_given_away.swap(false, Ordering::AcqRel)
    }

    /// Marks the source as read alone. Returns `false` when it was already.
    pub fn set_alone(&self) -> bool {
        !self.is_alone.swap(true, Ordering::AcqRel)
    }

    /// Records that the calling thread reads the source alone.
    pub fn read_by_this_thread(&self) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current());
    }

    /// Returns the source to the thread that reads the others.
    pub fn set_together(&self) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.inner().quick_in_a_row = 0;
        self.is_alone.store(false, Ordering::Release);
    }

    /// Wakes the thread that reads the source alone, so that it reads now.
    pub fn wake(&self) {
        if let Some(thread) = &*self.reader.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }

    /// Returns whether the source delays the others repeatedly.
    pub fn is_slow(&self) -> bool {
        self.inner().slow_in_a_row >= SLOW_UNTIL_ALONE
    }

    /// Returns whether the source has answered in time for long enough to be read with the others again.
    pub fn is_quick_again(&self) -> bool {
        self.inner().quick_in_a_row >= QUICK_UNTIL_BACK
    }

    /// Locks the source.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `read` and updates the counts of slow readings.
    fn timed<T>(&self, read: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner();
        let before = Effort::now();
        let reading = self.begin();
        let answer = read(&mut inner);
        let took_sec = reading.end();
        if self.is_silent.swap(false, Ordering::Relaxed) {
            tracing::info!("{} answers again", self.subject);
        }
        let is_slow = took_sec > SLOW_SEC && before.is_the_drivers(SLOW_SEC);
        inner.slow_in_a_row = if is_slow { inner.slow_in_a_row + 1 } else { 0 };
        inner.quick_in_a_row = if is_slow { 0 } else { inner.quick_in_a_row + 1 };
        answer
    }

    /// Marks the start of a reading.
    fn begin(&self) -> Reading<'_> {
        let begun = Monotonic::now();
        self.reader_tid.store(nix::unistd::gettid().as_raw(), Ordering::Relaxed);
        self.reading_since_ns.store(begun.0, Ordering::Release);
        Reading { unit: self, begun }
    }
}

/// CPU time and waits of a thread, by which a slow driver is distinguished from a busy host.
struct Effort {
    /// CPU seconds so far.
    cpu_sec: f64,
    /// Number of times that it gave up the CPU, as a driver that waits does.
    waits: i64,
}

impl Effort {
    /// Reads the calling thread's figures.
    fn now() -> Self {
        let waits = getrusage(UsageWho::RUSAGE_THREAD).map_or(0, |usage| usage.voluntary_context_switches());
        Self {
            cpu_sec: thread_cpu_sec(),
            waits,
        }
    }

    /// Returns whether since then the driver waited, or computed for more than `sec`. Otherwise other threads had the
    /// CPU.
    fn is_the_drivers(&self, sec: f64) -> bool {
        let now = Self::now();
        now.waits > self.waits || now.cpu_sec - self.cpu_sec > sec
    }
}

/// A reading in progress.
struct Reading<'a> {
    unit: &'a Unit,
    begun: Monotonic,
}

impl Reading<'_> {
    /// Ends the reading and returns its duration in seconds.
    fn end(self) -> f64 {
        let took_sec = Monotonic::now().sec_since(self.begun);
        let took_ns = (took_sec * NANOSECONDS_PER_SECOND) as u64;
        self.unit.last_took_ns.store(took_ns, Ordering::Relaxed);
        took_sec
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let since = self.unit.reading_since_ns.swap(0, Ordering::AcqRel);
        if since & GIVEN_AWAY != 0 {
            // Before the thread looks: the one that gave it away may not have come to this point yet.
            self.unit.is_alone.store(true, Ordering::Release);
            self.unit.was_given_away.store(true, Ordering::Release);
        }
    }
}

impl Inner {
    /// Reads all values. A panic is an error of every value.
    fn sample(&mut self) -> Vec<Result<Value, PollError>> {
        let all = |error: PollError, source: &dyn EnergySource| vec![Err(error); source.sources().len()];
        if self.panics >= PANICS_UNTIL_GONE {
            let why = "the source panicked repeatedly and is not read any more".to_owned();
            return all(PollError::Gone(why), self.source.as_ref());
        }
        // A panic leaves only the source's own state half done. The source is read again or dropped.
        if let Ok(answers) = catch_unwind(AssertUnwindSafe(|| self.source.sample())) {
            self.panics = 0;
            return answers;
        }
        self.panics += 1;
        let why = "the source panicked while it was read".to_owned();
        all(PollError::Retry(why), self.source.as_ref())
    }

    /// Reads one value. A panic is an error of that value.
    fn sample_one(&mut self, index: usize) -> Result<Value, PollError> {
        catch_unwind(AssertUnwindSafe(|| self.source.sample_one(index))).unwrap_or_else(|_| {
            self.panics += 1;
            Err(PollError::Retry("the source panicked while it was read".to_owned()))
        })
    }
}

/// Returns the names of the places that a source measures.
fn subject(source: &dyn EnergySource) -> String {
    let places = source.sources().iter().map(|description| match &description.id.place {
        Place::Gpu { index, uuid } => format!("GPU {index} ({uuid})"),
        Place::Zone { name, path } => format!("zone {name} ({path})"),
        Place::Host => "the host's CPUs".to_owned(),
    });
    let places: Vec<String> = places.collect();
    match places.len() {
        0 => "a device without readable energy".to_owned(),
        _ => places.join(", "),
    }
}
