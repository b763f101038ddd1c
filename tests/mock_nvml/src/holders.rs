//! Processes that hold memory of the mock's devices: those listed in a file, each as long as it runs.

use std::path::{Path, PathBuf};

/// The switches `memory_file=PATH`, which has a line `DEVICE PID MIB` for each process and is read at each call, and
/// `memory_stays=1`, with which the memory of ended processes is never freed.
pub struct Holders {
    file: Option<PathBuf>,
    stays: bool,
}

/// Memory that one process holds on one device.
pub struct Holder {
    pub pid: u32,
    pub bytes: u64,
    pub lives: bool,
}

impl Holders {
    pub fn from(value: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            file: value("memory_file").map(PathBuf::from),
            stays: value("memory_stays").is_some_and(|stays| stays == "1"),
        }
    }

    /// Returns the processes of a device. A line that cannot be parsed ends the test process: a mock that guesses would
    /// prove nothing.
    pub fn of(&self, device: u32) -> Vec<Holder> {
        let text = self.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        let text = text.unwrap_or_default();
        let parsed = text.lines().map(|line| {
            let numbers: Vec<u32> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
            let &[own, pid, mib] = numbers.as_slice() else {
                panic!("mock_nvml: memory_file has the line {line}");
            };
            let holder = Holder {
                pid,
                bytes: u64::from(mib) << 20,
                lives: Path::new(&format!("/proc/{pid}")).exists(),
            };
            (own, holder)
        });
        let of_device = parsed.filter(|(own, _)| *own == device).map(|(_, holder)| holder);
        of_device.filter(|holder| holder.lives || self.stays).collect()
    }
}
