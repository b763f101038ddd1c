//! Cumulative CPU time in seconds of the host, of a cgroup and of one process, by which the host's energy is split.
//!
//! Owns the choice among the kernel's counters and reports which one is used. Leaves windows to the meter, which
//! samples these counters like any other, and process trees to `process_tree`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, SysconfVar, sysconf};

use joulemark_measurement::units::NANOSECONDS_PER_SECOND;

/// The reason why a CPU time is unknown.
#[derive(Debug, thiserror::Error)]
pub enum CpuTimeError {
    /// The process of this id has ended and was reaped, or never existed.
    #[error("process {0} does not exist")]
    ProcessGone(u32),
    /// The kernel's file at this path cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, io::Error),
    /// The kernel's file at this path does not have the expected content.
    #[error("{0} does not contain the expected CPU time")]
    Malformed(PathBuf),
}

/// The counter of the host's busy CPU time with the finest resolution among those that cover the whole host.
#[derive(Clone, Debug)]
pub struct HostCpuClock {
    path: PathBuf,
    proc_root: PathBuf,
    format: Format,
    /// Kept open: opening it at each sweep costs more than reading it.
    file: Arc<File>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// cgroup v1: nanoseconds, charged at every context switch and tick.
    CpuacctUsage,
    /// Root of cgroup v2: microseconds of the kernel's accounting.
    CpuStat,
    /// Nanoseconds; the running task's time is added when it is switched out.
    Schedstat,
    /// Ticks of 10 ms.
    ProcStat,
}

impl HostCpuClock {
    /// Opens the finest counter under these roots, usually `/proc` and `/sys/fs/cgroup`.
    ///
    /// A cgroup file is used only when it is the host's root cgroup. In a container's namespace the same path shows the
    /// container alone, and the container's share of the host would come out too large.
    ///
    /// # Errors
    /// Returns an error when no counter can be read, the last of which is `stat` under `proc_root`.
    pub fn open(proc_root: &Path, cgroup_root: &Path) -> Result<Self, CpuTimeError> {
        let v1 = ["cpuacct", "cpu,cpuacct", "cpuacct,cpu"].map(|name| cgroup_root.join(name));
        let v2 = [cgroup_root.to_owned(), cgroup_root.join("unified")];
        let v1 = v1.into_iter().filter(|folder| is_v1_root(folder));
        let v2 = v2.into_iter().filter(|folder| is_v2_root(folder));
        let candidates = v1
            .map(|folder| (folder.join("cpuacct.usage"), Format::CpuacctUsage))
            .chain(v2.map(|folder| (folder.join("cpu.stat"), Format::CpuStat)))
            .chain([(proc_root.join("schedstat"), Format::Schedstat)]);
        for (path, format) in candidates {
            if let Ok(clock) = Self::open_file(proc_root, path, format)
                && clock.busy_sec().is_ok_and(|sec| sec > 0.0)
            {
                return Ok(clock);
            }
        }
        let ticks = Self::open_file(proc_root, proc_root.join("stat"), Format::ProcStat)?;
        ticks.busy_sec().map(|_| ticks)
    }

    fn open_file(proc_root: &Path, path: PathBuf, format: Format) -> Result<Self, CpuTimeError> {
        match File::open(&path) {
            Ok(file) => Ok(Self {
                path,
                proc_root: proc_root.to_owned(),
                format,
                file: Arc::new(file),
            }),
            Err(error) => Err(CpuTimeError::Unreadable(path, error)),
        }
    }

    /// Returns the busy CPU seconds since boot, summed over all CPUs.
    ///
    /// # Errors
    /// Returns an error when the counter's file cannot be read or does not have the expected content.
    pub fn busy_sec(&self) -> Result<f64, CpuTimeError> {
        let text = whole(&self.file).map_err(|error| CpuTimeError::Unreadable(self.path.clone(), error))?;
        let sec = match self.format {
            Format::CpuacctUsage => text.trim().parse().ok().map(|ns: f64| ns / NANOSECONDS_PER_SECOND),
            Format::CpuStat => cpu_stat(&text),
            Format::Schedstat => schedstat(&text),
            Format::ProcStat => proc_stat(&text),
        };
        sec.ok_or_else(|| CpuTimeError::Malformed(self.path.clone()))
    }

    /// Returns the number of CPUs whose time the counter sums, as the kernel's files list them; `None` where they list
    /// none. In a container `cpuinfo` may list fewer CPUs.
    pub fn cpus(&self) -> Option<u32> {
        let listed = |text: io::Result<String>| cpus_listed(&text.ok()?);
        match self.format {
            Format::Schedstat | Format::ProcStat => listed(whole(&self.file)),
            // These files hold one number for the whole host; other files list the CPUs.
            Format::CpuacctUsage | Format::CpuStat => ["schedstat", "stat"]
                .into_iter()
                .filter_map(|name| listed(fs::read_to_string(self.proc_root.join(name))))
                .max(),
        }
    }

    /// Returns the counter's path and its resolution as text.
    pub fn describe(&self) -> String {
        let resolution = match self.format {
            Format::CpuacctUsage => "nanoseconds",
            Format::CpuStat => "microseconds, steal included",
            Format::Schedstat => "nanoseconds, counted at context switches",
            Format::ProcStat => "ticks of 10 ms",
        };
        format!("{} ({resolution})", self.path.display())
    }
}

/// The counter of one cgroup's CPU time in microseconds of the kernel's accounting. It covers every process that ever
/// ran in the cgroup and its descendants. Every user may read it, also for another user's processes.
#[derive(Clone, Debug)]
pub struct CgroupCpuClock {
    path: PathBuf,
    /// Kept open: once the cgroup is removed the file cannot be read, so that a new cgroup of the same name is not
    /// mistaken for it.
    file: Arc<File>,
}

impl CgroupCpuClock {
    /// Opens the counter of the cgroup (v2) in `folder`.
    ///
    /// # Errors
    /// Returns an error when the folder's `cpu.stat` cannot be read or contains no CPU time.
    pub fn open(folder: &Path) -> Result<Self, CpuTimeError> {
        let path = folder.join("cpu.stat");
        let file = File::open(&path).map_err(|error| CpuTimeError::Unreadable(path.clone(), error))?;
        let clock = Self {
            path,
            file: Arc::new(file),
        };
        clock.used_sec().map(|_| clock)
    }

    /// Returns the CPU seconds that the cgroup has used so far.
    ///
    /// # Errors
    /// Returns an error when the cgroup was removed, which happens to a systemd unit's when the unit stops.
    pub fn used_sec(&self) -> Result<f64, CpuTimeError> {
        let text = whole(&self.file).map_err(|error| CpuTimeError::Unreadable(self.path.clone(), error))?;
        cpu_stat(&text).ok_or_else(|| CpuTimeError::Malformed(self.path.clone()))
    }
}

/// Larger than the number of CPUs that any kernel supports.
const MAX_CPUS: f64 = 8192.0;

/// Reads the file's current text from its beginning.
fn whole(file: &File) -> io::Result<String> {
    const CHUNK: usize = 4096;
    let mut bytes = Vec::new();
    loop {
        let length = bytes.len();
        bytes.resize(length + CHUNK, 0);
        let read = file.read_at(&mut bytes[length..], length as u64)?;
        bytes.truncate(length + read);
        if read == 0 {
            return String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
}

/// Returns whether `folder` is the host's root of a v1 hierarchy: the kernel creates `release_agent` only there.
fn is_v1_root(folder: &Path) -> bool {
    folder.join("release_agent").exists()
}

/// Returns whether `folder` is the host's root of the v2 hierarchy: the kernel creates `cgroup.type` in every other
/// cgroup.
fn is_v2_root(folder: &Path) -> bool {
    folder.join("cgroup.controllers").exists() && !folder.join("cgroup.type").exists()
}

/// Returns the CPU seconds in the text of a cgroup's `cpu.stat`.
fn cpu_stat(text: &str) -> Option<f64> {
    let usec = text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "))?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_micros(usec).as_secs_f64())
}

/// Returns the CPU seconds in the text of `/proc/schedstat`, summed over all CPUs.
fn schedstat(text: &str) -> Option<f64> {
    // Fields: cpu<N> yield 0 schedule idle ttwu ttwu_local run_ns wait_ns slices
    let per_cpu = text
        .lines()
        .filter(|line| line.starts_with("cpu"))
        .map(|line| line.split_whitespace().nth(7));
    let ns: Option<f64> = per_cpu.map(|field| field?.parse::<f64>().ok()).sum();
    ns.filter(|ns| *ns > 0.0).map(|ns| ns / NANOSECONDS_PER_SECOND)
}

/// Returns the number of CPUs in the text of `/proc/stat` or `/proc/schedstat`.
///
/// A container may see the line of one CPU only, below a sum that is the host's. The number of CPUs is then the sum
/// divided by that CPU's time: the times of every CPU add up to the same uptime.
fn cpus_listed(text: &str) -> Option<u32> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("cpu"));
    let of_one = |line: &&str| line.starts_with(|digit: char| digit.is_ascii_digit());
    let listed = lines.clone().filter(of_one).count() as u32;
    let ticks = |line: &str| -> f64 {
        let fields = line.split_whitespace().filter_map(|field| field.parse::<f64>().ok());
        // Guest time, after the first eight fields, is already part of user and nice.
        fields.take(8).sum()
    };
    let sum = lines.clone().find(|line| line.starts_with(' ')).map(ticks);
    let longest = lines
        .filter(of_one)
        .map(|line| ticks(line.split_once(' ').map_or("", |(_, times)| times)))
        .fold(0.0, f64::max);
    let in_sum = sum.filter(|_| longest > 0.0).map_or(0.0, |sum| (sum / longest).round());
    let is_cut = listed == 1 && (2.0..=MAX_CPUS).contains(&in_sum);
    let cpus = if is_cut { in_sum as u32 } else { listed };
    (cpus > 0).then_some(cpus)
}

/// Returns the CPU seconds in the text of `/proc/stat`.
fn proc_stat(text: &str) -> Option<f64> {
    let fields: Vec<f64> = text
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .flat_map(str::parse)
        .collect();
    // Fields: user nice system idle iowait irq softirq. Steal is another machine's time; guest time is part of user.
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = fields[..] else {
        return None;
    };
    let ticks_per_sec = sysconf(SysconfVar::CLK_TCK).ok().flatten()? as f64;
    Some((user + nice + system + irq + softirq) / ticks_per_sec)
}

/// Returns the CPU seconds that a process has used so far, over all its threads, ended ones included.
///
/// # Examples
///
/// ```
/// let used_sec = joulemark_meter::process_cpu_sec(std::process::id())?;
/// assert!(used_sec > 0.0);
/// # Ok::<(), joulemark_meter::CpuTimeError>(())
/// ```
///
/// # Errors
/// Returns [`CpuTimeError::ProcessGone`] when there is no process of this id.
pub fn process_cpu_sec(pid: u32) -> Result<f64, CpuTimeError> {
    let gone = |_| CpuTimeError::ProcessGone(pid);
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid as i32)).map_err(gone)?;
    let time = clock_gettime(clock).map_err(gone)?;
    Ok(Duration::from(time).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct FakeHost(tempfile::TempDir);

    impl FakeHost {
        fn new() -> Self {
            let host = Self(tempfile::tempdir().expect("a temporary folder"));
            host.write(
                "proc/stat",
                "cpu  100 0 50 1000 7 5 5 900 100 0\ncpu0 100 0 50 1000 7 5 5 900 100 0\n",
            );
            host
        }

        fn write(&self, path: &str, text: &str) {
            let file = self.0.path().join(path);
            fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
            fs::write(file, text).expect("a file");
        }

        fn clock(&self) -> HostCpuClock {
            HostCpuClock::open(&self.0.path().join("proc"), &self.0.path().join("cgroup")).expect("a clock")
        }
    }

    #[test]
    fn ticks_are_the_last_resort_and_leave_out_idle_steal_and_guest() {
        let host = FakeHost::new();
        assert_eq!(host.clock().format, Format::ProcStat);
        assert!((host.clock().busy_sec().expect("ticks") - 1.6).abs() < 1e-9);
    }

    #[test]
    fn a_host_root_of_cgroup_v1_is_preferred() {
        let host = FakeHost::new();
        host.write("cgroup/cpuacct/cpuacct.usage", "2500000000\n");
        host.write("cgroup/cpuacct/release_agent", "");
        host.write("cgroup/unified/cgroup.controllers", "cpu");
        host.write("cgroup/unified/cpu.stat", "usage_usec 9\n");
        assert_eq!(host.clock().format, Format::CpuacctUsage);
        assert_eq!(host.clock().busy_sec().expect("nanoseconds"), 2.5);
    }

    #[test]
    fn a_container_s_own_cgroup_is_not_taken_for_the_host() {
        let host = FakeHost::new();
        host.write("cgroup/cgroup.controllers", "cpu");
        host.write("cgroup/cpu.stat", "usage_usec 1500000\nuser_usec 1\n");
        assert_eq!(host.clock().format, Format::CpuStat);
        assert_eq!(host.clock().busy_sec().expect("microseconds"), 1.5);
        host.write("cgroup/cgroup.type", "domain\n");
        assert_eq!(host.clock().format, Format::ProcStat);
    }

    #[test]
    fn a_cgroup_s_clock_reads_the_cgroup_that_was_opened() {
        let host = FakeHost::new();
        let group = host.0.path().join("cgroup/system.slice/a.service");
        assert!(matches!(
            CgroupCpuClock::open(&group),
            Err(CpuTimeError::Unreadable(..))
        ));
        host.write("cgroup/system.slice/a.service/cpu.stat", "nr_periods 0\n");
        assert!(matches!(CgroupCpuClock::open(&group), Err(CpuTimeError::Malformed(..))));
        host.write(
            "cgroup/system.slice/a.service/cpu.stat",
            "usage_usec 1500000\nuser_usec 1\n",
        );
        let clock = CgroupCpuClock::open(&group).expect("a clock");
        assert_eq!(clock.used_sec().expect("microseconds"), 1.5);
        fs::remove_dir_all(&group).expect("the group ends");
        host.write("cgroup/system.slice/a.service/cpu.stat", "usage_usec 7\n");
        assert_eq!(clock.used_sec().ok(), Some(1.5), "not the new group's");
    }

    #[test]
    fn schedstat_sums_the_run_time_of_every_cpu() {
        let host = FakeHost::new();
        host.write(
            "proc/schedstat",
            "version 15\ncpu0 0 0 9 9 9 9 1000000000 5 5\ndomain0 3 1 2\ncpu1 0 0 9 9 9 9 500000000 5 5\n",
        );
        assert_eq!(host.clock().format, Format::Schedstat);
        assert_eq!(host.clock().busy_sec().expect("nanoseconds"), 1.5);
    }

    #[test]
    fn the_cpus_whose_time_is_read_are_counted_also_where_their_lines_are_cut() {
        let host = FakeHost::new();
        assert_eq!(host.clock().cpus(), Some(1));
        host.write(
            "proc/stat",
            "cpu  800 0 0 1600 0 0 0 0 9 0\ncpu0 300 0 0 100 0 0 0 0 9 0\n",
        );
        assert_eq!(host.clock().cpus(), Some(6));
        host.write("proc/stat", "cpu  5 0 5 5 0 0 0 0 0 0\n");
        assert_eq!(host.clock().cpus(), None);
        host.write(
            "proc/schedstat",
            "version 15\ncpu0 0 0 9 9 9 9 1000000000 5 5\ndomain0 3 1 2\ncpu1 0 0 9 9 9 9 500000000 5 5\n",
        );
        assert_eq!(host.clock().cpus(), Some(2));
        host.write("cgroup/cpuacct/cpuacct.usage", "2500000000\n");
        host.write("cgroup/cpuacct/release_agent", "");
        assert_eq!(host.clock().format, Format::CpuacctUsage);
        assert_eq!(host.clock().cpus(), Some(2));
    }

    #[test]
    fn a_process_s_cpu_time_grows_with_its_work_and_ends_with_it() {
        let me = std::process::id();
        let before = process_cpu_sec(me).expect("own clock");
        let mut sum = 0u64;
        while process_cpu_sec(me).expect("own clock") < before + 0.02 {
            sum = std::hint::black_box(sum + 1);
        }
        let mut child = std::process::Command::new("true").spawn().expect("a child");
        let pid = child.id();
        child.wait().expect("its end");
        assert!(matches!(process_cpu_sec(pid), Err(CpuTimeError::ProcessGone(_))));
    }
}
