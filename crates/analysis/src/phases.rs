//! Energy by phase: when a rank was in which phase, and what its readings over those stretches add up to.
//! Owns when a phase is too short for its sources; deliberately does not read a meter.

mod stretches;

pub use stretches::{PassStretches, stretches};

use super::sums::whole;
use super::windows::union_sec;
use joulemark_measurement::{Confidence, EnergyMethod, EnergyMetrics, Phase, PhaseEnergy, SourceReading, Window};

/// A stretch must hold this many samples of each source: with fewer, its power is that of the phase beside it.
const SAMPLES_A_STRETCH: u32 = 2;

/// So many stretches without them, one of this number, are borne: samples crowd at the edges of a cycle, so a mean over
/// all stretches would tell nothing.
const BARE_STRETCHES: usize = 10;

/// Nor may it be shorter than this many refreshes of the sensor: below, a counter's step decides and not the power.
const REFRESHES_A_STRETCH: f64 = 3.0;

/// What one rank spent in one phase.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankPhase {
    /// Every stretch in the phase.
    pub windows: Vec<Window>,
    /// Readings over them: of all, or of an even choice where there are very many.
    pub readings: Vec<(Window, EnergyMetrics)>,
}

/// Energy of `phase` over all ranks. Its duration is the time in which at least one rank was in it.
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
        return unknown("the energy of a stretch is not known; the sources of the measured cycles say why".to_owned());
    }
    let chosen = ranks.iter().map(|rank| rank.readings.len()).sum::<usize>();
    let note = (chosen < windows.len()).then(|| {
        format!(
            "from {chosen} of {} stretches, evenly chosen and scaled by time",
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

/// The readings' sum, scaled by time to all stretches.
fn scaled(rank: &RankPhase, part: fn(&EnergyMetrics) -> Option<f64>) -> Option<f64> {
    if rank.windows.is_empty() {
        return Some(0.0);
    }
    let read = whole(rank.readings.iter().map(|(_, energy)| part(energy)))?;
    let read_sec: f64 = rank.readings.iter().map(|(window, _)| window.duration_sec()).sum();
    let all_sec: f64 = rank.windows.iter().map(Window::duration_sec).sum();
    // Not multiplied when all were read: a factor of 1 need not come out of two sums exactly.
    Some(if rank.readings.len() == rank.windows.len() {
        read
    } else {
        read * all_sec / read_sec
    })
}

fn counted(rank: &RankPhase) -> impl Iterator<Item = &SourceReading> {
    let sources = rank.readings.iter().flat_map(|(_, energy)| &energy.sources);
    sources.filter(|source| source.counted_in_total)
}

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
        let bare = of_source
            .filter(|reading| reading.sample_count < SAMPLES_A_STRETCH)
            .count();
        let refresh_ms = source.refresh_ms.unwrap_or(0.0);
        let name = source
            .gpu_uuid
            .as_deref()
            .or(source.zone_path.as_deref())
            .unwrap_or("the CPU estimate");
        if bare * BARE_STRETCHES > rank.readings.len() {
            return Some(format!(
                "its {stretches:.0} stretches last {mean_ms:.1} ms on average and {bare} of them hold fewer than \
                 {SAMPLES_A_STRETCH} samples of {name}: sample faster or make the phase longer"
            ));
        }
        if mean_ms < REFRESHES_A_STRETCH * refresh_ms {
            return Some(format!(
                "its {stretches:.0} stretches last {mean_ms:.1} ms on average, less than {REFRESHES_A_STRETCH} \
                 refreshes of {name}, which are {refresh_ms:.1} ms apart"
            ));
        }
    }
    None
}

fn same(a: &SourceReading, b: &SourceReading) -> bool {
    (a.domain, &a.gpu_uuid, &a.zone_path) == (b.domain, &b.gpu_uuid, &b.zone_path)
}

/// As for one reading: by what the sampling of all stretches' edges together leaves open, never above the method's.
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
