//! Half-widths of energies from those of their sources. Owns the one rule by which they are combined; leaves how a
//! source's own half-width is found to the meter.

use super::{EnergyDomain, EnergyMetrics};

impl EnergyMetrics {
    /// Sets the half-width of every energy from those of its counted sources, which are added, never in quadrature: the
    /// error of an estimate, or of a sensor, is the same in each window, and a sum of half-widths is too wide at worst.
    /// The experiment's part of what is the host's gets the same part of the host's half-width; how exact the split by
    /// CPU time is, is not in it. A half-width is `None` where the energy or the half-width of a source is unknown.
    pub fn set_uncertainties(&mut self) {
        let of_packages = self.half_width_j(EnergyDomain::Package);
        let of_memory = self.half_width_j(EnergyDomain::Dram);
        self.gpu_energy_uncertainty_j = self.gpu_energy_j.and_then(|_| self.half_width_j(EnergyDomain::Gpu));
        self.host_cpu_energy_uncertainty_j = self.host_cpu_energy_j.and(of_packages);
        self.host_dram_energy_uncertainty_j = self.host_dram_energy_j.and(of_memory);
        self.cpu_energy_uncertainty_j = part_of(of_packages, self.cpu_energy_j, self.host_cpu_energy_j);
        self.dram_energy_uncertainty_j = part_of(of_memory, self.dram_energy_j, self.host_dram_energy_j);
        self.total_energy_uncertainty_j = self.total_energy_j.and_then(|_| self.half_width_of_parts_j());
    }

    fn half_width_of_parts_j(&self) -> Option<f64> {
        let parts = [
            (self.gpu_energy_j, self.gpu_energy_uncertainty_j),
            (self.cpu_energy_j, self.cpu_energy_uncertainty_j),
            (self.dram_energy_j, self.dram_energy_uncertainty_j),
        ];
        let in_total = parts.into_iter().filter(|(energy_j, _)| energy_j.is_some());
        in_total.map(|(_, half_width_j)| half_width_j).sum()
    }

    /// Sums the half-widths of the counted sources of a domain; `None` where one is unknown, or there is no source.
    fn half_width_j(&self, domain: EnergyDomain) -> Option<f64> {
        let of_domain = |counted, its| counted && its == domain;
        let mut sources = self
            .sources
            .iter()
            .filter(|source| of_domain(source.counted_in_total, source.domain))
            .peekable();
        sources.peek()?;
        sources.map(|source| source.uncertainty_j).sum()
    }
}

fn part_of(half_width_j: Option<f64>, own_j: Option<f64>, host_j: Option<f64>) -> Option<f64> {
    let host_j = host_j.filter(|host_j| *host_j > 0.0)?;
    Some(half_width_j? * own_j? / host_j)
}
