//! Holds everything that the meter has read: a bounded series for each source, for the host's CPU time and for each
//! tracked process.
//!
//! Owns the set of series and the time up to which they are covered. Leaves filling them to `host_meter` (or to tests),
//! and windows to the callers.

use super::series::{Series, Span, Unknown};
use super::track::Track;
use crate::source::{PollError, SourceDescription, Value};
use joulemark_measurement::clock::Monotonic;

/// Seconds for which an ended process stays readable: its windows are read within seconds of its end.
const KEEP_ENDED_SEC: f64 = 7200.0;

/// The CPU time of one process.
#[derive(Debug)]
struct Process {
    pid: u32,
    cpu: Series,
    ended: bool,
}

/// Everything that was read: a bounded series of samples for each source, for the host's CPU time and for each tracked
/// process.
///
/// A [`HostMeter`](crate::HostMeter) fills its own. Simulations and tests fill one by hand.
#[derive(Debug)]
pub struct Timeline {
    tracks: Vec<Track>,
    host_cpu: Series,
    processes: Vec<Process>,
    last_sweep: Monotonic,
}

impl Process {
    /// Returns the CPU seconds used over `span`.
    fn growth(&self, span: Span) -> Result<f64, Unknown> {
        if self.ended {
            self.cpu.growth_until_the_end(span)
        } else {
            self.cpu.growth(span, 0.0).map(|growth| growth.total)
        }
    }

    /// Returns the time of the first reading.
    fn began(&self) -> Monotonic {
        self.cpu.first().map_or(Monotonic(0), |first| first.at)
    }
}

/// CPU seconds over a span.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuGrowth {
    /// Busy CPU seconds of the whole host.
    pub host_busy_sec: f64,
    /// CPU seconds of each process that was tracked from the span's start, by process id.
    pub processes: Vec<(u32, f64)>,
    /// CPU seconds of all processes together whose tracking began within the span.
    pub newcomers_sec: f64,
}

impl Timeline {
    /// Creates an empty timeline for these sources, which are sampled every `interval_sec` seconds.
    pub fn new(descriptions: Vec<SourceDescription>, interval_sec: f64) -> Self {
        let track = |description| Track::new(description, interval_sec);
        Self {
            tracks: descriptions.into_iter().map(track).collect(),
            host_cpu: Series::default(),
            processes: Vec::new(),
            last_sweep: Monotonic::now(),
        }
    }

    /// Returns what was read of each source.
    pub(crate) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Sets the maximum power in W that source number `source` declares. Readings far above it are left out.
    pub fn set_power_limit(&mut self, source: usize, limit_w: f64) {
        if let Some(track) = self.tracks.get_mut(source) {
            track.plausible.set_limit(limit_w);
        }
    }

    /// Records that every source was asked at `now`, whether it answered or not.
    pub fn note_sweep(&mut self, now: Monotonic) {
        self.last_sweep = now;
    }

    /// Returns the time when every source was last asked.
    pub fn last_sweep(&self) -> Monotonic {
        self.last_sweep
    }

    /// Returns the series of the whole host's busy CPU seconds.
    pub(crate) fn host_cpu(&self) -> &Series {
        &self.host_cpu
    }

    /// Stores what source number `source` answered. A reading for a window's edge (`edge`) is never thinned out.
    pub fn record(&mut self, source: usize, answer: Result<Value, PollError>, edge: bool) {
        let Some(track) = self.tracks.get_mut(source) else {
            return;
        };
        match answer {
            Ok(value) => track.record(value, edge),
            Err(error) => track.record_failure(error),
        }
    }

    /// Stores the host's busy CPU seconds since boot, read at `at`.
    pub fn record_host_cpu(&mut self, at: Monotonic, busy_sec: f64, edge: bool) {
        self.host_cpu.push_total(at, busy_sec, edge);
    }

    /// Begins a series of CPU time for process `pid`. The series of an earlier process with the same id stays readable.
    pub fn track(&mut self, pid: u32, at: Monotonic, cpu_sec: f64) {
        self.untrack(pid);
        self.processes.retain(|process| {
            !process.ended
                || process
                    .cpu
                    .last()
                    .is_some_and(|last| at.sec_since(last.at) < KEEP_ENDED_SEC)
        });
        let mut cpu = Series::default();
        cpu.push_total(at, cpu_sec, true);
        self.processes.push(Process { pid, cpu, ended: false });
    }

    /// Ends the series of a process that has ended or need not be tracked any more. What was read stays readable.
    pub fn untrack(&mut self, pid: u32) {
        for process in self.processes.iter_mut().filter(|process| process.pid == pid) {
            process.ended = true;
        }
    }

    /// Returns the ids of the tracked processes.
    pub fn tracked(&self) -> Vec<u32> {
        self.processes
            .iter()
            .filter(|process| !process.ended)
            .map(|process| process.pid)
            .collect()
    }

    /// Stores the CPU seconds that a tracked process has used so far, read at `at`.
    pub fn record_process_cpu(&mut self, pid: u32, at: Monotonic, cpu_sec: f64, edge: bool) {
        if let Some(process) = self
            .processes
            .iter_mut()
            .rev()
            .find(|process| process.pid == pid && !process.ended)
        {
            process.cpu.push_total(at, cpu_sec, edge);
        }
    }

    /// Returns the seconds after a window's end until readings of every source show the power up to that end.
    pub fn settle_sec(&self) -> f64 {
        let answering = self.tracks.iter().filter(|track| track.last_error.is_none());
        answering.map(Track::settle_sec).fold(0.0, f64::max)
    }

    /// Returns whether every series that is still read has a sample at or after `at`. A source whose last reading
    /// failed for a moment counts as one that is read.
    pub fn is_covered_until(&self, at: Monotonic) -> bool {
        let reaches = |series: &Series| series.last().is_none_or(|last| last.at >= at);
        let is_there = |track: &Track| track.is_away() || reaches(track.chosen());
        let has_ended = |process: &Process| process.ended || reaches(&process.cpu);
        self.tracks.iter().all(is_there) && self.processes.iter().all(has_ended) && reaches(&self.host_cpu)
    }

    /// Returns the CPU time over `span`, interpolated at its edges like a counter.
    ///
    /// # Errors
    /// Returns [`Unknown`] when the host's CPU time over the span is unknown.
    pub(crate) fn cpu_growth(&self, span: Span) -> Result<CpuGrowth, Unknown> {
        let host_busy_sec = self.host_cpu.growth(span, 0.0)?.total;
        let mut growth = CpuGrowth {
            host_busy_sec,
            processes: Vec::new(),
            newcomers_sec: 0.0,
        };
        for process in &self.processes {
            match process.growth(span) {
                Ok(sec) => growth.processes.push((process.pid, sec)),
                Err(Unknown::BeganLate(late_sec)) if late_sec < span.sec() => {
                    let since_then = Span {
                        start: process.began(),
                        ..span
                    };
                    growth.newcomers_sec += process.growth(since_then).unwrap_or(0.0);
                }
                // Tracking began after the span, or there is no reading in it.
                Err(_) => {}
            }
        }
        Ok(growth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimation::track::Tally;
    use crate::fixtures;
    use crate::source::Wraps;

    fn sec(sec: f64) -> Monotonic {
        Monotonic::from_sec(sec)
    }

    fn span(start: f64, end: f64) -> Span {
        Span {
            start: sec(start),
            end: sec(end),
        }
    }

    fn package(wraps: Option<Wraps>) -> Timeline {
        Timeline::new(vec![fixtures::package(wraps)], 0.1)
    }

    fn counter(at: f64, joules: f64) -> Result<Value, PollError> {
        Ok(Value {
            at: sec(at),
            counter_j: Some(joules),
            power_w: None,
        })
    }

    #[test]
    fn a_read_that_failed_for_a_moment_does_not_cover_a_window_and_a_device_that_is_gone_does() {
        let mut timeline = package(None);
        timeline.record(0, counter(1.0, 10.0), true);
        timeline.record(0, Err(PollError::Retry("caught empty".to_owned())), true);
        assert!(!timeline.is_covered_until(sec(2.0)));
        timeline.record(0, Err(PollError::Gone("unloaded".to_owned())), true);
        assert!(timeline.is_covered_until(sec(2.0)), "nothing is to be waited for");
    }

    #[test]
    fn a_gap_that_could_hide_a_wrap_voids_the_interval() {
        let mut timeline = package(Some(Wraps {
            range_j: 100.0,
            highest_power_w: 250.0,
        }));
        for i in 0..10 {
            let at = f64::from(i) * 0.04;
            timeline.record(0, counter(at, 100.0 * at), false);
        }
        timeline.record(0, counter(0.75, 75.0), false);
        assert!(
            timeline.tracks()[0].counter.growth(span(0.1, 0.7), 0.0).is_ok(),
            "0.39 s at 250 W cannot wrap 100 J"
        );
        timeline.record(0, counter(1.16, 96.0), false);
        assert!(matches!(
            timeline.tracks()[0].counter.growth(span(0.1, 1.1), 0.0),
            Err(Unknown::Broken(_))
        ));
    }

    #[test]
    fn a_bound_without_a_declared_limit_follows_what_was_seen() {
        let wraps = Some(Wraps {
            range_j: 100.0,
            highest_power_w: 2000.0,
        });
        let after = |watts: f64, gap: f64| {
            let mut timeline = package(wraps);
            for i in 0..10 {
                let at = f64::from(i) * 0.04;
                timeline.record(0, counter(at, watts * at), false);
            }
            timeline.record(0, counter(0.36 + gap, watts * (0.36 + gap)), false);
            timeline.tracks()[0].counter.growth(span(0.1, 0.36 + gap), 0.0).is_ok()
        };
        assert!(after(20.0, 0.19), "500 W for 0.19 s cannot wrap 100 J");
        assert!(!after(20.0, 0.21));
        assert!(!after(300.0, 0.1), "four times the 300 W seen could");
    }

    #[test]
    fn a_source_that_was_gone_does_not_connect_with_what_it_was() {
        let mut timeline = package(None);
        timeline.record(0, counter(0.0, 0.0), false);
        timeline.record(0, Err(PollError::Gone("the driver was reloaded".to_owned())), false);
        timeline.record(0, counter(1.0, 50.0), false);
        let growth = timeline.tracks()[0].counter.growth(span(0.0, 1.0), 0.0);
        assert!(matches!(growth, Err(Unknown::Broken(why)) if why.contains("reloaded")));
    }

    #[test]
    fn the_tally_of_a_source_never_falls_and_leaves_out_what_is_unknown() {
        let mut timeline = package(None);
        timeline.record(0, counter(0.0, 100.0), false);
        timeline.record(0, counter(1.0, 130.0), false);
        timeline.record(0, Err(PollError::Retry("busy".to_owned())), false);
        timeline.record(0, counter(2.0, 5.0), false);
        timeline.record(0, counter(3.0, 12.0), false);
        let expected = Tally {
            energy_j: 37.0,
            answers: 4,
            failures: 1,
        };
        assert_eq!(timeline.tracks()[0].tally, expected);
    }

    #[test]
    fn a_process_that_took_an_old_number_is_not_confused_with_the_first() {
        let mut timeline = package(None);
        timeline.record_host_cpu(sec(0.0), 0.0, false);
        timeline.record_host_cpu(sec(20.0), 40.0, false);
        timeline.track(7, sec(0.0), 0.0);
        timeline.record_process_cpu(7, sec(4.0), 3.0, false);
        timeline.untrack(7);
        timeline.track(7, sec(10.0), 0.5);
        timeline.record_process_cpu(7, sec(20.0), 5.5, false);
        let growth = timeline.cpu_growth(span(0.0, 8.0)).expect("a growth");
        assert_eq!(growth.processes, [(7, 3.0)]);
        let growth = timeline.cpu_growth(span(10.0, 20.0)).expect("a growth");
        assert_eq!(growth.processes, [(7, 0.0), (7, 5.0)]);
    }

    #[test]
    fn a_live_process_that_is_not_covered_is_left_out_rather_than_cut_short() {
        let mut timeline = package(None);
        timeline.record_host_cpu(sec(0.0), 0.0, false);
        timeline.record_host_cpu(sec(20.0), 40.0, false);
        timeline.track(7, sec(5.0), 0.0);
        timeline.record_process_cpu(7, sec(12.0), 3.0, false);
        assert!(
            timeline
                .cpu_growth(span(0.0, 10.0))
                .expect("a growth")
                .processes
                .is_empty()
        );
        assert!(
            timeline
                .cpu_growth(span(6.0, 20.0))
                .expect("a growth")
                .processes
                .is_empty()
        );
    }

    #[test]
    fn live_power_is_unknown_while_a_source_fails() {
        let mut timeline = package(None);
        timeline.record(0, counter(0.0, 0.0), false);
        timeline.record(0, counter(1.0, 50.0), false);
        assert_eq!(timeline.tracks()[0].live_power_w(), Some(50.0));
        timeline.record(0, Err(PollError::Retry("no".to_owned())), false);
        assert_eq!(timeline.tracks()[0].live_power_w(), None);
    }
}
