use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::field::{FieldProblem, Fields};
use super::table::{Bounds, Choice, FieldType, Kind, fields, nested};

/// The condition under which a rank is warm.
///
/// - `steady`: the durations of its last iterations are about equal
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    #[default]
    Steady,
}

impl Choice for Until {}

fields! {
    /// Repeat warm-up iterations until their durations are stable. `warmup_iterations` is then their minimum number.
    /// Each iteration runs the rank's first `batch_size` prompts.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[schema(example = json!({"until": "steady", "cv": 0.05, "window": 5, "max_iterations": 50}))]
    pub struct WarmUpRequest;
    /// The condition that ends the warm-up of a rank.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    pub struct WarmUp;

    /// The condition to wait for. Default `steady`.
    until: Until =>
        /// The condition to wait for.
        Until = Until::Steady, "The condition to wait for.";

    /// Maximum coefficient of variation of the durations of the last `window` iterations. Default 0.05.
    cv: f64 [exclusive_minimum = 0, maximum = 1] =>
        /// Maximum coefficient of variation of the durations of the last iterations.
        f64 = 0.05, "Maximum coefficient of variation of the last iterations.";

    /// Number of last iterations that are compared. Default 5.
    window: u32 [minimum = 2, maximum = 100] =>
        /// Number of last iterations that are compared.
        u32 = 5, "Number of last iterations that are compared.";

    /// Maximum number of iterations. After that the warm-up ends anyway, and the result says so. Default 50.
    max_iterations: u32 [minimum = 1, maximum = 1000] =>
        /// Maximum number of iterations.
        u32 = 50, "Maximum number of iterations.";
}

impl FieldType for WarmUpRequest {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        let also = "; for a fixed number of iterations use warmup_iterations";
        nested(fields, name, (Self::NAMES, also), Self::read_all)
    }
}

impl From<WarmUpRequest> for Option<WarmUp> {
    fn from(asked: WarmUpRequest) -> Self {
        Some(asked.filled())
    }
}

impl WarmUp {
    /// Returns the problem of `max_iterations` together with `warmup_iterations`, which is `least`.
    pub(crate) fn problem(&self, least: u32) -> Option<FieldProblem> {
        let needed = least.max(self.window);
        (self.max_iterations < needed).then(|| {
            let detail = format!(
                "is {}; accepted is at least window and warmup_iterations, which are {} and {least}",
                self.max_iterations, self.window
            );
            FieldProblem::new("/warmup/max_iterations", detail)
        })
    }

    /// Returns whether the durations of the last iterations are about equal.
    pub fn is_steady(&self, took_sec: &[f64]) -> bool {
        let Some(first) = took_sec.len().checked_sub(self.window as usize) else {
            return false;
        };
        let last = &took_sec[first..];
        let count = last.len() as f64;
        let mean = last.iter().sum::<f64>() / count;
        let variance = last.iter().map(|sec| (sec - mean).powi(2)).sum::<f64>() / (count - 1.0);
        variance.sqrt() <= self.cv * mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_steady_when_the_last_iterations_are_about_equal() {
        let warm_up = WarmUpRequest {
            window: Some(3),
            ..WarmUpRequest::default()
        }
        .filled();
        let mut took = vec![9.0, 3.0, 1.0];
        assert!(!warm_up.is_steady(&took[..2]) && !warm_up.is_steady(&took));
        took.extend([1.01, 0.99]);
        assert!(warm_up.is_steady(&took));
        assert_eq!(warm_up.problem(50), None);
        let problem = warm_up.problem(51).expect("more than it may have");
        assert_eq!(problem.pointer, "/warmup/max_iterations");
    }
}
