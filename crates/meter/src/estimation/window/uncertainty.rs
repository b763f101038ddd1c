//! How far an energy may be off at 95 %, and what that is made of, in words.
//!
//! Owns how independent errors add up. Leaves out the instrument's own accuracy.

use crate::estimation::series::Growth;
use crate::estimation::track::Track;
use crate::source::SourceDescription;
use joulemark_measurement::EnergySourceKind;
use joulemark_measurement::units::{MICROJOULES_PER_JOULE, MILLIJOULES_PER_JOULE, MILLISECONDS_PER_SECOND};

/// The squared 95 % half-width of the sum of many errors, in units of the sum of their squared half-widths: an even spread
/// has a third of its half-width squared as variance.
const MANY: f64 = 1.96 * 1.96 / 3.0;

/// The part of chances that a stated interval leaves out.
const LEFT_OUT: f64 = 0.05;

/// The 95 % point of one side of an even spread, in units of its half-width: 1 − 2 × 0.05.
const ONE_SIDED: f64 = 0.9;

/// RAPL counts in steps of 2⁻¹⁴ J, which powercap shows in microjoules.
const RAPL_STEP_J: f64 = 61.0 / MICROJOULES_PER_JOULE;

/// A half-width in J and what it is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Uncertainty {
    pub half_width_j: f64,
    pub basis: String,
}

impl Uncertainty {
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
        let spread = combined(timing.into_iter().chain([step_j / 2.0; 2]));
        Self {
            half_width_j: beside(shape[0] + shape[1], spread),
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

pub const IN_WORDS: &str = "independent errors, each anywhere within its half-width: the 95 % point of their sum;";

/// The 95 % half-width of a sum of independent errors, each evenly spread over its half-width. The two largest are
/// summed exactly; the others, which hardly matter beside them, as if they were normal.
pub fn combined(half_widths: impl Iterator<Item = f64>) -> f64 {
    let (mut first, mut second, mut rest2) = (0.0f64, 0.0f64, 0.0f64);
    for half in half_widths {
        let least = half.min(second);
        rest2 += least * least;
        second = second.max(half.min(first));
        first = first.max(half);
    }
    (of_two(first, second).powi(2) + MANY * rest2).sqrt()
}

/// Returns the same where another error lies at either end of its half-width rather than within: the other must be small
/// on one side only.
fn beside(either: f64, spread: f64) -> f64 {
    spread.max(either + ONE_SIDED * spread)
}

/// The density of two is a trapezoid: flat up to `large − small`, then falling to 0 at `large + small`.
fn of_two(large: f64, small: f64) -> f64 {
    let on_the_slope = large + small - (4.0 * LEFT_OUT * large * small).sqrt();
    if on_the_slope >= large - small {
        on_the_slope
    } else {
        (1.0 - LEFT_OUT) * large
    }
}

/// Returns what a counter cannot show; NVML counts millijoules.
fn smallest_step_j(kind: EnergySourceKind) -> f64 {
    match kind {
        EnergySourceKind::Nvml => 1.0 / MILLIJOULES_PER_JOULE,
        EnergySourceKind::RaplPowercap | EnergySourceKind::RaplPerfEvent => RAPL_STEP_J,
        EnergySourceKind::TdpEstimate => 0.0,
    }
}
