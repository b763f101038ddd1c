use super::sums::{ratio, whole};
use joulemark_measurement::{Confidence, EnergyDomain, EnergyMethod, EnergyMetrics, EnergySourceKind, SourceReading};

/// A part of `total_energy_j`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnergyPart {
    Gpu,
    Cpu,
    Dram,
}

impl EnergyPart {
    pub const ALL: [Self; 3] = [Self::Gpu, Self::Cpu, Self::Dram];

    fn domain(self) -> EnergyDomain {
        match self {
            Self::Gpu => EnergyDomain::Gpu,
            Self::Cpu => EnergyDomain::Package,
            Self::Dram => EnergyDomain::Dram,
        }
    }

    /// The experiment's own joules.
    fn own_j(self, energy: &EnergyMetrics) -> Option<f64> {
        match self {
            Self::Gpu => energy.gpu_energy_j,
            Self::Cpu => energy.cpu_energy_j,
            Self::Dram => energy.dram_energy_j,
        }
    }
}

/// What the sources of a part are, each kind once, and the least sure of their confidences; none of no source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Certainty {
    pub sources: Vec<EnergySourceKind>,
    pub methods: Vec<EnergyMethod>,
    pub confidence: Option<Confidence>,
}

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

/// Half-width in joules of the interval around the experiment's own part. The stated half-widths of its sources are
/// added, not in quadrature, as over cycles. Of what is the host's it is the experiment's share: how exact the split by
/// CPU time is, is not in it. None where the part or one of the half-widths is unknown.
pub fn uncertainty_j(energy: &EnergyMetrics, part: EnergyPart) -> Option<f64> {
    let own_j = part.own_j(energy)?;
    let sum_j = whole(counted(energy, part).map(|reading| reading.uncertainty_j))?;
    let share = match part {
        EnergyPart::Gpu => Some(1.0),
        EnergyPart::Cpu => ratio(Some(own_j), energy.host_cpu_energy_j),
        EnergyPart::Dram => ratio(Some(own_j), energy.host_dram_energy_j),
    };
    share.map(|share| sum_j * share)
}

/// Likewise of `total_energy_j`: the sum over the parts that are in it.
pub fn total_uncertainty_j(energy: &EnergyMetrics) -> Option<f64> {
    energy.total_energy_j?;
    let parts = EnergyPart::ALL.into_iter().filter(|part| part.own_j(energy).is_some());
    whole(parts.map(|part| uncertainty_j(energy, part)))
}

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
        EnergyMetrics {
            total_energy_j: Some(120.0),
            host_cpu_energy_j: Some(80.0),
            sources: gpus.chain([reading(package_source(80.0), package)]).collect(),
            ..energy(Some(100.0), Some(20.0), None)
        }
    }

    #[test]
    fn half_widths_are_added_and_the_hosts_is_shared_out() {
        let found = measured(&[Some(2.0), Some(3.0)], Some(8.0));
        assert_eq!(uncertainty_j(&found, EnergyPart::Gpu), Some(5.0));
        assert_eq!(
            uncertainty_j(&found, EnergyPart::Cpu),
            Some(2.0),
            "a quarter of the host's"
        );
        assert_eq!(uncertainty_j(&found, EnergyPart::Dram), None);
        assert_eq!(total_uncertainty_j(&found), Some(7.0));
    }

    #[test]
    fn one_unknown_half_width_makes_the_total_unknown() {
        assert_eq!(total_uncertainty_j(&measured(&[Some(2.0), None], Some(8.0))), None);
        assert_eq!(total_uncertainty_j(&measured(&[Some(2.0)], None)), None);
        assert_eq!(total_uncertainty_j(&EnergyMetrics::default()), None);
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
        assert_eq!(uncertainty_j(&found, EnergyPart::Gpu), Some(3.0));
    }

    proptest! {
        #[test]
        fn the_total_is_never_surer_than_a_part(halves in prop::collection::vec(0.0..1e6, 1..5), package in 0.0..1e6) {
            let halves = halves.into_iter().map(Some).collect::<Vec<_>>();
            let found = measured(&halves, Some(package));
            let total = total_uncertainty_j(&found).unwrap();
            for part in [EnergyPart::Gpu, EnergyPart::Cpu] {
                prop_assert!(uncertainty_j(&found, part).unwrap() <= total);
            }
        }
    }
}
