//! Parses `/proc/<pid>/stat`. Owns the file's format; leaves its use to others.

use std::io;
use std::path::Path;

use nix::unistd::{SysconfVar, sysconf};

/// Flag of a kernel thread (`PF_KTHREAD`).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// The state of one process as the kernel last reported it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessStat {
    /// File name of the program, cut to 15 bytes, unless the process has set another.
    pub name: String,
    /// State: `R` running, `S` sleeping, `Z` ended but not waited for, and others of proc(5).
    pub state: char,
    /// Id of the process that started or adopted it; 0 when that one is not visible from here.
    pub parent: u32,
    /// Whether it is a thread of the kernel.
    pub is_kernel_thread: bool,
    /// Start time in clock ticks since boot. It distinguishes the process from a later one with the same id.
    pub started_ticks: u64,
    /// CPU seconds of its children that ended and were waited for, and of their children.
    pub children_sec: f64,
    ticks_per_sec: f64,
}

impl ProcessStat {
    /// Reads the state of process `pid` below `proc_root`, usually `/proc`.
    ///
    /// # Errors
    /// Returns the operating system's error: `NotFound` when there is no such process, and `InvalidData` when the file
    /// does not have the expected content.
    pub fn read(proc_root: &Path, pid: u32) -> io::Result<Self> {
        let bytes = std::fs::read(proc_root.join(pid.to_string()).join("stat"))?;
        let ticks_per_sec = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100) as f64;
        Self::parse(&String::from_utf8_lossy(&bytes), ticks_per_sec).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Returns the seconds from boot to the start of the process.
    pub fn started_sec_since_boot(&self) -> f64 {
        self.started_ticks as f64 / self.ticks_per_sec
    }

    /// Parses the file's text; returns `None` when it does not have the expected content.
    fn parse(text: &str, ticks_per_sec: f64) -> Option<Self> {
        // The name may contain anything, parentheses and blanks too.
        let (before, after) = text.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        // proc(5) counts fields from 1; the first two come before these.
        let field = |number: usize| fields.get(number - 3).copied();
        let ticks = |number: usize| field(number)?.parse::<u64>().ok();
        Some(Self {
            name: name.to_owned(),
            state: field(3)?.chars().next()?,
            parent: field(4)?.parse().ok()?,
            is_kernel_thread: ticks(9)? & KERNEL_THREAD != 0,
            started_ticks: ticks(22)?,
            // cutime and cstime.
            children_sec: ticks(16)?.saturating_add(ticks(17)?) as f64 / ticks_per_sec,
            ticks_per_sec,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_read_behind_a_name_with_parentheses_and_blanks() {
        let text = "42 (a) S (b) R 7 42 42 0 -1 4194304 0 0 0 0 1 2 150 50 20 0 1 0 1234 0 0";
        let stat = ProcessStat::parse(text, 100.0).expect("a state");
        assert_eq!(
            (stat.name.as_str(), stat.state, stat.parent, stat.started_ticks),
            ("a) S (b", 'R', 7, 1234)
        );
        assert_eq!((stat.children_sec, stat.started_sec_since_boot()), (2.0, 12.34));
        assert!(!stat.is_kernel_thread);
        let kernel = text.replace(" 4194304 ", " 69238880 ");
        assert!(ProcessStat::parse(&kernel, 100.0).expect("a state").is_kernel_thread);
    }

    #[test]
    fn this_process_is_known_with_its_parent() {
        let stat = ProcessStat::read(Path::new("/proc"), std::process::id()).expect("own state");
        assert_eq!(stat.parent, std::os::unix::process::parent_id());
        let gone = ProcessStat::read(Path::new("/proc"), u32::MAX).expect_err("no such number");
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = ProcessStat::parse(&text, 100.0);
        }

        #[test]
        fn no_numbers_make_the_parser_panic(numbers in prop::collection::vec(any::<u64>(), 0..40)) {
            let fields: Vec<String> = numbers.iter().map(u64::to_string).collect();
            let _ = ProcessStat::parse(&format!("1 (x) S {}", fields.join(" ")), 100.0);
        }
    }
}
