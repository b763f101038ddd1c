//! Energy by phase: the sum of a rank's readings over the intervals in which it was in that phase. Owns when a phase is
//! too short for its sources. Leaves reading a meter to others.

mod stretches;

pub use stretches::{PassStretches, stretches};

use super::sums::whole;
use super::windows::union_sec;
use joulemark_measurement::{Confidence, EnergyMethod, EnergyMetrics, Phase, PhaseEnergy, SourceReading, Window};

/// Smallest number of samples of each source in an interval. With fewer samples its power is that of the neighbouring
/// phase.
const MIN_SAMPLES: u32 = 2;

/// One interval in this many may have fewer samples. The intervals are counted one by one because samples crowd at the
/// edges of a cycle, so a mean over all intervals would be misleading.
const INTERVALS_PER_EXCEPTION: usize = 10;

/// Smallest mean length of an interval, in refresh periods of the sensor. In a shorter interval the step of a counter
/// decides, not the power.
const MIN_REFRESHES: f64 = 3.0;

/// Time and energy of one rank in one phase.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankPhase {
    /// Every interval in the phase.
    pub windows: Vec<Window>,
    /// Readings over the intervals: over all of them, or over evenly chosen ones where there are very many.
    pub readings: Vec<(Window, EnergyMetrics)>,
}

/// Computes the energy of `phase` over all ranks. Its duration is the time in which at least one rank was in it.
pub fn phase_energy(phase: Phase, ranks: &[RankPhase]) -> PhaseEnergy {
    let windows: Vec<Window> = ranks.iter().flat_map(|rank| &rank.windows).copied().collect();
    let unknown = |note: String| PhaseEnergy {
        phase,
        duration_sec: union_sec(&windows),
        total_energy_j: None,
        gpu_energy_j: None,
        cpu_energy_j: None,
        confidence: Some(Confidence::Low),
        note: Some(note),
    };
    if windows.iter().all(|window| window.duration_sec() <= 0.0) {
        return PhaseEnergy {
            confidence: None,
            ..unknown("no time was spent in this phase".to_owned())
        };
    }
    if let Some(why) = ranks.iter().find_map(too_short) {
        return unknown(why);
    }
    let sum = |part: fn(&EnergyMetrics) -> Option<f64>| whole(ranks.iter().map(|rank| scaled(rank, part)));
    let total_energy_j = sum(|energy| energy.total_energy_j);
    if total_energy_j.is_none() {
        return unknown(
            "the energy of an interval is unknown; the notes of the measured cycles' sources give the reason"
                .to_owned(),
        );
    }
    let chosen = ranks.iter().map(|rank| rank.readings.len()).sum::<usize>();
    let note = (chosen < windows.len()).then(|| {
        format!(
            "from {chosen} of {} intervals, chosen evenly and scaled by time",
            windows.len()
        )
    });
    let confidence = ranks.iter().filter_map(confidence).min().unwrap_or(Confidence::Low);
    PhaseEnergy {
        phase,
        duration_sec: union_sec(&windows),
        total_energy_j,
        gpu_energy_j: sum(|energy| energy.gpu_energy_j),
        cpu_energy_j: sum(|energy| energy.cpu_energy_j),
        confidence: Some(if note.is_some() {
            confidence.min(Confidence::Medium)
        } else {
            confidence
        }),
        note,
    }
}

/// Returns the sum of a rank's readings, scaled by time to all of its intervals.
fn scaled(rank: &RankPhase, part: fn(&EnergyMetrics) -> Option<f64>) -> Option<f64> {
    if rank.windows.is_empty() {
        return Some(0.0);
    }
    let read = whole(rank.readings.iter().map(|(_, energy)| part(energy)))?;
    let read_sec: f64 = rank.readings.iter().map(|(window, _)| window.duration_sec()).sum();
    let all_sec: f64 = rank.windows.iter().map(Window::duration_sec).sum();
    // The sum is not scaled when all intervals were read: the quotient of two rounded sums may differ from 1.
    Some(if rank.readings.len() == rank.windows.len() {
        read
    } else {
        read * all_sec / read_sec
    })
}

/// Returns the readings that the total includes.
fn counted(rank: &RankPhase) -> impl Iterator<Item = &SourceReading> {
    let sources = rank.readings.iter().flat_map(|(_, energy)| &energy.sources);
    sources.filter(|source| source.counted_in_total)
}

/// Returns why a rank's intervals are too short for a source; `None` where they are long enough.
fn too_short(rank: &RankPhase) -> Option<String> {
    let stretches = rank.readings.len() as f64;
    let mean_ms = 1000.0
        * rank
            .readings
            .iter()
            .map(|(window, _)| window.duration_sec())
            .sum::<f64>()
        / stretches;
    for source in counted(rank) {
        let of_source = counted(rank).filter(|other| same(other, source));
        let sparse = of_source.filter(|reading| reading.sample_count < MIN_SAMPLES).count();
        let refresh_ms = source.refresh_ms.unwrap_or(0.0);
        let name = source
            .gpu_uuid
            .as_deref()
            .or(source.zone_path.as_deref())
            .unwrap_or("the CPU estimate");
        if sparse * INTERVALS_PER_EXCEPTION > rank.readings.len() {
            return Some(format!(
                "its {stretches:.0} intervals last {mean_ms:.1} ms on average and {sparse} of them hold fewer than \
                 {MIN_SAMPLES} samples of {name}: sample faster or make the phase longer"
            ));
        }
        if mean_ms < MIN_REFRESHES * refresh_ms {
            return Some(format!(
                "its {stretches:.0} intervals last {mean_ms:.1} ms on average, less than {MIN_REFRESHES} \
                 refresh periods of {name}, which are {refresh_ms:.1} ms each"
            ));
        }
    }
    None
}

/// Returns whether two readings are of the same source.
fn same(a: &SourceReading, b: &SourceReading) -> bool {
    (a.domain, &a.gpu_uuid, &a.zone_path) == (b.domain, &b.gpu_uuid, &b.zone_path)
}

/// Returns the confidence in a rank's energy, derived from the half-width of all intervals together and limited by the
/// method; `None` where an energy or a half-width is unknown.
fn confidence(rank: &RankPhase) -> Option<Confidence> {
    let energy_j = whole(counted(rank).map(|source| source.energy_j))?;
    let uncertainty_j = whole(counted(rank).map(|source| source.uncertainty_j))?;
    let of_sampling = match uncertainty_j / energy_j {
        part if part <= 0.05 => Confidence::High,
        part if part <= 0.2 => Confidence::Medium,
        _ => Confidence::Low,
    };
    let of_method = counted(rank).map(|source| match source.method {
        EnergyMethod::EnergyCounter => Confidence::High,
        EnergyMethod::PowerIntegration => Confidence::Medium,
        EnergyMethod::Estimate => Confidence::Low,
    });
    of_method.chain([of_sampling]).min()
}

#[cfg(test)]
mod tests;
