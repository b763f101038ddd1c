//! Half-widths of energies, combined from the half-widths of their sources. Leaves the half-width of a single source to
//! the meter.

use super::{EnergyDomain, EnergyMetrics};

impl EnergyMetrics {
    /// Sets the half-width of every energy. The half-widths of the counted sources are added linearly, because the
    /// error of a sensor or an estimate is the same in each window; the sum is an upper bound. An attributed energy
    /// gets the same share of the host's half-width as of the host's energy; the error of the split by CPU time is not
    /// included. A half-width is `None` where the energy or the half-width of a source is unknown.
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

    /// Sums the half-widths of the known parts of the total; `None` where one of them is unknown.
    fn half_width_of_parts_j(&self) -> Option<f64> {
        let parts = [
            (self.gpu_energy_j, self.gpu_energy_uncertainty_j),
            (self.cpu_energy_j, self.cpu_energy_uncertainty_j),
            (self.dram_energy_j, self.dram_energy_uncertainty_j),
        ];
        let in_total = parts.into_iter().filter(|(energy_j, _)| energy_j.is_some());
        in_total.map(|(_, half_width_j)| half_width_j).sum()
    }

    /// Sums the half-widths of a domain's counted sources; `None` where one is unknown or there is no source.
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

/// Scales the host's half-width by the attributed share of its energy; `None` where a value is unknown or the host's
/// energy is not above 0.
fn part_of(half_width_j: Option<f64>, own_j: Option<f64>, host_j: Option<f64>) -> Option<f64> {
    let host_j = host_j.filter(|host_j| *host_j > 0.0)?;
    Some(half_width_j? * own_j? / host_j)
}
