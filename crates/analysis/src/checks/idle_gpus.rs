use std::collections::BTreeSet;

use super::warning::warning;
use joulemark_experiment::{Warning, WarningCode};
use joulemark_measurement::{LoadReport, RankCycle};

/// Warns of GPUs that were leased and metered while no layer of the model lies on them. Says nothing where an engine does not
/// tell where its layers are, nor of a rank that computes on the CPU: the submission was warned of that.
pub fn check(loads: &[LoadReport], cycles: &[RankCycle]) -> Option<Warning> {
    let told = loads
        .iter()
        .filter(|load| load.layers.iter().any(|part| part.gpu.is_some()));
    let ranks: BTreeSet<u32> = told.clone().map(|load| load.rank).collect();
    let used: BTreeSet<&String> = told
        .flat_map(|load| &load.layers)
        .filter_map(|part| part.gpu.as_ref())
        .collect();
    let of_those = cycles.iter().filter(|cycle| ranks.contains(&cycle.rank));
    let idle: BTreeSet<&str> = of_those
        .flat_map(|cycle| &cycle.gpus)
        .filter(|uuid| !used.contains(uuid))
        .map(String::as_str)
        .collect();
    (!idle.is_empty()).then(|| {
        let idle = idle.into_iter().collect::<Vec<_>>().join(", ");
        warning(
            WarningCode::GpusMeteredNotUsed,
            format!("leased and metered, and no layer of the model lies on it: {idle}; lease fewer GPUs"),
        )
    })
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
}
