//! Comparison of results. Owns which results are comparable, which part of the instruments' uncertainty remains in a
//! ratio, and the verdicts. Leaves the origin of results and the presentation of an answer to others. Pure functions.

mod comparability;
mod compare;
mod cpu_settings;
mod front;
mod holm;
mod instrument;
mod log_ratio;
mod measured;
mod pareto;
mod subject;

pub use compare::{ComparisonOptions, DEFAULT_MARGIN, DEFAULT_METRICS, compare};
pub use cpu_settings::CpuSettings;
pub use front::{Place, Standing};
pub use measured::{MeasuredResult, eos_of};
pub use pareto::{ParetoCandidate, ParetoPoint, pareto};
pub use subject::{Subject, Turns};

use crate::metrics::{Metric, Read, all};

/// Returns the metrics that can be compared: all numbers except half-widths.
pub fn comparable_metrics() -> impl Iterator<Item = &'static Metric> {
    let is_number = |metric: &&Metric| matches!(metric.read, Read::Number(_) | Read::Count(_));
    let is_figure = |metric: &&Metric| !metric.name.ends_with("_uncertainty_j");
    all().iter().filter(is_number).filter(is_figure)
}
