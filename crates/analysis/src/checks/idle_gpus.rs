use std::collections::BTreeSet;

use super::warning::warning;
use joulemark_experiment::{Warning, WarningCode};
use joulemark_measurement::{GpuMemory, GpuMemoryMethod, LoadReport, RankCycle};

/// Warns about leased and metered GPUs that no layer of the model is on, or in whose memory the rank's processes hold
/// nothing by NVML. Returns `None` where neither is reported, and for a rank that computes on the CPU, about which the
/// submission was warned.
pub fn check(loads: &[LoadReport], cycles: &[RankCycle]) -> Option<Warning> {
    let told = loads
        .iter()
        .filter(|load| load.layers.iter().any(|part| part.gpu.is_some()));
    let ranks: BTreeSet<u32> = told.clone().map(|load| load.rank).collect();
    let used: BTreeSet<&String> = told
        .flat_map(|load| &load.layers)
        .filter_map(|part| part.gpu.as_ref())
        .collect();
    let cycles_of_ranks = cycles.iter().filter(|cycle| ranks.contains(&cycle.rank));
    let without_a_layer = cycles_of_ranks
        .flat_map(|cycle| &cycle.gpus)
        .filter(|uuid| !used.contains(uuid))
        .map(String::as_str);
    let idle: BTreeSet<&str> = without_a_layer.chain(without_memory(loads)).collect();
    (!idle.is_empty()).then(|| {
        let idle = idle.into_iter().collect::<Vec<_>>().join(", ");
        warning(
            WarningCode::GpusMeteredNotUsed,
            format!("no part of the model is on these leased and metered GPUs: {idle}; lease fewer GPUs"),
        )
    })
}

/// Returns the GPUs on which, by NVML, a rank's processes hold no memory although they hold some on another GPU.
fn without_memory(loads: &[LoadReport]) -> impl Iterator<Item = &str> {
    let is_told = |memory: &&GpuMemory| memory.method == Some(GpuMemoryMethod::Processes);
    let of_rank = move |load: &'_ LoadReport| {
        load.gpu_memory
            .iter()
            .filter(is_told)
            .any(|memory| memory.bytes > Some(0))
    };
    loads
        .iter()
        .filter(move |load| of_rank(load))
        .flat_map(move |load| load.gpu_memory.iter().filter(is_told))
        .filter(|memory| memory.bytes == Some(0))
        .map(|memory| memory.gpu.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{load, rank_cycle};
    use joulemark_measurement::DeviceLayers;

    fn on(gpus: &[&str]) -> LoadReport {
        let part = |gpu: &&str| DeviceLayers {
            device: "cuda".to_owned(),
            ordinal: 0,
            gpu: Some((*gpu).to_owned()),
            layers: 16,
        };
        LoadReport {
            layers: gpus.iter().map(part).collect(),
            ..load(0)
        }
    }

    #[test]
    fn a_leased_gpu_without_a_layer_is_named() {
        let cycle = RankCycle {
            gpus: vec!["GPU-a".to_owned(), "GPU-b".to_owned()],
            ..rank_cycle(0, 0, 0.0, 1.0)
        };
        let found = check(&[on(&["GPU-a"])], std::slice::from_ref(&cycle)).expect("a warning");
        assert!(
            found.message.contains("GPU-b") && !found.message.contains("GPU-a"),
            "{found:?}"
        );
        assert_eq!(check(&[on(&["GPU-a", "GPU-b"])], std::slice::from_ref(&cycle)), None);
        assert_eq!(
            check(&[on(&[])], std::slice::from_ref(&cycle)),
            None,
            "an engine that does not tell"
        );
        let mut on_cpu = on(&["GPU-a"]);
        on_cpu.layers[0].gpu = None;
        assert_eq!(check(&[on_cpu], &[cycle]), None, "a rank on the CPU");
    }

    #[test]
    fn a_gpu_whose_memory_nobody_holds_is_named_where_another_s_is_held() {
        let held = |gpu: &str, bytes| GpuMemory {
            gpu: gpu.to_owned(),
            bytes: Some(bytes),
            method: Some(GpuMemoryMethod::Processes),
        };
        let of = |second| LoadReport {
            gpu_memory: vec![held("GPU-a", 1 << 30), held("GPU-b", second)],
            ..load(0)
        };
        let found = check(&[of(0)], &[]).expect("a warning");
        assert!(
            found.message.contains("GPU-b") && !found.message.contains("GPU-a"),
            "{found:?}"
        );
        assert_eq!(check(&[of(1)], &[]), None);
        let mut on_cpu = of(0);
        on_cpu.gpu_memory.remove(0);
        assert_eq!(
            check(&[on_cpu], &[]),
            None,
            "a rank that holds nothing computes elsewhere"
        );
    }
}
