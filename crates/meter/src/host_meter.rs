//! Runs the one meter of a host: a thread that samples every source into the timeline, and a handle to read windows
//! from it.
//!
//! Owns the thread and its pace. A source that fails loses only its own readings. Does not know what a window is for.
//! Every source is sampled once for all windows, so that nothing is counted twice.

mod cpu_times;
pub mod health;
mod lock;
pub mod measure;
mod periodic;
mod reader_pool;
mod sampler;
mod slices;
mod surroundings;
mod sweep_counts;
mod telemetry;
mod unit;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use cpu_times::CpuTimes;
use lock::lock;
use reader_pool::ReaderPool;
use sweep_counts::SweepCounts;

use super::account::{account, account_host_and_its_gpus};
use super::cpu_time::{CgroupCpuClock, CpuTimeError, HostCpuClock};
use super::discovery::FoundSources;
use super::estimation::series::Span;
use super::estimation::timeline::Timeline;
use super::estimation::track::Track;
use super::process_tree::ProcessTree;
use super::source::{BoardOfSlice, Devices, Finding, Place};
use super::telemetry::SharedLog;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMetrics, Window};

/// Maximum wait for a sweep at an edge. A sweep takes milliseconds, also when a driver hangs; after this time the
/// meter's thread has ended.
const EDGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum wait until a source that is read alone has shown a window's end.
const SLOW_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval at which a wait is checked.
const SLOW_CHECK: Duration = Duration::from_millis(10);

/// Maximum number of sweeps that retry a source which failed at a window's end.
const CATCH_UP_EDGES: u32 = 3;

/// A handle to the meter of a host, whose threads sample every source into a timeline.
///
/// One meter serves any number of windows, which may overlap and lie up to two hours back. Clones share the meter and
/// can be used on any thread. A second meter, in the same process or another one, works too and reads each counter once
/// more.
///
/// The meter has a thread that reads, one that watches it, and one more for each source whose driver is slow or hangs.
/// They end when the last handle is dropped. The drop blocks until they have ended, for at most 0.3 s: a thread in a
/// driver call that hangs is left to the end of the process.
#[derive(Clone)]
pub struct HostMeter(Arc<Inner>);

struct Inner {
    timeline: Arc<Mutex<Timeline>>,
    telemetry: SharedLog,
    sweep_counts: SweepCounts,
    devices: Devices,
    /// Number of logical CPUs of the whole host, whose busy time is read.
    host_cpus: u32,
    /// Functions that return the board of a MIG slice, one for each source of GPUs.
    boards_of_slices: Vec<BoardOfSlice>,
    /// Number of callers that hold a [`FastPolling`].
    fast_pollers: Arc<AtomicUsize>,
    edges: Option<Sender<Sender<()>>>,
    pool: Arc<ReaderPool>,
    watcher: Option<JoinHandle<()>>,
}

/// A guard. While you hold it, GPUs without an energy counter are polled at each refresh of their sensor.
pub struct FastPolling(Arc<AtomicUsize>);

impl Drop for FastPolling {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HostMeter {
    /// Starts the meter's threads. Returns once the sources were read for the first time, so that no window begins
    /// before their first sample. It does not wait for a source whose driver hangs: such a source is read on a thread
    /// of its own, and its energy is `None` for windows that begin before its first sample.
    ///
    /// # Examples
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
    /// Returns an error when the operating system cannot start a thread.
    pub fn start(opened: FoundSources) -> io::Result<Self> {
        let FoundSources {
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
        let sweep_counts = SweepCounts::default();
        let fast_pollers = Arc::new(AtomicUsize::new(0));
        let pool = ReaderPool::new(
            units,
            Arc::clone(&timeline),
            (CpuTimes::new(host_cpu_clock), interval),
            (sweep_counts.clone(), Arc::clone(&fast_pollers)),
            requests,
            sampler::read_together,
        );
        let watcher = pool.start()?;
        let meter = Self(Arc::new(Inner {
            timeline,
            telemetry,
            sweep_counts,
            devices,
            host_cpus,
            boards_of_slices,
            fast_pollers,
            edges: Some(edges),
            pool,
            watcher: Some(watcher),
        }));
        meter.edge();
        Ok(meter)
    }

    /// Reads every source now, in addition to the regular samples, and returns the time right after that: the start or
    /// the end of a window.
    ///
    /// Blocks for one sweep: typically less than 10 ms, and about 25 ms at the first edge while the refresh period of
    /// RAPL is learnt. When the meter's thread does not answer within 5 s, it logs an error through `tracing` and
    /// returns the time without samples; the energy of windows from then on may be `None`. In an async runtime, call it
    /// on a thread that may block.
    ///
    /// # Examples
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
        if !asked || wait.recv_timeout(EDGE_TIMEOUT).is_err() {
            tracing::error!("the energy meter's thread does not answer; windows from now on may have no energy");
        }
        Monotonic::now()
    }

    /// Returns a guard. While you hold it, GPUs without an energy counter are polled more often, which reduces the
    /// uncertainty of their energy. Take it 0.5 s before the window; drop it after [`read`](Self::read). Other sources
    /// are not affected. [`measure`](Self::measure) does this itself.
    #[must_use = "GPUs are polled more often only until the guard is dropped"]
    pub fn poll_faster(&self) -> FastPolling {
        self.0.fast_pollers.fetch_add(1, Ordering::Relaxed);
        FastPolling(Arc::clone(&self.0.fast_pollers))
    }

    /// Tracks the CPU time of process `pid`, of its present descendants, and of everything that they start from now on.
    ///
    /// A window has a share for this process only if it begins after this call. Call it right after the spawn, or use
    /// [`track_from_its_start`](Self::track_from_its_start). Several processes can be tracked at the same time. A
    /// descendant of a tracked process must not be tracked itself: its CPU time would count twice. Tracking ends when
    /// the process ends.
    ///
    /// # Errors
    /// Returns an error when there is no such process, or when its CPU time cannot be read.
    pub fn track(&self, pid: u32) -> Result<(), CpuTimeError> {
        let cpu_sec = tree_cpu_sec(pid)?;
        lock(&self.0.timeline).track(pid, Monotonic::now(), cpu_sec);
        Ok(())
    }

    /// Tracks the CPU time of a cgroup, such as a systemd unit's, under the number `pid`. It covers everything that
    /// runs in the cgroup or has ended in it.
    ///
    /// # Errors
    /// Returns an error when the cgroup was removed.
    pub fn track_cgroup(&self, pid: u32, group: CgroupCpuClock) -> Result<(), CpuTimeError> {
        let cpu_sec = group.used_sec()?;
        // The same lock order as in a sweep, which forgets cgroups that the timeline does not track.
        let mut cpu_times = self.cpu_times();
        lock(&self.0.timeline).track(pid, Monotonic::now(), cpu_sec);
        cpu_times.track_cgroup(pid, group);
        Ok(())
    }

    /// Returns the ids of a tracked process and of its living descendants. Empty for a process that is not tracked, and
    /// for a cgroup.
    pub fn process_tree(&self, pid: u32) -> Vec<u32> {
        self.cpu_times().process_tree(pid)
    }

    /// Locks the clocks of CPU time.
    fn cpu_times(&self) -> MutexGuard<'_, CpuTimes> {
        self.0.pool.cpu_times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tracks a process as [`track`](Self::track) does, when it did not exist yet at `before`. A window that begins at
    /// `before` or later then covers all its CPU time.
    ///
    /// # Errors
    /// Returns an error when there is no such process, or when its CPU time cannot be read.
    pub fn track_from_its_start(&self, pid: u32, before: Monotonic) -> Result<(), CpuTimeError> {
        let cpu_sec = tree_cpu_sec(pid)?;
        let mut timeline = lock(&self.0.timeline);
        timeline.track(pid, before, 0.0);
        timeline.record_process_cpu(pid, Monotonic::now(), cpu_sec, true);
        Ok(())
    }

    /// Stops tracking process `pid`. Its past windows stay readable.
    pub fn untrack(&self, pid: u32) {
        lock(&self.0.timeline).untrack(pid);
    }

    /// Returns the time when every source was last asked. It falls behind when the meter's thread is blocked.
    pub fn last_sweep(&self) -> Monotonic {
        lock(&self.0.timeline).last_sweep()
    }

    /// Waits until the sources have shown the energy used up to now. Reading a window that has ended by then does not
    /// wait. Call it once before reading many windows that have ended. For a single window [`read`](Self::read) and
    /// [`read_host`](Self::read_host) wait themselves.
    pub fn settle(&self) {
        let now = Monotonic::now().as_sec();
        self.catch_up(&Window {
            start_monotonic_sec: now,
            end_monotonic_sec: now,
        });
    }

    /// Returns the energy over `window` of the given GPUs, and the given processes' share of the host's energy, as
    /// [`account`](crate::account()) does. The processes must have been tracked since before the window, see
    /// [`track`](Self::track).
    ///
    /// Takes an edge when the window is newer than the last sample, and blocks until the readings show the window's
    /// end: 0.2 s after it for a GPU's counter, 0.7 s for power averaged over 1 s, 1.2 s for a counter that is late. A
    /// window that is empty, inverted or ends in the future has no energy, and one in the future is not waited for.
    pub fn read(&self, window: &Window, gpu_uuids: &[String], pids: &[u32]) -> EnergyMetrics {
        self.catch_up(window);
        account(&lock(&self.0.timeline), &self.0.devices, window, gpu_uuids, pids)
    }

    /// Returns the energy over `window` of the whole host with all its GPUs, whichever process caused it. Waits as
    /// [`read`](Self::read) does. `cpu_energy_j` and `dram_energy_j` are those of the host; `cpu_time_share` is `None`.
    ///
    /// # Examples
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
    ///         (Some(energy_j), Some(half_width_j)) => {
    ///             println!("{energy_j:.3} J ± {half_width_j:.3} J, {:?}", source.confidence);
    ///         }
    ///         _ => println!("unknown: {}", source.note.unwrap_or_default()),
    ///     }
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_host(&self, window: &Window) -> EnergyMetrics {
        self.catch_up(window);
        account_host_and_its_gpus(&lock(&self.0.timeline), &self.0.devices, window)
    }

    /// Returns the host's devices with the interface and the present power of each, as last sampled, and the findings.
    /// Reads no source.
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
        update_problems(&timeline, &mut devices.findings);
        add_standstills(&timeline, &mut devices.findings);
        devices.cpu.live_power_w = if packages.is_empty() {
            None
        } else {
            packages.into_iter().sum()
        };
        devices
    }

    /// Returns the reason for each source that failed when it was last read. Sources that repeat another one are not
    /// included.
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

    /// Waits until the sources have shown the energy up to the window's end: the refresh after it, or the end of an
    /// average.
    fn catch_up(&self, window: &Window) {
        let end = Span::from(window).end;
        let now = Monotonic::now();
        // A window that ends in the future stays unknown.
        if end > now {
            return;
        }
        let settled = self.settled(end);
        self.read_until(settled);
        // These readings may be the first to show that a counter is late.
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
        // An edge does not wait for sources that are read alone.
        for _ in 0..SLOW_TIMEOUT.as_millis() / SLOW_CHECK.as_millis() {
            if lock(&self.0.timeline).is_covered_until(settled) {
                return;
            }
            std::thread::sleep(SLOW_CHECK);
        }
    }

    /// Waits until readings can show all of a window up to its end, and returns the time at which that is so. The wait
    /// is longer for a counter that is late, until it moves.
    fn settled(&self, end: Monotonic) -> Monotonic {
        loop {
            let settled = Monotonic::from_sec(end.as_sec() + lock(&self.0.timeline).settle_sec());
            let now = Monotonic::now();
            if settled <= now {
                return settled;
            }
            std::thread::sleep(Duration::from_nanos(settled.0 - now.0).min(SLOW_CHECK));
        }
    }
}

/// Updates the findings of sources that have failed, or were found to repeat another source, since they were opened.
fn update_problems(timeline: &Timeline, findings: &mut [Finding]) {
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

/// Text of a finding for a counter that can be read and does not move.
const STANDS_STILL: &str = "the counter stands still, and a running device always draws power: its energy is unknown";

/// Adds to the findings that a counter stands still although its device draws power. It reads like a counter that
/// works.
fn add_standstills(timeline: &Timeline, findings: &mut [Finding]) {
    for track in timeline.tracks().iter().filter(|track| track.is_dead()) {
        let subject = track.description.subject();
        if let Some(finding) = findings.iter_mut().find(|finding| finding.subject == subject) {
            finding.detail.push_str("; but ");
            finding.detail.push_str(STANDS_STILL);
        }
    }
}

/// Returns the CPU seconds that a process and everything it started have used so far.
fn tree_cpu_sec(pid: u32) -> Result<f64, CpuTimeError> {
    let mut tree = ProcessTree::new(pid)?;
    tree.look_for_descendants();
    tree.cpu_sec()
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without a sender the reading thread's receive ends, and so does the thread.
        self.edges = None;
        if let Some(watcher) = self.watcher.take() {
            self.pool.end(watcher);
        }
    }
}

#[cfg(test)]
mod tests;
