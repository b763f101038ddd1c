use proptest::prelude::*;

use super::*;
use crate::fixtures::{energy, host_cycle, rank_cycle};

#[test]
fn two_ranks_and_two_cycles_sum_to_what_a_hand_finds() {
    // 4 output and 5 input tokens each; 4 GFLOP each; 20 J of CPU and 2 J of memory each.
    let cycles = [
        rank_cycle(0, 0, 0.0, 4.0),
        rank_cycle(1, 0, 1.0, 6.0),
        rank_cycle(0, 1, 10.0, 14.0),
        rank_cycle(1, 1, 10.0, 12.0),
    ];
    let sum = aggregate(&cycles, &[host_cycle(0, 80.0, 10.0), host_cycle(1, 60.0, 8.0)]);
    assert_eq!(sum.inference.total_tokens, Some(36));
    assert_eq!(sum.inference.output_tokens, Some(16));
    // Unions of 6 s and 4 s.
    assert_eq!(sum.energy.duration_sec, Some(10.0));
    assert_eq!(sum.inference.inference_time_sec, Some(10.0));
    // Rates of 1, 0.8, 1 and 2 tokens/s.
    assert!((sum.inference.tokens_per_second.unwrap() - 1.2).abs() < 1e-12);
    assert!((sum.inference.latency_per_token_ms.unwrap() - 1000.0 / 1.2).abs() < 1e-9);
    assert_eq!(sum.energy.total_energy_j, Some(88.0));
    assert_eq!(sum.compute.flops_total, Some(16e9));
    assert_eq!(sum.compute.flops_per_second, Some(1.6e9));
    assert_eq!(sum.efficiency.tokens_per_joule, Some(36.0 / 88.0));
    assert_eq!(sum.efficiency.joules_per_output_token, Some(5.5));
    assert_eq!(sum.efficiency.effective_throughput, Some(3.6));
    // 8.8 W over 1.6 output tokens/s of both ranks together.
    assert!((sum.efficiency.watts_per_token_per_second.unwrap() - 5.5).abs() < 1e-12);
    let durations: Vec<_> = sum
        .cycles
        .iter()
        .map(|cycle| (cycle.cycle, cycle.energy.duration_sec))
        .collect();
    assert_eq!(durations, [(0, Some(6.0)), (1, Some(4.0))]);
    assert_eq!(sum.cycles[1].energy.host_cpu_energy_j, Some(60.0));
}

#[test]
fn latencies_are_over_all_requests_and_not_means_of_means() {
    // Gaps of 1000 ms three times, and of 100 ms three times.
    let sum = aggregate(&[rank_cycle(0, 0, 0.0, 4.0), rank_cycle(0, 1, 10.0, 10.4)], &[]);
    assert!((sum.inference.median_itl_ms.unwrap() - 550.0).abs() < 1e-6);
    assert!((sum.inference.p99_itl_ms.unwrap() - 1000.0).abs() < 1e-6);
    assert!((sum.inference.mean_ttft_ms.unwrap() - 550.0).abs() < 1e-6);
}

#[test]
fn one_cycle_is_reported_as_the_whole_experiment() {
    let cycles = [rank_cycle(0, 3, 0.0, 4.0)];
    let sum = aggregate(&cycles, &[host_cycle(3, 80.0, 10.0)]);
    let only = &sum.cycles[0];
    assert_eq!(
        (&only.inference, &only.energy, &only.compute),
        (&sum.inference, &sum.energy, &sum.compute)
    );
    assert_eq!(only.efficiency, sum.efficiency);
}

#[test]
fn nothing_measured_is_null_everywhere() {
    let sum = aggregate(&[], &[]);
    assert_eq!(sum.inference, InferenceMetrics::default());
    assert_eq!(sum.energy, EnergyMetrics::default());
    assert_eq!(sum.compute, ComputeMetrics::default());
    assert!(sum.cycles.is_empty());
}

prop_compose! {
    fn any_energy()(
        gpu in prop::option::weighted(0.9, 0.0f64..1e4),
        cpu in prop::option::weighted(0.9, 0.0f64..1e3),
        dram in prop::option::weighted(0.9, 0.0f64..1e2),
    ) -> EnergyMetrics {
        energy(gpu, cpu, dram)
    }
}

prop_compose! {
    fn any_run()(ranks in 1u32..5, cycles in 1u32..5)(
        parts in prop::collection::vec((0.0f64..2.0, 0.1f64..30.0, any_energy()), (ranks * cycles) as usize),
        ranks in Just(ranks),
    ) -> Vec<RankCycle> {
        parts.into_iter().enumerate().map(|(index, (delay, length, energy))| {
            let (rank, cycle) = (index as u32 % ranks, index as u32 / ranks);
            let start = 100.0 * f64::from(cycle) + delay;
            RankCycle { energy, ..rank_cycle(rank, cycle, start, start + length) }
        }).collect()
    }
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
        (a, b) => a == b,
    }
}

proptest! {
    #[test]
    fn the_whole_is_the_sum_of_its_cycles(run in any_run()) {
        let sum = aggregate(&run, &[]);
        let over = |part: fn(&CycleReport) -> Option<f64>| sum.cycles.iter().map(part).sum::<Option<f64>>();
        let tokens: Option<u64> = sum.cycles.iter().map(|cycle| cycle.inference.total_tokens).sum();
        prop_assert_eq!(sum.inference.total_tokens, tokens);
        prop_assert!(close(sum.energy.duration_sec, over(|cycle| cycle.energy.duration_sec)));
        prop_assert!(close(sum.energy.gpu_energy_j, over(|cycle| cycle.energy.gpu_energy_j)));
        prop_assert!(close(sum.energy.cpu_energy_j, over(|cycle| cycle.energy.cpu_energy_j)));
        prop_assert!(close(sum.energy.dram_energy_j, over(|cycle| cycle.energy.dram_energy_j)));
        prop_assert!(close(sum.compute.flops_total, over(|cycle| cycle.compute.flops_total)));
    }

    #[test]
    fn a_part_is_known_only_where_every_rank_and_cycle_knows_it(run in any_run()) {
        let sum = aggregate(&run, &[]).energy;
        prop_assert_eq!(sum.gpu_energy_j.is_some(), run.iter().all(|rank| rank.energy.gpu_energy_j.is_some()));
        prop_assert_eq!(sum.cpu_energy_j.is_some(), run.iter().all(|rank| rank.energy.cpu_energy_j.is_some()));
        let parts = [sum.gpu_energy_j, sum.cpu_energy_j, sum.dram_energy_j];
        let total = parts.iter().any(Option::is_some).then(|| parts.iter().flatten().sum());
        prop_assert!(close(sum.total_energy_j, total));
    }

    #[test]
    fn ratios_can_be_recomputed_from_their_parts(run in any_run()) {
        let sum = aggregate(&run, &[]);
        let tokens = sum.inference.total_tokens.unwrap() as f64;
        let seconds = sum.energy.duration_sec.unwrap();
        prop_assert!(close(sum.efficiency.effective_throughput, Some(tokens / seconds)));
        if let Some(joules) = sum.energy.total_energy_j.filter(|joules| *joules > 0.0) {
            prop_assert!(close(sum.efficiency.tokens_per_joule, Some(tokens / joules)));
            prop_assert!(close(sum.efficiency.joules_per_token, Some(joules / tokens)));
            prop_assert!(close(sum.efficiency.flop_per_joule, sum.compute.flops_total.map(|flops| flops / joules)));
            prop_assert!(close(
                sum.efficiency.watts_per_token_per_second,
                sum.efficiency.joules_per_output_token,
            ));
        }
    }

    #[test]
    fn the_order_of_measurements_does_not_matter(run in any_run()) {
        let mut reversed = run.clone();
        reversed.reverse();
        let (a, b) = (aggregate(&run, &[]), aggregate(&reversed, &[]));
        prop_assert!(close(a.energy.total_energy_j, b.energy.total_energy_j));
        prop_assert!(close(a.inference.tokens_per_second, b.inference.tokens_per_second));
        prop_assert!(close(a.inference.p99_itl_ms, b.inference.p99_itl_ms));
        prop_assert_eq!(a.cycles.len(), b.cycles.len());
    }
}
