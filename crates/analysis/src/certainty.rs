use joulemark_measurement::{Confidence, EnergyDomain, EnergyMethod, EnergyMetrics, EnergySourceKind, SourceReading};

/// A part of `total_energy_j`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnergyPart {
    Gpu,
    Cpu,
    Dram,
}

impl EnergyPart {
    /// All parts, in the order of results.
    pub const ALL: [Self; 3] = [Self::Gpu, Self::Cpu, Self::Dram];

    /// Returns the domain of the part's sources.
    fn domain(self) -> EnergyDomain {
        match self {
            Self::Gpu => EnergyDomain::Gpu,
            Self::Cpu => EnergyDomain::Package,
            Self::Dram => EnergyDomain::Dram,
        }
    }

    /// Returns the name of the part's energy, without the unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu_energy",
            Self::Cpu => "cpu_energy",
            Self::Dram => "dram_energy",
        }
    }
}

/// Kinds and methods of a part's sources, each once, and the lowest of their confidences; `confidence` is `None`
/// without a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Certainty {
    pub sources: Vec<EnergySourceKind>,
    pub methods: Vec<EnergyMethod>,
    pub confidence: Option<Confidence>,
}

/// Returns the kinds, methods and confidence of a part's counted sources.
pub fn certainty(energy: &EnergyMetrics, part: EnergyPart) -> Certainty {
    let mut found = Certainty::default();
    for reading in counted(energy, part) {
        found.sources.push(reading.source);
        found.methods.push(reading.method);
    }
    found.sources.sort();
    found.sources.dedup();
    found.methods.sort();
    found.methods.dedup();
    found.confidence = counted(energy, part).map(|reading| reading.confidence).min();
    found
}

/// Returns the readings of a part that the total includes.
fn counted(energy: &EnergyMetrics, part: EnergyPart) -> impl Iterator<Item = &SourceReading> {
    let domain = part.domain();
    let sources = energy.sources.iter();
    sources.filter(move |reading| reading.domain == domain && reading.counted_in_total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{energy, gpu_source, package_source};

    fn reading(source: SourceReading, uncertainty_j: Option<f64>) -> SourceReading {
        SourceReading {
            uncertainty_j,
            counted_in_total: true,
            ..source
        }
    }

    fn measured(gpus: &[Option<f64>], package: Option<f64>) -> EnergyMetrics {
        let gpus = gpus.iter().map(|half| reading(gpu_source("GPU-a", 50.0), *half));
        let mut found = EnergyMetrics {
            total_energy_j: Some(120.0),
            host_cpu_energy_j: Some(80.0),
            sources: gpus.chain([reading(package_source(80.0), package)]).collect(),
            ..energy(Some(100.0), Some(20.0), None)
        };
        found.set_uncertainties();
        found
    }

    #[test]
    fn half_widths_are_added_and_the_hosts_is_shared_out() {
        let found = measured(&[Some(2.0), Some(3.0)], Some(8.0));
        assert_eq!(found.gpu_energy_uncertainty_j, Some(5.0));
        assert_eq!(found.cpu_energy_uncertainty_j, Some(2.0), "a quarter of the host's");
        assert_eq!(found.host_cpu_energy_uncertainty_j, Some(8.0));
        assert_eq!(found.dram_energy_uncertainty_j, None);
        assert_eq!(found.total_energy_uncertainty_j, Some(7.0));
    }

    #[test]
    fn one_unknown_half_width_makes_the_total_unknown() {
        assert_eq!(measured(&[Some(2.0), None], Some(8.0)).total_energy_uncertainty_j, None);
        assert_eq!(measured(&[Some(2.0)], None).total_energy_uncertainty_j, None);
        let mut unknown = EnergyMetrics::default();
        unknown.set_uncertainties();
        assert_eq!(unknown, EnergyMetrics::default());
    }

    #[test]
    fn a_part_is_as_sure_as_its_least_sure_source() {
        let mut found = measured(&[Some(2.0), Some(3.0)], Some(8.0));
        found.sources[1].confidence = Confidence::Low;
        found.sources[1].method = EnergyMethod::Estimate;
        let of_gpus = certainty(&found, EnergyPart::Gpu);
        assert_eq!(of_gpus.confidence, Some(Confidence::Low));
        assert_eq!(of_gpus.methods.len(), 2);
        assert_eq!(of_gpus.sources, [EnergySourceKind::Nvml]);
        assert_eq!(certainty(&found, EnergyPart::Dram), Certainty::default());
    }

    #[test]
    fn what_is_not_in_the_total_is_not_in_its_uncertainty() {
        let mut found = measured(&[Some(2.0), Some(3.0)], Some(8.0));
        found.sources[0].counted_in_total = false;
        found.set_uncertainties();
        assert_eq!(found.gpu_energy_uncertainty_j, Some(3.0));
    }

    proptest! {
        #[test]
        fn the_total_is_never_surer_than_a_part(halves in prop::collection::vec(0.0..1e6, 1..5), package in 0.0..1e6) {
            let halves = halves.into_iter().map(Some).collect::<Vec<_>>();
            let found = measured(&halves, Some(package));
            let total = found.total_energy_uncertainty_j.unwrap();
            for part in [found.gpu_energy_uncertainty_j, found.cpu_energy_uncertainty_j] {
                prop_assert!(part.unwrap() <= total);
            }
        }
    }
}
