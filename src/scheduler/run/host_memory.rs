//! Reads the peak resident memory of a run's processes.

use std::collections::BTreeSet;
use std::fs;

use joulemark_meter::HostMeter;

/// Value that resets the kernel's high-water mark of resident memory to the current size (proc(5)).
const RESET_PEAK: &str = "5";
const BYTES_PER_KIB: u64 = 1024;

/// Resident memory of the processes of each rank and their descendants.
pub struct HostMemory {
    meter: HostMeter,
    /// Root processes of each rank; empty when they are unknown.
    roots: Vec<Vec<u32>>,
}

impl HostMemory {
    /// Creates a reader for these root processes of each rank.
    pub fn new(meter: &HostMeter, roots: Vec<Vec<u32>>) -> Self {
        Self {
            meter: meter.clone(),
            roots,
        }
    }

    /// Resets the peaks of all ranks. Ignores a process whose peak may not be reset. Blocks on /proc.
    pub fn reset_peaks(&self) {
        for pid in (0..self.roots.len()).flat_map(|rank| self.pids(rank)) {
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), RESET_PEAK);
        }
    }

    /// Returns the summed peaks of a rank's processes; `None` when none can be read. Blocks on /proc.
    pub fn peak_bytes(&self, rank: u32) -> Option<u64> {
        let pids = self.pids(rank as usize);
        let peaks = pids
            .iter()
            .filter_map(|pid| peak_of(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?));
        // Processes that have ended meanwhile are left out.
        peaks.reduce(|sum, peak| sum + peak)
    }

    fn pids(&self, rank: usize) -> BTreeSet<u32> {
        let roots = self.roots.get(rank).map_or(&[][..], Vec::as_slice);
        let families = roots.iter().flat_map(|root| self.meter.process_tree(*root));
        families.chain(roots.iter().copied()).collect()
    }
}

/// Returns the peak in bytes from the text of a process's status; `None` when it has none.
fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * BYTES_PER_KIB)
}

#[cfg(test)]
mod tests {
    use super::peak_of;

    #[test]
    fn the_peak_is_read_and_is_none_for_a_process_without_memory() {
        assert_eq!(
            peak_of("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t    2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(peak_of("Name:\tkworker\n"), None);
        assert_eq!(peak_of("VmHWM:\t lots kB\n"), None);
    }
}
