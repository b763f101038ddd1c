use std::collections::BTreeSet;
use std::fs;

use joulemark_meter::HostMeter;

/// Sets the kernel's high-water mark of resident memory back to what is resident now (proc(5)).
const RESET_PEAK: &str = "5";
const BYTES_PER_KIB: u64 = 1024;

/// The resident memory of the processes of each rank, with all that they started.
pub struct HostMemory {
    meter: HostMeter,
    /// By rank; none where they cannot be told.
    roots: Vec<Vec<u32>>,
}

impl HostMemory {
    pub fn new(meter: &HostMeter, roots: Vec<Vec<u32>>) -> Self {
        Self {
            meter: meter.clone(),
            roots,
        }
    }

    /// Sets the peaks of all ranks back. One that may not be set back stays as it is. Blocks on /proc.
    pub fn reset_peaks(&self) {
        for pid in (0..self.roots.len()).flat_map(|rank| self.pids(rank)) {
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), RESET_PEAK);
        }
    }

    /// Returns the peaks of a rank's processes, summed; `None` where they cannot be told. Blocks on /proc.
    pub fn peak_bytes(&self, rank: u32) -> Option<u64> {
        let pids = self.pids(rank as usize);
        let peaks = pids
            .iter()
            .filter_map(|pid| peak_of(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?));
        // What has ended meanwhile is not counted, but one of them is there.
        peaks.reduce(|sum, peak| sum + peak)
    }

    fn pids(&self, rank: usize) -> BTreeSet<u32> {
        let roots = self.roots.get(rank).map_or(&[][..], Vec::as_slice);
        let families = roots.iter().flat_map(|root| self.meter.family(*root));
        families.chain(roots.iter().copied()).collect()
    }
}

/// Returns the peak that a process's status tells.
fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * BYTES_PER_KIB)
}

#[cfg(test)]
mod tests {
    use super::peak_of;

    #[test]
    fn the_peak_is_read_and_a_process_without_memory_has_none() {
        assert_eq!(
            peak_of("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t    2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(peak_of("Name:\tkworker\n"), None);
        assert_eq!(peak_of("VmHWM:\t lots kB\n"), None);
    }
}
