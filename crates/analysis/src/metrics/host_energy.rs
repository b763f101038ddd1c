use super::metric::{EnergyOf, Group, Metric};
use super::{all, find};

impl Metric {
    /// Returns whether the metric is computed from the energy of CPUs or memory, which is an estimate on a host without
    /// energy counters. The energy of GPUs alone is always measured.
    pub fn uses_host_energy(&self) -> bool {
        let is_energy = match self.group {
            Group::Energy(EnergyOf::Window | EnergyOf::Gpus) => false,
            Group::Energy(_) => matches!(self.unit, "J" | "W"),
            _ => false,
        };
        let mut parts = self.parts().into_iter().filter_map(|part| find(all(), part));
        is_energy || parts.any(|part| part.name != self.name && part.uses_host_energy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_of_the_total_use_host_energy_and_figures_of_gpus_or_times_do_not() {
        let uses = |name: &str| find(all(), name).expect("a metric").uses_host_energy();
        for name in [
            "total_energy_j",
            "cpu_energy_j",
            "joules_per_output_token",
            "tokens_per_joule",
            "cpu_power_w",
        ] {
            assert!(uses(name), "{name}");
        }
        for name in [
            "gpu_energy_j",
            "gpu_power_w",
            "mean_ttft_ms",
            "output_throughput",
            "flops_total",
            "duration_sec",
        ] {
            assert!(!uses(name), "{name}");
        }
    }
}
