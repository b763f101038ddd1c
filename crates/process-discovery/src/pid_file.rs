use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use joulemark_files::read_given;

use crate::forward::forward;
use crate::host::Host;
use crate::not_found::NotFound;
use crate::processes::stat_of;
use crate::served::Served;

/// Maximum difference between the start of a process and the time of its PID file. The kernel reports the boot time in
/// whole seconds; another second allows for a clock that was adjusted.
const TOLERANCE: Duration = Duration::from_secs(2);
/// State of a process that has ended and was not reaped.
const ZOMBIE: char = 'Z';

/// Returns the process whose id is in the file `path`.
///
/// # Errors
/// Returns the reason when the file cannot be read or contains no number, or when the process does not run, is a
/// forward or a kernel thread, or started after the file was written.
pub fn find(host: &Host, path: &Path) -> Result<Served, NotFound> {
    let (pid, written) = read(path)?;
    let path = path.to_owned();
    let stat = match stat_of(host, pid) {
        Ok(stat) if stat.state == ZOMBIE => return Err(NotFound::ProcessGone { path, pid }),
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(NotFound::ProcessGone { path, pid }),
        Err(error) => {
            let reason = error.to_string();
            return Err(NotFound::ProcessUnreadable { path, pid, reason });
        }
    };
    if stat.is_kernel_thread {
        return Err(NotFound::KernelThread { path, pid });
    }
    let Some(booted) = boot_time(host) else {
        let reason = "the kernel does not report when the host was started".to_owned();
        return Err(NotFound::ProcessUnreadable { path, pid, reason });
    };
    let started = booted + Duration::from_secs_f64(stat.started_sec_since_boot());
    let later = started.saturating_sub(written);
    if later > TOLERANCE {
        let later_sec = later.as_secs();
        return Err(NotFound::PidReused { path, pid, later_sec });
    }
    let found_by = format!("PID file {}", path.display());
    match forward(host, pid) {
        Some(program) => Err(NotFound::Forward { program, pid, found_by }),
        None => Ok(Served::of_roots(vec![pid], found_by)),
    }
}

/// Returns the number in the file, and the time since 1970 at which the file was written.
fn read(path: &Path) -> Result<(u32, Duration), NotFound> {
    let read = || -> io::Result<_> {
        let (file, bytes) = read_given(path)?;
        Ok((bytes, file.metadata()?.modified()?))
    };
    let (bytes, written) = read().map_err(|error| NotFound::PidFileUnreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let number = str::from_utf8(&bytes)
        .ok()
        .map(str::trim)
        .filter(|text| !text.starts_with('+'));
    let pid = number
        .and_then(|number| number.parse::<u32>().ok())
        .filter(|pid| *pid > 0);
    let pid = pid.ok_or_else(|| NotFound::PidFileMalformed { path: path.to_owned() })?;
    Ok((pid, written.duration_since(UNIX_EPOCH).unwrap_or_default()))
}

/// Returns the time since 1970 at which the host was started, by the present clock.
fn boot_time(host: &Host) -> Option<Duration> {
    let text = std::fs::read_to_string(host.proc_root.join("stat")).ok()?;
    let sec = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(Duration::from_secs(sec.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;
    use crate::fixtures::{BOOT_SEC, FakeHost, TICKS_PER_SEC, exclude_other_forks};

    /// Creates a PID file of a fake host, written this many seconds after its boot.
    fn pid_file(fake: &FakeHost, text: &str, written_sec: u64) -> PathBuf {
        let path = fake.write("run/vllm.pid", text);
        let file = File::options().write(true).open(&path).expect("the file");
        let written = UNIX_EPOCH + Duration::from_secs(BOOT_SEC + written_sec);
        file.set_modified(written).expect("its time");
        path
    }

    #[test]
    fn the_process_of_the_file_is_found() {
        let fake = FakeHost::new();
        fake.process_started(100, "vllm", 1, 50 * TICKS_PER_SEC);
        for (text, written_sec) in [("100\n", 51), (" 100 ", 50), ("100", 49), ("100", 90_000)] {
            let path = pid_file(&fake, text, written_sec);
            let served = find(&fake.host(), &path).expect("it runs");
            assert_eq!(served.pids, [100]);
            assert_eq!(served.found_by, format!("PID file {}", path.display()));
        }
    }

    #[test]
    fn a_process_that_started_after_the_file_was_written_is_rejected() {
        let fake = FakeHost::new();
        fake.process_started(100, "vllm", 1, 50 * TICKS_PER_SEC);
        let path = pid_file(&fake, "100", 45);
        let reused = NotFound::PidReused {
            path: path.clone(),
            pid: 100,
            later_sec: 5,
        };
        assert_eq!(find(&fake.host(), &path).expect_err("a stale file"), reused);
    }

    #[test]
    fn the_own_pid_is_accepted_in_a_new_file_and_rejected_in_an_old_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("own.pid");
        std::fs::write(&path, std::process::id().to_string()).expect("a file");
        let host = Host::here();
        assert_eq!(find(&host, &path).expect("this process").pids, [std::process::id()]);
        let file = File::options().write(true).open(&path).expect("the file");
        let written = file.metadata().and_then(|found| found.modified()).expect("its time");
        file.set_modified(written - Duration::from_secs(86_400))
            .expect("a day before");
        assert!(matches!(find(&host, &path), Err(NotFound::PidReused { .. })));
    }

    #[test]
    fn a_process_that_has_ended_is_rejected_whether_reaped_or_not() {
        let _alone = exclude_other_forks();
        let fake = FakeHost::new();
        let path = pid_file(&fake, "100", 60);
        let gone = NotFound::ProcessGone {
            path: path.clone(),
            pid: 100,
        };
        assert_eq!(find(&fake.host(), &path).expect_err("nobody"), gone);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("own.pid");
        let mut child = Command::new("true").spawn().expect("a child");
        child.wait().expect("its end");
        std::fs::write(&path, child.id().to_string()).expect("a file");
        assert!(matches!(find(&Host::here(), &path), Err(NotFound::ProcessGone { .. })));
        fake.write(
            "proc/100/stat",
            "100 (vllm) Z 1 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0",
        );
        let path = pid_file(&fake, "100", 60);
        assert!(matches!(find(&fake.host(), &path), Err(NotFound::ProcessGone { .. })));
    }

    #[test]
    fn a_file_without_a_number_is_rejected() {
        let fake = FakeHost::new();
        for text in [
            "",
            "0",
            "-1",
            "+100",
            "100 101",
            "100\n101",
            "vllm",
            "99999999999",
            "\u{661}",
        ] {
            let path = pid_file(&fake, text, 60);
            assert_eq!(
                find(&fake.host(), &path).expect_err(text),
                NotFound::PidFileMalformed { path }
            );
        }
    }

    #[test]
    fn an_unreadable_file_is_reported_with_the_reason() {
        let fake = FakeHost::new();
        let missing = fake.path("run/none.pid");
        let reason = find(&fake.host(), &missing).expect_err("no file").to_string();
        assert!(
            reason.contains("none.pid") && reason.contains("No such file"),
            "{reason}"
        );
        assert!(matches!(
            find(&fake.host(), &fake.path("proc")),
            Err(NotFound::PidFileUnreadable { .. })
        ));
    }

    #[test]
    fn forwards_and_kernel_threads_are_rejected() {
        let fake = FakeHost::new();
        fake.process(100, "conmon", 1);
        let path = pid_file(&fake, "100", 60);
        let reason = find(&fake.host(), &path).expect_err("a forward");
        assert!(
            matches!(&reason, NotFound::Forward { program, .. } if program == "conmon"),
            "{reason}"
        );
        fake.write(
            "proc/7/stat",
            "7 (kworker) I 2 0 0 0 -1 69238880 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0",
        );
        let path = pid_file(&fake, "7", 60);
        assert!(matches!(
            find(&fake.host(), &path),
            Err(NotFound::KernelThread { pid: 7, .. })
        ));
    }
}
