use joulemark_analysis::relative_ci;
use joulemark_experiment::report::StopReport;
use joulemark_experiment::{StopMetric, StopRule};

use super::driven::Driven;

/// Returns a metric of one cycle that was driven; it may block.
pub type FigureOf<'a> = dyn Fn(StopMetric, &Driven, u32) -> Option<f64> + Send + Sync + 'a;

/// A stop rule with what it has seen.
pub struct Sureness<'a> {
    rule: &'a StopRule,
    figure: &'a FigureOf<'a>,
    /// Of each cycle; none where it is not known.
    seen: Vec<Option<f64>>,
}

impl<'a> Sureness<'a> {
    pub fn new(rule: &'a StopRule, figure: &'a FigureOf<'a>) -> Self {
        Self {
            rule,
            figure,
            seen: Vec::new(),
        }
    }

    /// Looks at a cycle that was just driven. A metric that is not known is never sure enough.
    pub fn look(&mut self, driven: &Driven, cycle: u32) -> StopReport {
        let figure = tokio::task::block_in_place(|| (self.figure)(self.rule.metric, driven, cycle));
        self.seen.push(figure);
        let known: Option<Vec<f64>> = self.seen.iter().copied().collect();
        let reached = known.and_then(|known| relative_ci(&known));
        let cycles = self.seen.len() as u32;
        StopReport {
            metric: self.rule.metric,
            relative_ci: self.rule.relative_ci,
            reached,
            cycles,
            sure_enough: cycles >= self.rule.min_cycles
                && reached.is_some_and(|reached| reached <= self.rule.relative_ci),
        }
    }
}
