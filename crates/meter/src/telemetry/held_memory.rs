//! What a load took of a GPU's memory. Owns which of two ways tells it; deliberately does not know what was loaded.

use super::{GpuHistory, GpuSample};
use crate::estimation::series::Span;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{GpuMemory, GpuMemoryMethod};

/// A load, and who holds what it took.
pub struct Held<'a> {
    /// From before anything was allocated to when all was.
    pub load: Span,
    /// Until when it was held.
    pub until: Monotonic,
    /// The processes that hold it, as the driver numbers them; `None` where that is not known.
    pub pids: Option<&'a [u32]>,
}

impl GpuHistory {
    /// Returns what a load took of this GPU's memory: what NVML tells of its processes at its first look after the load, else by how
    /// much more of the board was in use than before. Unknown where no look lies between the load and the end.
    pub fn memory_of(&self, held: &Held<'_>) -> GpuMemory {
        let after = self.first_look(held.load.end).filter(|sample| sample.at <= held.until);
        let told = after.and_then(|after| {
            let of_processes = held.pids.and_then(|pids| bytes_of(after, pids));
            let of_processes = of_processes.map(|bytes| (bytes, GpuMemoryMethod::Processes));
            of_processes.or_else(|| Some((self.grown_bytes(held.load.start, after)?, GpuMemoryMethod::Difference)))
        });
        let (bytes, method) = told.unzip();
        GpuMemory {
            gpu: self.id.uuid.clone(),
            bytes,
            method,
        }
    }

    fn grown_bytes(&self, since: Monotonic, after: &GpuSample) -> Option<u64> {
        let before = self.last_look(since)?.slow.memory_used_bytes?;
        Some(after.slow.memory_used_bytes?.saturating_sub(before))
    }
}

/// Returns the memory of these processes; `None` where the driver lists none, or hides what one of them holds.
fn bytes_of(sample: &GpuSample, pids: &[u32]) -> Option<u64> {
    let listed = sample.slow.compute_pids.as_ref()?;
    let told = sample.slow.process_bytes.as_ref()?;
    let own = listed.iter().filter(|pid| pids.contains(pid));
    let bytes = own.map(|pid| {
        told.iter()
            .filter(|(of, _)| of == pid)
            .map(|(_, bytes)| *bytes)
            .reduce(|sum, bytes| sum + bytes)
    });
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Brisk, GpuId, Slow, TelemetryLog};

    const PIDS: [u32; 2] = [7, 8];

    /// When the board was looked at, its bytes in use, and each process with what it holds where that is told.
    type Look<'a> = (f64, u64, &'a [(u32, Option<u64>)]);

    fn memory(looks: &[Look], pids: Option<&[u32]>) -> (Option<u64>, Option<GpuMemoryMethod>) {
        let id = GpuId {
            index: 0,
            uuid: "GPU-a".to_owned(),
        };
        let mut history = TelemetryLog::new(&[id], 0.1, true).gpus.remove(0);
        for (at, used, processes) in looks {
            let told = processes.iter().filter_map(|(pid, bytes)| Some((*pid, (*bytes)?)));
            let slow = Slow {
                read_at: Some(Monotonic::from_sec(*at)),
                memory_used_bytes: Some(*used),
                compute_pids: Some(processes.iter().map(|(pid, _)| *pid).collect()),
                process_bytes: Some(told.collect()),
                ..Slow::default()
            };
            // Each look is seen in the samples of a second.
            for tenth in 0..10 {
                history.push(GpuSample {
                    at: Monotonic::from_sec(at + f64::from(tenth) * 0.1 + 0.01),
                    brisk: Brisk::default(),
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
    fn what_its_processes_hold_goes_before_what_the_board_has_more() {
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
