//! Metrics of this process from the kernel, with the names that all Prometheus client libraries use.

use std::fs;

use joulemark_meter::process_cpu_sec;

const BYTES_A_KIB: u64 = 1024;

/// Resources of this process; a field is `None` if the kernel does not report it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub threads: Option<u64>,
    pub open_fds: Option<u64>,
    pub max_fds: Option<u64>,
    pub cpu_sec: Option<f64>,
}

impl Process {
    /// Reads `/proc/self`. Blocks: about a millisecond with ten thousand connections.
    pub fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Self {
            resident_bytes: field(&status, "VmRSS:").map(|kib| kib * BYTES_A_KIB),
            virtual_bytes: field(&status, "VmSize:").map(|kib| kib * BYTES_A_KIB),
            threads: field(&status, "Threads:"),
            // One of them is the open folder itself.
            open_fds: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|entries| (entries.count() as u64).saturating_sub(1)),
            max_fds: field(&limits, "Max open files"),
            cpu_sec: process_cpu_sec(std::process::id()).ok(),
        }
    }
}

/// Returns the first number after `name`, in the file's own unit; `None` if there is none.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_number_behind_its_name() {
        let text = "VmPeak:\t  10 kB\nVmRSS:\t   7412 kB\nMax open files            1024                 4096 files\n";
        assert_eq!(field(text, "VmRSS:"), Some(7412));
        assert_eq!(field(text, "Max open files"), Some(1024));
        assert_eq!(field(text, "Threads:"), None);
    }

    #[test]
    fn the_values_of_this_process_are_known() {
        let process = Process::read();
        assert!(process.resident_bytes.unwrap() > 1_000_000);
        assert!(process.open_fds.unwrap() >= 3 && process.max_fds >= process.open_fds);
        assert!(process.cpu_sec.unwrap() >= 0.0 && process.threads.unwrap() >= 1);
    }
}
