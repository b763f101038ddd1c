//! Decides whether enough cycles have been measured.

use joulemark_analysis::relative_ci;
use joulemark_experiment::report::StopReport;
use joulemark_experiment::{StopMetric, StopRule};

use super::driven::Driven;

/// Function that returns a metric of one finished cycle; may block.
pub type FigureOf<'a> = dyn Fn(StopMetric, &Driven, u32) -> Option<f64> + Send + Sync + 'a;

/// Applies the stop rule after a cycle. An unknown metric never reaches the wanted precision.
pub fn apply_stop_rule(rule: &StopRule, figure: &FigureOf<'_>, driven: &mut Driven, cycle: u32) -> StopReport {
    let seen = tokio::task::block_in_place(|| figure(rule.metric, driven, cycle));
    driven.seen.push(seen);
    let known: Option<Vec<f64>> = driven.seen.iter().copied().collect();
    let reached = known.and_then(|known| relative_ci(&known));
    let cycles = driven.seen.len() as u32;
    StopReport {
        metric: rule.metric,
        relative_ci: rule.relative_ci,
        reached,
        cycles,
        sure_enough: cycles >= rule.min_cycles && reached.is_some_and(|reached| reached <= rule.relative_ci),
    }
}
