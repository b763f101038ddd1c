//! Computes the GPU memory that a load took, by one of two methods. Does not know what was loaded.

use super::{GpuHistory, GpuSample};
use crate::estimation::series::Span;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{GpuMemory, GpuMemoryMethod};

/// A load and the processes that hold its memory.
pub struct Held<'a> {
    /// Time from before the first allocation to after the last.
    pub load: Span,
    /// Time until which the memory was held.
    pub until: Monotonic,
    /// The driver's ids of the processes that hold it; `None` when they are unknown.
    pub pids: Option<&'a [u32]>,
}

impl GpuHistory {
    /// Returns the GPU memory that a load took: the memory of its processes at NVML's first reading after the load, or
    /// else the growth of the board's memory in use. Unknown when no reading lies between the load and the end.
    pub fn memory_of(&self, held: &Held<'_>) -> GpuMemory {
        let after = self.first_look(held.load.end).filter(|sample| sample.at <= held.until);
        let known = after.and_then(|after| {
            let of_processes = held.pids.and_then(|pids| bytes_of(after, pids));
            let of_processes = of_processes.map(|bytes| (bytes, GpuMemoryMethod::Processes));
            of_processes.or_else(|| Some((self.grown_bytes(held.load.start, after)?, GpuMemoryMethod::Difference)))
        });
        let (bytes, method) = known.unzip();
        GpuMemory {
            gpu: self.id.uuid.clone(),
            bytes,
            method,
        }
    }

    /// Returns the growth in bytes of the board's memory in use; `None` when it is unknown.
    fn grown_bytes(&self, since: Monotonic, after: &GpuSample) -> Option<u64> {
        let before = self.last_look(since)?.slow.memory_used_bytes?;
        Some(after.slow.memory_used_bytes?.saturating_sub(before))
    }
}

/// Returns the memory in bytes of these processes; `None` when the driver lists none of them, or hides the memory of
/// one.
fn bytes_of(sample: &GpuSample, pids: &[u32]) -> Option<u64> {
    let listed = sample.slow.compute_pids.as_ref()?;
    let known = sample.slow.process_bytes.as_ref()?;
    let own = listed.iter().filter(|pid| pids.contains(pid));
    let bytes = own.map(|pid| {
        known
            .iter()
            .filter(|(of, _)| of == pid)
            .map(|(_, bytes)| *bytes)
            .reduce(|sum, bytes| sum + bytes)
    });
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Fast, GpuId, Slow, TelemetryLog};

    const PIDS: [u32; 2] = [7, 8];

    /// Time of a reading, the board's bytes in use, and each process with its bytes where they are reported.
    type Look<'a> = (f64, u64, &'a [(u32, Option<u64>)]);

    fn memory(looks: &[Look], pids: Option<&[u32]>) -> (Option<u64>, Option<GpuMemoryMethod>) {
        let id = GpuId {
            index: 0,
            uuid: "GPU-a".to_owned(),
        };
        let mut history = TelemetryLog::new(&[id], 0.1, true).gpus.remove(0);
        for (at, used, processes) in looks {
            let known = processes.iter().filter_map(|(pid, bytes)| Some((*pid, (*bytes)?)));
            let slow = Slow {
                read_at: Some(Monotonic::from_sec(*at)),
                memory_used_bytes: Some(*used),
                compute_pids: Some(processes.iter().map(|(pid, _)| *pid).collect()),
                process_bytes: Some(known.collect()),
                ..Slow::default()
            };
            // Each reading appears in the samples of one second.
            for tenth in 0..10 {
                history.push(GpuSample {
                    at: Monotonic::from_sec(at + f64::from(tenth) * 0.1 + 0.01),
                    fast: Fast::default(),
                    slow: slow.clone(),
                });
            }
        }
        let load = Span {
            start: Monotonic::from_sec(11.5),
            end: Monotonic::from_sec(12.5),
        };
        let until = Monotonic::from_sec(20.0);
        let found = history.memory_of(&Held { load, until, pids });
        (found.bytes, found.method)
    }

    #[test]
    fn the_memory_of_its_processes_is_preferred_to_the_growth_of_the_board() {
        let looks: &[Look] = &[
            (11.0, 100, &[(1, Some(90))]),
            (12.0, 400, &[(1, Some(90)), (7, Some(250))]),
            (13.0, 900, &[(1, Some(90)), (7, Some(600)), (8, Some(150))]),
        ];
        let processes = Some(GpuMemoryMethod::Processes);
        assert_eq!(memory(looks, Some(&PIDS)), (Some(750), processes));
        assert_eq!(
            memory(looks, Some(&[9])),
            (Some(0), processes),
            "a GPU that holds nothing of it"
        );
        let difference = Some(GpuMemoryMethod::Difference);
        assert_eq!(
            memory(looks, None),
            (Some(800), difference),
            "processes that are numbered otherwise"
        );
    }

    #[test]
    fn a_process_whose_memory_is_hidden_leaves_the_difference() {
        let looks: &[Look] = &[(11.0, 100, &[]), (13.0, 900, &[(7, None), (8, Some(150))])];
        assert_eq!(
            memory(looks, Some(&PIDS)),
            (Some(800), Some(GpuMemoryMethod::Difference))
        );
    }

    #[test]
    fn without_a_look_after_the_load_it_is_not_known() {
        assert_eq!(memory(&[(11.0, 100, &[]), (12.0, 400, &[])], Some(&PIDS)), (None, None));
        assert_eq!(memory(&[(11.0, 100, &[]), (21.0, 400, &[])], Some(&PIDS)), (None, None));
    }
}
