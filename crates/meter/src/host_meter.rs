//! The one meter of a host: a thread that samples every source into the timeline, and a handle to read it.
//!
//! Owns the thread, its pace and what a failing source costs (its own readings, nobody else's). Deliberately does not
//! know what a window is for. Sampling once for all makes double counting impossible by construction.

mod beat;
mod cpu_times;
mod crew;
pub mod health;
mod lock;
pub mod measure;
mod punctuality;
mod sampler;
mod slices;
mod surroundings;
mod telemetry;
mod unit;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use cpu_times::CpuTimes;
use crew::Crew;
use lock::lock;
use punctuality::Punctuality;

use super::account::{account, account_host_and_its_gpus};
use super::cpu_time::{CgroupCpuClock, CpuTimeError, HostCpuClock};
use super::discovery::Opened;
use super::estimation::series::Span;
use super::estimation::timeline::Timeline;
use super::estimation::track::Track;
use super::process_tree::ProcessTree;
use super::source::{BoardOfSlice, Devices, Finding, Place};
use super::telemetry::SharedLog;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMetrics, Window};

/// A sweep takes milliseconds, also where a driver hangs: longer means that the meter's thread is gone.
const EDGE_PATIENCE: Duration = Duration::from_secs(5);

/// A source that is read alone may take seconds to show a window's end; it is waited for that long.
const SLOW_PATIENCE: Duration = Duration::from_secs(2);
const SLOW_LOOK: Duration = Duration::from_millis(10);

/// A source that fails for a moment at a window's end is asked again this often.
const CATCH_UP_EDGES: u32 = 3;

/// A handle to the one meter of a host, whose thread samples every source into a timeline.
///
/// Cloning is cheap. When the last handle is dropped the thread ends and is joined. One meter serves any number of
/// windows, which may overlap.
#[derive(Clone)]
pub struct HostMeter(Arc<Inner>);

struct Inner {
    timeline: Arc<Mutex<Timeline>>,
    telemetry: SharedLog,
    punctuality: Punctuality,
    devices: Devices,
    /// Logical CPUs of the whole host, whose busy time is read.
    host_cpus: u32,
    /// What tells the boards that MIG slices are cut from, one for each source of GPUs.
    boards_of_slices: Vec<BoardOfSlice>,
    /// How many callers attend to it.
    attending: Arc<AtomicUsize>,
    edges: Option<Sender<Sender<()>>>,
    crew: Arc<Crew>,
    watcher: Option<JoinHandle<()>>,
}

/// A guard that has boards without an energy counter polled at each refresh of their sensor, until it is dropped.
pub struct Attention(Arc<AtomicUsize>);

impl Drop for Attention {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HostMeter {
    /// Starts the meter's thread and returns once every source was read for the first time, so that no window begins
    /// before the first sample.
    ///
    /// ```
    /// use joulemark_meter::{EnergyOptions, HostMeter, open};
    ///
    /// let meter = HostMeter::start(open(&EnergyOptions::default()))?;
    /// assert!(meter.health().is_alive);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error when the operating system starts no thread.
    pub fn start(opened: Opened) -> io::Result<Self> {
        let Opened {
            sources,
            devices,
            host_cpu_clock,
            sample_interval,
        } = opened;
        let descriptions: Vec<_> = sources.iter().flat_map(|source| source.sources().to_vec()).collect();
        let interval = sampler::pace(sample_interval, &descriptions);
        let mut timeline = Timeline::new(descriptions, interval.as_secs_f64());
        let limits = sources.iter().flat_map(|source| {
            let indices = 0..source.sources().len();
            indices.map(|index| source.power_limit_w(index))
        });
        for (track, limit_w) in limits.enumerate() {
            if let Some(limit_w) = limit_w {
                timeline.set_power_limit(track, limit_w);
            }
        }
        let timeline = Arc::new(Mutex::new(timeline));
        let boards_of_slices = sources.iter().filter_map(|source| source.board_of_slice()).collect();
        let timed_cpus = host_cpu_clock.as_ref().and_then(HostCpuClock::cpus).unwrap_or(0);
        let host_cpus = devices.cpu.logical_cpus.max(timed_cpus);
        let (edges, requests) = mpsc::channel();
        let (telemetry, units) = telemetry::open(sources, interval);
        let punctuality = Punctuality::default();
        let attending = Arc::new(AtomicUsize::new(0));
        let crew = Crew::new(
            units,
            Arc::clone(&timeline),
            (CpuTimes::new(host_cpu_clock), interval),
            (punctuality.clone(), Arc::clone(&attending)),
            requests,
            sampler::read_together,
        );
        let watcher = crew.start()?;
        let meter = Self(Arc::new(Inner {
            timeline,
            telemetry,
            punctuality,
            devices,
            host_cpus,
            boards_of_slices,
            attending,
            edges: Some(edges),
            crew,
            watcher: Some(watcher),
        }));
        meter.edge();
        Ok(meter)
    }

    /// Reads every source now, beside the regular samples, and returns the moment at which that was done: an edge of a
    /// window, with samples right before it.
    ///
    /// Blocks for one sweep, typically below 10 ms: from an async runtime call it on a thread that may block.
    ///
    /// ```
    /// use joulemark_meter::{EnergyOptions, HostMeter, open};
    ///
    /// let meter = HostMeter::start(open(&EnergyOptions::default()))?;
    /// let start = meter.edge();
    /// std::thread::sleep(std::time::Duration::from_millis(20));
    /// let end = meter.edge();
    /// assert!(end.sec_since(start) >= 0.02);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn edge(&self) -> Monotonic {
        let (done, wait) = mpsc::channel();
        let asked = self.0.edges.as_ref().is_some_and(|edges| edges.send(done).is_ok());
        if !asked || wait.recv_timeout(EDGE_PATIENCE).is_err() {
            tracing::error!("the energy meter's thread does not answer; windows from now on may have no energy");
        }
        Monotonic::now()
    }

    /// Returns a guard to hold from before a window begins until it was read: boards without an energy counter are then
    /// polled more often, which makes their energy less uncertain.
    #[must_use = "attention ends when it is dropped"]
    pub fn attend(&self) -> Attention {
        self.0.attending.fetch_add(1, Ordering::Relaxed);
        Attention(Arc::clone(&self.0.attending))
    }

    /// Follows the CPU time of a process and of all that it starts from now on; call it right after the spawn.
    ///
    /// # Errors
    /// Returns an error when there is no such process, or its CPU time cannot be read.
    pub fn track(&self, pid: u32) -> Result<(), CpuTimeError> {
        let cpu_sec = tree_cpu_sec(pid)?;
        lock(&self.0.timeline).track(pid, Monotonic::now(), cpu_sec);
        Ok(())
    }

    /// Follows the CPU time of a cgroup, such as a systemd unit's, under the number `pid`: of all that runs in it, seen or not,
    /// and of what has ended since.
    ///
    /// # Errors
    /// Returns an error when the group is gone.
    pub fn track_group(&self, pid: u32, group: CgroupCpuClock) -> Result<(), CpuTimeError> {
        let cpu_sec = group.used_sec()?;
        // The sweep's order of locks: it forgets groups that the timeline does not know.
        let mut cpu_times = self.cpu_times();
        lock(&self.0.timeline).track(pid, Monotonic::now(), cpu_sec);
        cpu_times.follow_group(pid, group);
        Ok(())
    }

    /// Lists a followed process and what it has started, as far as it lives: who may be met on its GPUs. Empty for a group.
    pub fn family(&self, pid: u32) -> Vec<u32> {
        self.cpu_times().family(pid)
    }

    fn cpu_times(&self) -> MutexGuard<'_, CpuTimes> {
        self.0.crew.cpu_times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a process, as [`track`](Self::track) does, that was not there yet at `before`: a window that begins then
    /// knows all its CPU time.
    ///
    /// # Errors
    /// Returns an error when there is no such process, or its CPU time cannot be read.
    pub fn track_from_its_start(&self, pid: u32, before: Monotonic) -> Result<(), CpuTimeError> {
        let cpu_sec = tree_cpu_sec(pid)?;
        let mut timeline = lock(&self.0.timeline);
        timeline.track(pid, before, 0.0);
        timeline.record_process_cpu(pid, Monotonic::now(), cpu_sec, true);
        Ok(())
    }

    /// Stops following a process; its windows stay readable.
    pub fn untrack(&self, pid: u32) {
        lock(&self.0.timeline).untrack(pid);
    }

    /// Returns when every source was asked last, the start included: a thread that hangs in one of them falls behind.
    pub fn last_sweep(&self) -> Monotonic {
        lock(&self.0.timeline).last_sweep()
    }

    /// Waits until what was drawn up to now has been shown, so that reading windows that have ended does not wait.
    pub fn settle(&self) {
        let now = Monotonic::now().as_sec();
        self.catch_up(&Window {
            start_monotonic_sec: now,
            end_monotonic_sec: now,
        });
    }

    /// Returns the energy over `window` of exactly these GPUs, and the share of these processes in the host's, as
    /// [`account`](crate::account()) does. The processes have to be followed since before the window: see
    /// [`track`](Self::track).
    ///
    /// Takes an edge of its own when the window is newer than the last sample, and waits for the refresh that shows its
    /// end: up to 0.2 s for a GPU's counter, 0.5 s for power averaged over 1 s.
    pub fn read(&self, window: &Window, gpu_uuids: &[String], pids: &[u32]) -> EnergyMetrics {
        self.catch_up(window);
        account(&lock(&self.0.timeline), &self.0.devices, window, gpu_uuids, pids)
    }

    /// Returns the energy over `window` of the whole host with all its GPUs, whoever caused it. Waits as
    /// [`read`](Self::read) does.
    ///
    /// ```
    /// use joulemark_meter::{EnergyOptions, HostMeter, Window, open};
    ///
    /// let meter = HostMeter::start(open(&EnergyOptions::default()))?;
    /// let start = meter.edge();
    /// std::thread::sleep(std::time::Duration::from_millis(50));
    /// let end = meter.edge();
    /// let window = Window { start_monotonic_sec: start.as_sec(), end_monotonic_sec: end.as_sec() };
    /// for source in meter.read_host(&window).sources {
    ///     match (source.energy_j, source.uncertainty_j) {
    ///         (Some(energy_j), Some(off_j)) => println!("{energy_j:.3} J ± {off_j:.3} J, {:?}", source.confidence),
    ///         _ => println!("unknown: {}", source.note.unwrap_or_default()),
    ///     }
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_host(&self, window: &Window) -> EnergyMetrics {
        self.catch_up(window);
        account_host_and_its_gpus(&lock(&self.0.timeline), &self.0.devices, window)
    }

    /// Returns the host's devices, which source each has, and its power just now.
    pub fn devices(&self) -> Devices {
        let mut devices = self.0.devices.clone();
        let timeline = lock(&self.0.timeline);
        for gpu in &mut devices.gpus {
            let is_its = |place: &Place| matches!(place, Place::Gpu { uuid, .. } if *uuid == gpu.uuid);
            let track = timeline
                .tracks()
                .iter()
                .find(|track| is_its(&track.description.id.place));
            if let Some(track) = track {
                gpu.live_power_w = track.live_power_w();
                let error = track.last_error.as_ref().map(ToString::to_string);
                gpu.problem = error.or_else(|| track.is_dead().then(|| STANDS_STILL.to_owned()));
            }
        }
        let packages: Vec<Option<f64>> = timeline
            .tracks()
            .iter()
            .filter(|track| track.description.id.domain == EnergyDomain::Package && !track.is_repeat())
            .map(Track::live_power_w)
            .collect();
        tell_of_problems(&timeline, &mut devices.findings);
        tell_of_standstill(&timeline, &mut devices.findings);
        devices.cpu.live_power_w = if packages.is_empty() {
            None
        } else {
            packages.into_iter().sum()
        };
        devices
    }

    /// Returns why each source that answered once does not answer now; what only repeats another one is no problem.
    pub fn problems(&self) -> Vec<String> {
        let timeline = lock(&self.0.timeline);
        let failing = timeline.tracks().iter().filter(|track| !track.is_repeat());
        let problem = |track: &Track| {
            let error = track.last_error.as_ref()?.to_string();
            let subject = track.description.subject();
            Some(match error.contains(&subject) {
                true => error,
                false => format!("{subject}: {error}"),
            })
        };
        failing.filter_map(problem).collect()
    }

    /// Lets the sources show what they drew up to the window's end: the refresh after it, or the end of an average.
    fn catch_up(&self, window: &Window) {
        let end = Span::from(window).end;
        let now = Monotonic::now();
        // A window that ends in the future cannot be caught up with: its energy stays unknown.
        if end > now {
            return;
        }
        let settled = self.settled(end);
        self.read_until(settled);
        // Those readings may have been the first to tell that a counter is late.
        let later = self.settled(end);
        if later > settled {
            self.read_until(later);
        }
    }

    /// Waits until every source was read at `settled` or after.
    fn read_until(&self, settled: Monotonic) {
        for _ in 0..CATCH_UP_EDGES {
            if lock(&self.0.timeline).is_covered_until(settled) {
                return;
            }
            self.edge();
        }
        // Whoever is read alone is not waited for by an edge.
        for _ in 0..SLOW_PATIENCE.as_millis() / SLOW_LOOK.as_millis() {
            if lock(&self.0.timeline).is_covered_until(settled) {
                return;
            }
            std::thread::sleep(SLOW_LOOK);
        }
    }

    /// Waits until the readings tell all of a window's end that they will, and returns when that was. A counter that is late
    /// is waited for longer, until it moves.
    fn settled(&self, end: Monotonic) -> Monotonic {
        loop {
            let settled = Monotonic::from_sec(end.as_sec() + lock(&self.0.timeline).settle_sec());
            let now = Monotonic::now();
            if settled <= now {
                return settled;
            }
            std::thread::sleep(Duration::from_nanos(settled.0 - now.0).min(SLOW_LOOK));
        }
    }
}

/// What ceased to answer, or turned out to repeat another source, only after it was opened stands in the findings as what
/// is known now.
fn tell_of_problems(timeline: &Timeline, findings: &mut [Finding]) {
    for track in timeline.tracks() {
        let (Some(error), subject) = (&track.last_error, track.description.subject()) else {
            continue;
        };
        if let Some(finding) = findings.iter_mut().find(|finding| finding.subject == subject) {
            finding.works = false;
            finding.detail = error.to_string();
        }
    }
}

/// Said of a counter that can be read and shows nothing.
const STANDS_STILL: &str = "the counter stands still, and no device that runs draws nothing: its energy is null";

/// A counter that stands still, though its device draws something, reads like one that works.
fn tell_of_standstill(timeline: &Timeline, findings: &mut [Finding]) {
    for track in timeline.tracks().iter().filter(|track| track.is_dead()) {
        let subject = track.description.subject();
        if let Some(finding) = findings.iter_mut().find(|finding| finding.subject == subject) {
            finding.detail.push_str("; but ");
            finding.detail.push_str(STANDS_STILL);
        }
    }
}

/// Returns the CPU seconds of a process and of what it has started so far.
fn tree_cpu_sec(pid: u32) -> Result<f64, CpuTimeError> {
    let mut tree = ProcessTree::new(pid)?;
    tree.look_for_descendants();
    tree.cpu_sec()
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without a sender the reading thread's receive ends, and with it the thread.
        self.edges = None;
        if let Some(watcher) = self.watcher.take() {
            self.crew.end(watcher);
        }
    }
}

#[cfg(test)]
mod tests;
