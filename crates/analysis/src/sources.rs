use std::collections::BTreeMap;

use super::group::Group;
use super::sums::{ratio, whole};
use joulemark_measurement::{EnergyDomain, EnergySourceKind, SourceReading};

/// Identity of a source: a GPU is identified by its UUID, a RAPL zone by its folder.
type Identity<'a> = (EnergyDomain, Option<&'a str>, Option<&'a str>, EnergySourceKind);

/// A reading of a source, with the length of its window in seconds.
pub(super) type Reading<'a> = (&'a SourceReading, f64);

/// Merges the readings of each source over all cycles. GPUs come from the ranks that own them, all other sources from
/// the host.
pub(super) fn aggregate(groups: &[Group<'_>]) -> Vec<SourceReading> {
    let mut sources: BTreeMap<Identity<'_>, Vec<Reading<'_>>> = BTreeMap::new();
    for (source, window_sec) in groups.iter().flat_map(with_windows) {
        sources.entry(identity(source)).or_default().push((source, window_sec));
    }
    sources
        .into_values()
        .map(|readings| merged(&readings, groups.len()))
        .collect()
}

/// Returns the readings of one cycle, each source once. GPUs come from the ranks that own them, all other sources from
/// the host.
pub(super) fn with_windows<'a>(group: &Group<'a>) -> impl Iterator<Item = Reading<'a>> {
    let of_ranks = group.ranks.clone().into_iter().flat_map(|rank| {
        let gpus = rank
            .energy
            .sources
            .iter()
            .filter(|source| source.domain == EnergyDomain::Gpu);
        gpus.map(|source| (source, rank.window.duration_sec()))
    });
    let of_host = group.host.into_iter().flat_map(|host| {
        let others = host.sources.iter().filter(|source| source.domain != EnergyDomain::Gpu);
        others.map(|source| (source, host.duration_sec.unwrap_or(f64::NAN)))
    });
    of_ranks.chain(of_host)
}

/// Returns the identity of a reading's source.
fn identity(source: &SourceReading) -> Identity<'_> {
    (
        source.domain,
        source.gpu_uuid.as_deref(),
        source.zone_path.as_deref(),
        source.source,
    )
}

/// Merges the readings of one source. Energies, samples and half-widths are summed; half-widths are not added in
/// quadrature, because a sensor's error in one window is its error in the next. Method and confidence are the least
/// certain ones.
fn merged(readings: &[Reading<'_>], cycles: usize) -> SourceReading {
    let every = || readings.iter().map(|(reading, _)| *reading);
    let mut notes: Vec<String> = Vec::new();
    for note in every().filter_map(|reading| reading.note.as_ref()) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    let absent = cycles.saturating_sub(readings.len());
    if absent > 0 {
        notes.push(format!("no reading in {absent} of {cycles} cycles"));
    }
    let energy_j = whole(every().map(|reading| reading.energy_j)).filter(|_| absent == 0);
    let window_sec: f64 = readings.iter().map(|(_, window_sec)| window_sec).sum();
    let first = readings[0].0;
    SourceReading {
        energy_j,
        mean_power_w: ratio(energy_j, Some(window_sec)),
        method: every().map(|reading| reading.method).max().unwrap_or(first.method),
        confidence: every()
            .map(|reading| reading.confidence)
            .min()
            .unwrap_or(first.confidence),
        sample_count: every().map(|reading| reading.sample_count).sum(),
        interval_ms: mean_interval_ms(readings),
        uncertainty_j: whole(every().map(|reading| reading.uncertainty_j)).filter(|_| energy_j.is_some()),
        uncertainty_basis: match readings.len() {
            1 => first.uncertainty_basis.clone(),
            count => format!("{}; sum over {count} windows of one sensor", first.uncertainty_basis),
        },
        instrument_accuracy_percent: None,
        refresh_ms: None,
        counted_in_total: energy_j.is_some() && every().any(|reading| reading.counted_in_total),
        note: (!notes.is_empty()).then(|| notes.join("; ")),
        ..first.clone()
    }
}

/// Returns the mean interval between samples in milliseconds, weighted by the number of intervals, which is one less
/// than the number of samples of each window.
fn mean_interval_ms(readings: &[Reading<'_>]) -> Option<f64> {
    let weighted = readings.iter().filter_map(|(reading, _)| {
        let intervals = f64::from(reading.sample_count.saturating_sub(1));
        reading
            .interval_ms
            .map(|interval_ms| (interval_ms * intervals, intervals))
    });
    let (sum, intervals) = weighted.fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d));
    ratio(Some(sum), Some(intervals))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{energy, gpu_source, host_cycle, package_source, rank_cycle};
    use crate::group::groups;
    use joulemark_measurement::{Confidence, EnergyMethod};

    #[test]
    fn a_source_of_several_cycles_is_listed_once_with_its_sums() {
        let cycles = [rank_cycle(0, 0, 0.0, 10.0), rank_cycle(0, 1, 10.0, 20.0)];
        let mut hosts = [host_cycle(0, 80.0, 10.0), host_cycle(1, 40.0, 6.0)];
        hosts[1].energy.sources[0].confidence = Confidence::Low;
        hosts[1].energy.sources[0].method = EnergyMethod::Estimate;
        hosts[1].energy.sources[0].sample_count = 51;
        hosts[1].energy.sources[0].interval_ms = Some(200.0);
        let merged = aggregate(&groups(&cycles, &hosts));
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].energy_j, Some(120.0));
        assert_eq!(merged[0].mean_power_w, Some(6.0));
        assert_eq!(merged[0].uncertainty_j, Some(2.0), "added linearly");
        assert_eq!(merged[0].sample_count, 152);
        // 100 intervals of 100 ms and 50 of 200 ms.
        assert_eq!(merged[0].interval_ms, Some(20_000.0 / 150.0));
        assert_eq!(
            (merged[0].confidence, merged[0].method),
            (Confidence::Low, EnergyMethod::Estimate)
        );
    }

    #[test]
    fn a_cpu_source_that_every_rank_reports_counts_once() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 10.0), rank_cycle(1, 0, 0.0, 10.0)];
        for cycle in &mut cycles {
            cycle.energy.sources = vec![package_source(80.0)];
        }
        let merged = aggregate(&groups(&cycles, &[host_cycle(0, 80.0, 10.0)]));
        assert_eq!(
            merged.iter().map(|source| source.energy_j).collect::<Vec<_>>(),
            [Some(80.0)]
        );
    }

    #[test]
    fn gpus_are_told_apart_by_uuid_and_zones_by_folder() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 10.0)];
        cycles[0].energy = energy(Some(300.0), None, None);
        cycles[0].energy.sources = vec![gpu_source("GPU-a", 100.0), gpu_source("GPU-b", 200.0)];
        let mut host = host_cycle(0, 80.0, 10.0);
        let second = SourceReading {
            zone_path: Some("intel-rapl:1".to_owned()),
            ..package_source(30.0)
        };
        host.energy.sources.push(second);
        let hosts = [host];
        let merged = aggregate(&groups(&cycles, &hosts));
        let energies: Vec<_> = merged.iter().map(|source| source.energy_j).collect();
        assert_eq!(energies, [Some(100.0), Some(200.0), Some(80.0), Some(30.0)]);
    }

    #[test]
    fn a_source_absent_in_one_cycle_has_no_sum_and_says_so() {
        let cycles = [rank_cycle(0, 0, 0.0, 10.0), rank_cycle(0, 1, 10.0, 20.0)];
        let merged = aggregate(&groups(&cycles, &[host_cycle(0, 80.0, 10.0)]));
        assert_eq!((merged[0].energy_j, merged[0].uncertainty_j), (None, None));
        assert_eq!(merged[0].note.as_deref(), Some("no reading in 1 of 2 cycles"));
    }
}
