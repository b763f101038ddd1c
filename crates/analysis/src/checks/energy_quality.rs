use std::collections::BTreeMap;

use super::warning::warning;
use joulemark_experiment::{Warning, WarningCode};
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergyMetrics, RankCycle, SourceReading};

/// Warns about parts that the total lacks, and about sources that are estimates.
pub fn check(cycles: &[RankCycle], total: &EnergyMetrics) -> Vec<Warning> {
    let mut warnings = missing_parts(total);
    warnings.extend(unreadable(total));
    warnings.extend(estimates(cycles, total));
    warnings
}

/// Warns about each zone whose energy is unknown, with the reason.
fn unreadable(total: &EnergyMetrics) -> impl Iterator<Item = Warning> {
    let is_summed = |source: &&SourceReading| matches!(source.domain, EnergyDomain::Package | EnergyDomain::Dram);
    let unknown = total
        .sources
        .iter()
        .filter(is_summed)
        .filter(|source| source.energy_j.is_none());
    unknown.map(|source| {
        let zone = source.zone.as_deref().unwrap_or("host");
        let path = source.zone_path.as_deref().unwrap_or("no zone");
        let why = source.note.as_deref().unwrap_or("the reason is unknown");
        warning(
            WarningCode::EnergyIncomplete,
            format!("the energy of {zone} ({path}) is unknown: {why}"),
        )
    })
}

/// Warns about parts that are not included in the total.
fn missing_parts(total: &EnergyMetrics) -> Vec<Warning> {
    // A null total has its own warning. A total that is known always includes its GPUs.
    if total.total_energy_j.is_none() {
        return Vec::new();
    }
    let parts = [
        ("cpu_energy_j", total.cpu_energy_j),
        ("dram_energy_j", total.dram_energy_j),
    ];
    let missing = parts.into_iter().filter(|(_, energy_j)| energy_j.is_none());
    let message = |part| format!("{part} is unknown and not included in total_energy_j");
    missing
        .map(|(part, _)| warning(WarningCode::EnergyIncomplete, message(part)))
        .collect()
}

/// Warns about each kind of source that is an estimate.
fn estimates(cycles: &[RankCycle], total: &EnergyMetrics) -> Vec<Warning> {
    let of_ranks = cycles.iter().flat_map(|cycle| &cycle.energy.sources);
    let mut estimated = BTreeMap::new();
    for source in total.sources.iter().chain(of_ranks) {
        if source.counted_in_total && source.method == EnergyMethod::Estimate && source.energy_j.is_some() {
            estimated.entry((source.domain, source.source)).or_insert(source);
        }
    }
    let message = |source: &SourceReading| {
        let basis = source.note.as_deref().unwrap_or(&source.uncertainty_basis);
        format!(
            "{} energy is an estimate, not a measurement: {basis}",
            word(source.domain)
        )
    };
    estimated
        .into_values()
        .map(|source| warning(WarningCode::EnergyEstimated, message(source)))
        .collect()
}

/// Returns the name of a domain for messages.
fn word(domain: EnergyDomain) -> &'static str {
    match domain {
        EnergyDomain::Gpu => "GPU",
        EnergyDomain::Package => "CPU",
        EnergyDomain::Dram => "memory",
        EnergyDomain::Core => "CPU core",
        EnergyDomain::Uncore => "CPU uncore",
        EnergyDomain::Psys => "platform",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{energy, package_source, rank_cycle};

    fn codes(warnings: &[Warning]) -> Vec<WarningCode> {
        warnings.iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn unreadable_memory_is_reported_as_missing_from_the_total() {
        let warnings = check(&[], &energy(None, Some(20.0), None));
        assert_eq!(codes(&warnings), [WarningCode::EnergyIncomplete]);
        assert_eq!(
            warnings[0].message,
            "dram_energy_j is unknown and not included in total_energy_j"
        );
    }

    #[test]
    fn an_estimate_is_reported_once_with_its_assumptions() {
        let estimate = SourceReading {
            method: EnergyMethod::Estimate,
            note: Some("10 W a core".to_owned()),
            ..package_source(20.0)
        };
        let mut cycles = [rank_cycle(0, 0, 0.0, 1.0), rank_cycle(1, 0, 0.0, 1.0)];
        for cycle in &mut cycles {
            cycle.energy.sources = vec![estimate.clone()];
        }
        let total = EnergyMetrics {
            sources: vec![estimate],
            ..energy(None, Some(20.0), Some(1.0))
        };
        let warnings = check(&cycles, &total);
        assert_eq!(codes(&warnings), [WarningCode::EnergyEstimated]);
        assert_eq!(
            warnings[0].message,
            "CPU energy is an estimate, not a measurement: 10 W a core"
        );
    }

    #[test]
    fn a_zone_that_could_not_be_read_is_named_with_the_reason() {
        let forbidden = SourceReading {
            energy_j: None,
            note: Some("permission denied".to_owned()),
            ..package_source(20.0)
        };
        let (zone, path) = (forbidden.zone.clone(), forbidden.zone_path.clone());
        let total = EnergyMetrics {
            sources: vec![forbidden],
            ..energy(None, None, None)
        };
        let warnings = check(&[], &total);
        assert_eq!(codes(&warnings), [WarningCode::EnergyIncomplete]);
        let named = format!("{} ({})", zone.expect("a name"), path.expect("a path"));
        assert_eq!(
            warnings[0].message,
            format!("the energy of {named} is unknown: permission denied")
        );
    }

    #[test]
    fn an_estimate_outside_the_total_is_not_warned_of() {
        let beside = SourceReading {
            method: EnergyMethod::Estimate,
            counted_in_total: false,
            ..package_source(20.0)
        };
        let total = EnergyMetrics {
            sources: vec![beside],
            ..energy(None, Some(20.0), Some(1.0))
        };
        assert_eq!(check(&[], &total), []);
    }
}
