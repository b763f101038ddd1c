//! Computes the 95 % half-width of an energy, and a text that lists its parts.
//!
//! Owns how independent errors are combined. The instrument's own accuracy is not included.

use crate::estimation::series::Growth;
use crate::estimation::track::Track;
use crate::source::SourceDescription;
use joulemark_measurement::EnergySourceKind;
use joulemark_measurement::units::{MICROJOULES_PER_JOULE, MILLIJOULES_PER_JOULE, MILLISECONDS_PER_SECOND};

/// Squared 95 % half-width of the sum of many errors, in units of the sum of their squared half-widths. The variance of
/// a uniform error is a third of its squared half-width.
const MANY: f64 = 1.96 * 1.96 / 3.0;

/// Probability that a stated interval leaves out.
const LEFT_OUT: f64 = 0.05;

/// The one-sided 95 % point of a uniform error in units of its half-width: 1 − 2 × 0.05.
const ONE_SIDED: f64 = 0.9;

/// Resolution of RAPL counters in J: 2⁻¹⁴ J, which powercap shows in microjoules.
const RAPL_STEP_J: f64 = 61.0 / MICROJOULES_PER_JOULE;

/// A half-width in J with the text that lists its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Uncertainty {
    /// The 95 % half-width in J.
    pub half_width_j: f64,
    /// The parts, as text.
    pub basis: String,
}

impl Uncertainty {
    /// Returns the uncertainty of an estimate: a part of its energy.
    pub fn of_estimate(description: &SourceDescription, growth: &Growth) -> Self {
        Self {
            half_width_j: description.relative_uncertainty * growth.total,
            basis: format!(
                "{:.0} % of the estimate: its assumptions, not the sampling",
                description.relative_uncertainty * 100.0
            ),
        }
    }

    /// Returns the uncertainty of a counter's growth.
    pub fn of_counter(track: &Track, growth: &Growth) -> Self {
        let step_j = smallest_step_j(track.description.id.kind);
        let timing = growth.timing;
        let shape = growth.shape;
        let spread = combined(timing.into_iter().chain([step_j / 2.0; 2]));
        Self {
            half_width_j: beside(shape[0] + shape[1], spread),
            basis: format!(
                "95 %: at the two edges the time of the counter's refresh (±{:.3} and ±{:.3} J) and the power between \
                 refreshes {:.1} ms apart (±{:.3} and ±{:.3} J); the errors of the times are independent and uniform within \
                 their half-widths, those of the power lie at either end; the instrument's own accuracy is not included",
                timing[0],
                timing[1],
                track.counter_refresh_sec() * MILLISECONDS_PER_SECOND,
                shape[0],
                shape[1],
            ),
        }
    }
}

/// Text that explains how the parts of an uncertainty are combined.
pub const IN_WORDS: &str = "the errors are independent and uniform within their half-widths, and the total is the 95 % \
                            half-width of their sum;";

/// Returns the 95 % half-width of a sum of independent errors, each uniform within its half-width. The two largest are
/// summed exactly. The others matter little and are summed as normal errors.
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

/// Returns the 95 % half-width of the sum of an error that is at either end of its half-width `either`, and an
/// independent one of 95 % half-width `spread`. The latter counts on one side only.
fn beside(either: f64, spread: f64) -> f64 {
    spread.max(either + ONE_SIDED * spread)
}

/// Returns the 95 % half-width of the sum of two uniform errors. Its density is a trapezoid: constant up to `large −
/// small`, then falling to 0 at `large + small`.
fn of_two(large: f64, small: f64) -> f64 {
    let on_the_slope = large + small - (4.0 * LEFT_OUT * large * small).sqrt();
    if on_the_slope >= large - small {
        on_the_slope
    } else {
        (1.0 - LEFT_OUT) * large
    }
}

/// Returns the resolution of a counter in J. NVML counts millijoules.
fn smallest_step_j(kind: EnergySourceKind) -> f64 {
    match kind {
        EnergySourceKind::Nvml => 1.0 / MILLIJOULES_PER_JOULE,
        EnergySourceKind::RaplPowercap | EnergySourceKind::RaplPerfEvent => RAPL_STEP_J,
        EnergySourceKind::TdpEstimate => 0.0,
    }
}
