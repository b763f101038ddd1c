use super::group::{Group, duration_sec};
use super::sources;
use super::sums::{ratio, whole};
use super::windows::union_sec;
use joulemark_measurement::EnergyMetrics;

/// Sums attributed energy over ranks and cycles, and the host's energy over cycles.
pub(super) fn aggregate(groups: &[Group<'_>]) -> EnergyMetrics {
    let attributed = |part: fn(&EnergyMetrics) -> Option<f64>| {
        whole(
            groups
                .iter()
                .flat_map(|group| &group.ranks)
                .map(|rank| part(&rank.energy)),
        )
    };
    let of_host = |part: fn(&EnergyMetrics) -> Option<f64>| whole(groups.iter().map(|group| group.host.and_then(part)));
    let gpu_energy_j = attributed(|energy| energy.gpu_energy_j);
    let cpu_energy_j = attributed(|energy| energy.cpu_energy_j);
    let dram_energy_j = attributed(|energy| energy.dram_energy_j);
    let duration_sec = duration_sec(groups);
    let ranks = groups.iter().flat_map(|group| &group.ranks);
    let has_gpus = ranks.into_iter().any(|rank| !rank.gpus.is_empty());
    let mut energy = EnergyMetrics {
        gpu_energy_j,
        cpu_energy_j,
        dram_energy_j,
        host_cpu_energy_j: of_host(|energy| energy.host_cpu_energy_j),
        host_dram_energy_j: of_host(|energy| energy.host_dram_energy_j),
        gpu_power_w: ratio(gpu_energy_j, duration_sec),
        cpu_power_w: ratio(cpu_energy_j, duration_sec),
        duration_sec,
        cpu_time_share: cpu_time_share(groups),
        sources: sources::aggregate(groups),
        host_other_energy_j: of_host(|energy| energy.host_other_energy_j),
        ..EnergyMetrics::default()
    };
    energy.total_energy_j = energy.sum_of_parts_j(has_gpus);
    energy.set_uncertainties();
    energy
}

/// Returns the experiment's share of CPU time, weighted by time, so that it is known even where energy is unknown: the
/// sum of each rank's share times its window, divided by the sum over cycles of the union of the windows.
fn cpu_time_share(groups: &[Group<'_>]) -> Option<f64> {
    let shared = whole(groups.iter().flat_map(|group| &group.ranks).map(|rank| {
        rank.energy
            .cpu_time_share
            .map(|share| share * rank.window.duration_sec())
    }));
    let covered = whole(groups.iter().map(|group| Some(union_sec(&group.windows()))));
    ratio(shared, covered).map(|share| share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{energy, host_cycle, rank_cycle};
    use crate::group::groups;

    #[test]
    fn attributed_energy_is_summed_over_ranks_and_host_energy_over_cycles() {
        let mut cycles = [
            rank_cycle(0, 0, 0.0, 10.0),
            rank_cycle(1, 0, 0.0, 10.0),
            rank_cycle(0, 1, 20.0, 30.0),
        ];
        for (cycle, (gpu, cpu, dram)) in
            cycles
                .iter_mut()
                .zip([(100.0, 20.0, 3.0), (200.0, 30.0, 4.0), (50.0, 5.0, 1.0)])
        {
            cycle.energy = energy(Some(gpu), Some(cpu), Some(dram));
        }
        let hosts = [host_cycle(0, 80.0, 10.0), host_cycle(1, 40.0, 6.0)];
        let sum = aggregate(&groups(&cycles, &hosts));
        assert_eq!(sum.gpu_energy_j, Some(350.0));
        assert_eq!(sum.cpu_energy_j, Some(55.0));
        assert_eq!(sum.dram_energy_j, Some(8.0));
        assert_eq!(sum.total_energy_j, Some(413.0));
        assert_eq!(sum.host_cpu_energy_j, Some(120.0));
        assert_eq!(sum.host_dram_energy_j, Some(16.0));
        assert_eq!(sum.duration_sec, Some(20.0));
        assert_eq!(sum.gpu_power_w, Some(17.5));
        assert_eq!(sum.cpu_power_w, Some(2.75));
    }

    #[test]
    fn a_part_unknown_in_one_cycle_is_unknown_in_the_sum_and_left_out_of_the_total() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 10.0), rank_cycle(0, 1, 10.0, 20.0)];
        cycles[0].energy = energy(None, Some(20.0), Some(3.0));
        cycles[1].energy = energy(None, Some(30.0), None);
        let sum = aggregate(&groups(&cycles, &[host_cycle(0, 80.0, 10.0)]));
        assert_eq!(sum.gpu_energy_j, None);
        assert_eq!(sum.dram_energy_j, None);
        assert_eq!(sum.total_energy_j, Some(50.0));
        assert_eq!(sum.host_cpu_energy_j, None, "the second cycle has no host reading");
    }

    #[test]
    fn a_total_without_the_energy_of_its_gpus_is_no_total() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 10.0)];
        cycles[0].energy = energy(None, Some(20.0), Some(3.0));
        cycles[0].gpus = vec!["GPU-a".to_owned()];
        let sum = aggregate(&groups(&cycles, &[]));
        assert_eq!((sum.total_energy_j, sum.cpu_energy_j), (None, Some(20.0)));
    }

    #[test]
    fn nothing_known_is_null_and_not_zero() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 10.0)];
        cycles[0].energy = energy(None, None, None);
        let sum = aggregate(&groups(&cycles, &[]));
        assert_eq!((sum.total_energy_j, sum.cpu_power_w), (None, None));
    }

    #[test]
    fn the_share_of_cpu_time_is_weighted_by_time() {
        let mut cycles = [
            rank_cycle(0, 0, 0.0, 10.0),
            rank_cycle(1, 0, 0.0, 5.0),
            rank_cycle(0, 1, 20.0, 30.0),
        ];
        for (cycle, share) in cycles.iter_mut().zip([0.5, 0.25, 0.25]) {
            cycle.energy.cpu_time_share = Some(share);
        }
        // (0.5 · 10 + 0.25 · 5 + 0.25 · 10) / (10 + 10)
        assert_eq!(aggregate(&groups(&cycles, &[])).cpu_time_share, Some(0.4375));
        cycles[1].energy.cpu_time_share = None;
        assert_eq!(aggregate(&groups(&cycles, &[])).cpu_time_share, None);
    }
}
