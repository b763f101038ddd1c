//! How far an energy may be off, and its sum in words. The instrument's own accuracy is not in it.

use crate::energy::series::Growth;
use crate::energy::source::SourceDescription;
use crate::energy::timeline::Track;
use crate::measurement::EnergySourceKind;
use crate::units::{MICROJOULES_PER_JOULE, MILLIJOULES_PER_JOULE, MILLISECONDS_PER_SECOND};

/// Independent doubts, each anywhere within its half-width: their sum's 95 % half-width is this times the root of the
/// sum of squares (1.96 / √3, the limit for many; for one or two it covers more).
const COVERAGE_FACTOR: f64 = 1.13;

#[derive(Clone, Debug, PartialEq)]
pub struct Doubt {
    pub half_width_j: f64,
    pub basis: String,
}

impl Doubt {
    pub fn of_estimate(description: &SourceDescription, growth: &Growth) -> Self {
        Self {
            half_width_j: description.relative_uncertainty * growth.total,
            basis: format!(
                "{:.0} % of the estimate: its assumptions, not the sampling",
                description.relative_uncertainty * 100.0
            ),
        }
    }

    pub fn of_counter(track: &Track, growth: &Growth) -> Self {
        let step_j = smallest_step_j(track.description.id.kind);
        let timing = growth.timing;
        let shape = growth.shape;
        let doubts = timing.iter().chain(&shape).copied().chain([step_j / 2.0; 2]);
        Self {
            half_width_j: combined(doubts),
            basis: format!(
                "95 %: at the edges the moment of the counter's refresh (±{:.3} and ±{:.3} J) and the power between \
                 refreshes {:.1} ms apart (±{:.3} and ±{:.3} J); {} the instrument's own accuracy is not in it",
                timing[0],
                timing[1],
                track.counter_refresh_sec() * MILLISECONDS_PER_SECOND,
                shape[0],
                shape[1],
                IN_WORDS,
            ),
        }
    }
}

pub const IN_WORDS: &str = "independent half-widths combined as 1.13 × the root of their squares' sum;";

pub fn combined(half_widths: impl Iterator<Item = f64>) -> f64 {
    COVERAGE_FACTOR * half_widths.map(|half| half * half).sum::<f64>().sqrt()
}

/// What a counter cannot show: NVML counts millijoules, powercap microjoules in steps of the register's 2⁻¹⁴ J.
fn smallest_step_j(kind: EnergySourceKind) -> f64 {
    match kind {
        EnergySourceKind::Nvml => 1.0 / MILLIJOULES_PER_JOULE,
        EnergySourceKind::RaplPowercap | EnergySourceKind::RaplPerfEvent => 61.0 / MICROJOULES_PER_JOULE,
        EnergySourceKind::TdpEstimate => 0.0,
    }
}
