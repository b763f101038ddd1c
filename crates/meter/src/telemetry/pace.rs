//! Schedules the telemetry of each GPU, on the meter's thread and after the energies, so that no energy reading waits.
//!
//! Telemetry is not read at every sweep: a call into NVML takes tens of µs on real boards, and reading everything of
//! eight boards at 10 Hz would use some percent of a core. The interval grows where a library is slow, so that all
//! boards together stay within a budget.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::{GpuSample, SharedLog, Slow, TelemetrySource};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::NANOSECONDS_PER_SECOND;

/// Interval in seconds of the fast readings. NVML's utilisation covers 1/6 to 1 s, so more frequent readings would
/// repeat it.
const FAST_SEC: f64 = 0.2;

/// Share of one core for all boards together: less than a third of what the whole meter may use at 10 Hz.
const BUDGET: f64 = 0.0006;

/// Maximum interval in seconds of the fast readings, however expensive they are: a sample is valid for little longer.
const LONGEST_SEC: f64 = 2.0;

/// Interval in seconds of the slow readings. Temperature changes over seconds, and a process that lives for less than
/// one second is not reported.
const SLOW_SEC: f64 = 1.0;

/// The next readings of one board.
struct Due {
    fast: Monotonic,
    slow: Monotonic,
    /// Slow readings as last made.
    read: Slow,
}

/// The schedule of one library's boards.
pub struct TelemetryPace {
    source: Option<Box<dyn TelemetrySource>>,
    log: SharedLog,
    /// Number in the log of its first board.
    first: usize,
    /// Number of boards in the log, which share the budget.
    boards: f64,
    due: Vec<Due>,
}

impl TelemetryPace {
    /// Creates the schedule of a library whose boards are in the log from number `first` on. Slow readings of the
    /// boards are spread over the second, so that no sweep makes all of them.
    pub fn new(source: Box<dyn TelemetrySource>, log: SharedLog, first: usize) -> Self {
        let (count, boards) = (source.gpus().len(), log.lock().gpus.len() as f64);
        let now = Monotonic::now();
        let due = (0..count).map(|_| Due {
            fast: now,
            slow: now,
            read: Slow::default(),
        });
        Self {
            due: due.collect(),
            source: Some(source),
            log,
            first,
            boards,
        }
    }

    /// Returns whether a board is to be read now.
    pub fn is_due(&self) -> bool {
        let now = Monotonic::now();
        self.source.is_some() && self.due.iter().any(|due| now >= due.fast)
    }

    /// Reads the boards that are due, and stores their samples in the log.
    pub fn sample_what_is_due(&mut self) {
        let Some(source) = &mut self.source else { return };
        let (due, log, place) = (&mut self.due, &self.log, (self.first, self.boards));
        // The thread serves all sources: a library that panics loses only its own readings.
        let asked = catch_unwind(AssertUnwindSafe(|| {
            source.look_again();
            for (gpu, due) in due.iter_mut().enumerate() {
                sample(source.as_mut(), gpu, due, (log, place));
            }
        }));
        if asked.is_err() {
            tracing::error!("reading the GPUs' clocks and temperatures panicked; they are not read any more");
            self.source = None;
        }
    }
}

/// Reads one board if it is due.
fn sample(
    source: &mut dyn TelemetrySource,
    gpu: usize,
    due: &mut Due,
    (log, (first, boards)): (&SharedLog, (usize, f64)),
) {
    let now = Monotonic::now();
    if now < due.fast || source.trouble(gpu).lost.is_some() {
        return;
    }
    let before_sec = thread_cpu_sec();
    if now >= due.slow {
        let is_first = due.read == Slow::default();
        due.read = Slow {
            read_at: Some(now),
            ..source.slow(gpu)
        };
        let turn = if is_first { (first + gpu) as f64 / boards } else { 0.0 };
        due.slow = later(now, SLOW_SEC + turn);
    }
    let fast = source.fast(gpu);
    let spent_sec = thread_cpu_sec() - before_sec;
    due.fast = later(now, (spent_sec * boards / BUDGET).clamp(FAST_SEC, LONGEST_SEC));
    let at = Monotonic::now();
    let mut log = log.lock();
    let Some(history) = log.gpus.get_mut(first + gpu) else {
        return;
    };
    let trouble = source.trouble(gpu);
    history.note(trouble, at);
    if trouble.lost.is_none() {
        history.push(GpuSample {
            at,
            fast,
            slow: due.read.clone(),
        });
    }
}

/// Returns the CPU seconds of the calling thread, by which the cost of a reading is measured.
pub fn thread_cpu_sec() -> f64 {
    // Without this clock the cost is unknown, and the interval is the shortest.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0.0, |time| Duration::from(time).as_secs_f64())
}

/// Returns the time of the next reading, slightly early: a sweep that comes just before it would otherwise postpone it
/// to the next sweep.
fn later(now: Monotonic, sec: f64) -> Monotonic {
    const SLACK: f64 = 0.95;
    Monotonic(now.0 + (sec * SLACK * NANOSECONDS_PER_SECOND) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Fast, GpuId, TelemetryLog, Trouble};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Board {
        gpus: Vec<GpuId>,
        fast: Arc<AtomicU32>,
        slow: Arc<AtomicU32>,
        trouble: Trouble,
        behaviour: Behaviour,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Behaviour {
        Quick,
        /// Takes 5 ms of CPU time for each answer.
        Dear,
        Panics,
    }

    impl TelemetrySource for Board {
        fn gpus(&self) -> &[GpuId] {
            &self.gpus
        }

        fn fast(&mut self, _: usize) -> Fast {
            assert!(
                self.behaviour != Behaviour::Panics,
                "a board that panics, as this test wants"
            );
            let start_sec = thread_cpu_sec();
            while self.behaviour == Behaviour::Dear && thread_cpu_sec() < start_sec + 0.005 {}
            self.fast.fetch_add(1, Ordering::Relaxed);
            Fast::default()
        }

        fn slow(&mut self, _: usize) -> Slow {
            self.slow.fetch_add(1, Ordering::Relaxed);
            Slow {
                temperature_c: Some(40),
                ..Slow::default()
            }
        }

        fn trouble(&self, _: usize) -> &Trouble {
            &self.trouble
        }
    }

    fn pace(behaviour: Behaviour, lost: Option<String>) -> (TelemetryPace, SharedLog, [Arc<AtomicU32>; 2]) {
        let gpus = vec![GpuId {
            index: 0,
            uuid: "GPU-a".to_owned(),
        }];
        let calls = [Arc::default(), Arc::default()];
        let log = SharedLog::new(TelemetryLog::new(&gpus, 0.01, true));
        let trouble = Trouble {
            lost,
            refused: Vec::new(),
        };
        let [fast, slow] = calls.clone();
        let board = Board {
            gpus,
            fast,
            slow,
            trouble,
            behaviour,
        };
        (TelemetryPace::new(Box::new(board), log.clone(), 0), log, calls)
    }

    #[test]
    fn sweeps_faster_than_the_pace_ask_for_nothing_new() {
        let (mut pace, log, [fast, slow]) = pace(Behaviour::Quick, None);
        for _ in 0..100 {
            pace.sample_what_is_due();
        }
        assert_eq!((fast.load(Ordering::Relaxed), slow.load(Ordering::Relaxed)), (1, 1));
        std::thread::sleep(Duration::from_millis(220));
        pace.sample_what_is_due();
        assert_eq!((fast.load(Ordering::Relaxed), slow.load(Ordering::Relaxed)), (2, 1));
        assert_eq!(
            log.lock().gpus[0].last().unwrap().slow.temperature_c,
            Some(40),
            "carried over"
        );
    }

    #[test]
    fn a_library_that_is_slow_is_asked_less_often() {
        let (mut pace, _, [fast, _]) = pace(Behaviour::Dear, None);
        pace.sample_what_is_due();
        std::thread::sleep(Duration::from_millis(300));
        pace.sample_what_is_due();
        assert_eq!(fast.load(Ordering::Relaxed), 1, "5 ms are 0.06 % of 8 s");
        let wait_sec = pace.due[0].fast.sec_since(Monotonic::now());
        assert!(
            (1.0..2.0).contains(&wait_sec),
            "and yet not forgotten for longer than a sample holds: {wait_sec}"
        );
    }

    #[test]
    fn a_lost_board_is_not_asked() {
        let (mut pace, _, [fast, _]) = pace(Behaviour::Quick, Some("fell off the bus".to_owned()));
        pace.sample_what_is_due();
        assert_eq!(fast.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_source_that_panics_is_dropped_and_the_thread_goes_on() {
        let (mut pace, log, _) = pace(Behaviour::Panics, None);
        pace.sample_what_is_due();
        pace.sample_what_is_due();
        assert!(pace.source.is_none());
        assert!(log.lock().gpus[0].last().is_none());
    }
}
