use std::collections::{BTreeMap, BTreeSet};

use crate::metrics::Metric;
use joulemark_experiment::report::CycleReport;
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergyMetrics, SourceReading};

/// Divisors that turn a half-width into a standard deviation: of a 95 % interval, and of bounds within which all values
/// are equally likely (GUM, JCGM 100:2008, 4.3.7), such as a maker's accuracy or the assumed bounds of an estimate.
const OF_INTERVAL: f64 = 1.959_964;
const OF_BOUNDS: f64 = 1.732_051;

/// Instruments that metered the energy in a metric, over all cycles.
#[derive(Clone, Debug, PartialEq)]
pub struct Instrument {
    /// Parts of the energy that are included: the boundary.
    parts: BTreeSet<EnergyDomain>,
    /// Methods by which the energy of each part was obtained.
    methods: BTreeMap<EnergyDomain, BTreeSet<EnergyMethod>>,
    /// Identities of the sources on their host.
    sources: BTreeSet<(EnergyDomain, String, &'static str)>,
    /// Standard deviation of the error that all cycles share, as a share of the energy; `None` where it is unknown.
    pub deviation: Option<f64>,
    /// Whether the standard deviation lacks the accuracy of a source, because its maker states none.
    pub lacks_accuracy: bool,
}

/// Function that reads a part of the energy and its half-width.
type Part = fn(&EnergyMetrics) -> (Option<f64>, Option<f64>);

const ATTRIBUTED: [(EnergyDomain, Part); 3] = [
    (EnergyDomain::Gpu, |energy| {
        (energy.gpu_energy_j, energy.gpu_energy_uncertainty_j)
    }),
    (EnergyDomain::Package, |energy| {
        (energy.cpu_energy_j, energy.cpu_energy_uncertainty_j)
    }),
    (EnergyDomain::Dram, |energy| {
        (energy.dram_energy_j, energy.dram_energy_uncertainty_j)
    }),
];
const OF_HOST: [(EnergyDomain, Part); 2] = [
    (EnergyDomain::Package, |energy| {
        (energy.host_cpu_energy_j, energy.host_cpu_energy_uncertainty_j)
    }),
    (EnergyDomain::Dram, |energy| {
        (energy.host_dram_energy_j, energy.host_dram_energy_uncertainty_j)
    }),
];

/// Returns the parts of the energy that a metric includes; empty for a metric without energy.
fn parts_of(metric: &Metric) -> &'static [(EnergyDomain, Part)] {
    match metric.name {
        "total_energy_j" => &ATTRIBUTED,
        "gpu_energy_j" | "gpu_power_w" => &ATTRIBUTED[..1],
        "cpu_energy_j" | "cpu_power_w" => &ATTRIBUTED[1..2],
        "dram_energy_j" => &ATTRIBUTED[2..],
        "host_cpu_energy_j" => &OF_HOST[..1],
        "host_dram_energy_j" => &OF_HOST[1..],
        "host_idle_energy_j" | "host_other_energy_j" => &OF_HOST,
        _ if metric.parts().contains(&"total_energy_j") => &ATTRIBUTED,
        _ => &[],
    }
}

impl Instrument {
    /// Returns the instruments that metered the energy in a metric; `None` for a metric without energy.
    ///
    /// # Errors
    /// Returns an error where the energies of cycles have different parts.
    pub fn of(metric: &Metric, cycles: &[CycleReport]) -> Option<Result<Self, String>> {
        let metered = parts_of(metric);
        (!metered.is_empty() && !cycles.is_empty()).then(|| Self::of_parts(metered, cycles))
    }

    /// Returns the instruments of some parts of the energy.
    fn of_parts(metered: &[(EnergyDomain, Part)], cycles: &[CycleReport]) -> Result<Self, String> {
        let known_in = |cycle: &CycleReport| -> BTreeSet<EnergyDomain> {
            let known = metered.iter().filter(|(_, part)| part(&cycle.energy).0.is_some());
            known.map(|(domain, _)| *domain).collect()
        };
        let parts = known_in(&cycles[0]);
        if let Some(other) = cycles.iter().find(|cycle| known_in(cycle) != parts) {
            return Err(format!(
                "its energy includes {} in cycle {} and {} in cycle {}",
                words(&parts),
                cycles[0].cycle,
                words(&known_in(other)),
                other.cycle
            ));
        }
        let mut methods: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut sources = BTreeSet::new();
        for reading in counted(cycles, &parts) {
            methods.entry(reading.domain).or_default().insert(reading.method);
            let place = reading.gpu_uuid.as_ref().or(reading.zone_path.as_ref());
            sources.insert((
                reading.domain,
                place.cloned().unwrap_or_default(),
                reading.source.as_str(),
            ));
        }
        let lacks_accuracy = counted(cycles, &parts)
            .any(|reading| reading.method != EnergyMethod::Estimate && reading.instrument_accuracy_percent.is_none());
        let mut instrument = Self {
            parts,
            methods,
            sources,
            deviation: None,
            lacks_accuracy,
        };
        instrument.deviation = instrument.deviation_over(metered, cycles);
        Ok(instrument)
    }

    /// Returns the standard deviation of the shared error, from the half-widths of reading and the makers' accuracies.
    /// Each is added over parts and cycles, because an error may be the same in all of them. `None` where an energy or
    /// a half-width is unknown.
    fn deviation_over(&self, metered: &[(EnergyDomain, Part)], cycles: &[CycleReport]) -> Option<f64> {
        let (mut total_j, mut missed_j, mut allowed_j) = (0.0, 0.0, 0.0);
        for (domain, part) in metered.iter().filter(|(domain, _)| self.parts.contains(domain)) {
            let divisor = if self.is_estimate_of(*domain) {
                OF_BOUNDS
            } else {
                OF_INTERVAL
            };
            let accuracy = accuracy(cycles, *domain);
            for cycle in cycles {
                let (energy_j, half_width_j) = part(&cycle.energy);
                let energy_j = energy_j?;
                total_j += energy_j;
                missed_j += half_width_j? / divisor;
                allowed_j += energy_j * accuracy / OF_BOUNDS;
            }
        }
        (total_j > 0.0).then(|| (missed_j / total_j).hypot(allowed_j / total_j))
    }

    /// Returns whether a part's energy is an estimate.
    fn is_estimate_of(&self, domain: EnergyDomain) -> bool {
        self.methods
            .get(&domain)
            .is_some_and(|methods| methods.contains(&EnergyMethod::Estimate))
    }

    /// Returns whether any part is an estimate.
    pub fn is_estimate(&self) -> bool {
        self.parts.iter().any(|domain| self.is_estimate_of(*domain))
    }

    /// Returns whether both were read by the same sources, provided that they are on the same host.
    pub fn has_sources_of(&self, other: &Self) -> bool {
        self.sources == other.sources
    }

    /// Returns the reasons why two energies cannot be compared; empty where they can.
    pub fn differences(&self, candidate: &Self) -> Vec<String> {
        if self.parts != candidate.parts {
            return vec![format!(
                "different boundary: the energy of {} in the baseline, of {} in the candidate",
                words(&self.parts),
                words(&candidate.parts)
            )];
        }
        let differing = self
            .parts
            .iter()
            .filter(|part| self.methods.get(part) != candidate.methods.get(part));
        let reason = |part: &EnergyDomain| {
            format!(
                "different kind of source: {} by {} in the baseline, by {} in the candidate",
                name(*part),
                self.methods_of(*part),
                candidate.methods_of(*part)
            )
        };
        differing.map(reason).collect()
    }

    /// Returns the methods of a part in words.
    fn methods_of(&self, part: EnergyDomain) -> String {
        let methods = self.methods.get(&part).into_iter().flatten();
        let words: Vec<_> = methods.map(|method| kind(*method)).collect();
        if words.is_empty() {
            "an unknown source".to_owned()
        } else {
            words.join(" and ")
        }
    }
}

/// Returns the readings of these parts that the total includes.
fn counted<'a>(
    cycles: &'a [CycleReport],
    parts: &'a BTreeSet<EnergyDomain>,
) -> impl Iterator<Item = &'a SourceReading> {
    let readings = cycles.iter().flat_map(|cycle| &cycle.energy.sources);
    readings.filter(|reading| reading.counted_in_total && parts.contains(&reading.domain))
}

/// Returns the accuracy that the makers of a part's sources state, as a share of its energy; a source without a stated
/// accuracy counts as 0.
fn accuracy(cycles: &[CycleReport], domain: EnergyDomain) -> f64 {
    let parts = BTreeSet::from([domain]);
    let (energy_j, allowed_j) = counted(cycles, &parts).fold((0.0, 0.0), |(energy_j, allowed_j), reading| {
        let of_reading = reading.energy_j.unwrap_or(0.0);
        let percent = reading.instrument_accuracy_percent.unwrap_or(0.0);
        (energy_j + of_reading, allowed_j + of_reading * percent / 100.0)
    });
    if energy_j > 0.0 { allowed_j / energy_j } else { 0.0 }
}

/// Returns the name of a part.
fn name(domain: EnergyDomain) -> &'static str {
    match domain {
        EnergyDomain::Gpu => "GPUs",
        EnergyDomain::Package => "CPU packages",
        EnergyDomain::Dram => "memory",
        other => other.as_str(),
    }
}

/// Returns the names of parts, separated by commas.
fn words(parts: &BTreeSet<EnergyDomain>) -> String {
    let names: Vec<_> = parts.iter().map(|part| name(*part)).collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

/// Returns the name of a method.
fn kind(method: EnergyMethod) -> &'static str {
    match method {
        EnergyMethod::EnergyCounter => "a counter",
        EnergyMethod::PowerIntegration => "polled power",
        EnergyMethod::Estimate => "an estimate",
    }
}
