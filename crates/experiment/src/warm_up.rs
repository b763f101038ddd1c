use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::field::{FieldProblem, Fields};
use super::table::{Asked, Bounds, Choice, Kind, fields, nested};

/// When a rank is warm.
///
/// - `steady`: when its last iterations took about the same time
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    #[default]
    Steady,
}

impl Choice for Until {}

fields! {
    /// Warm up until iterations are alike, beside `warmup_iterations`, which is then the least number of them. Each runs the
    /// rank's first `batch_size` prompts.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[schema(example = json!({"until": "steady", "cv": 0.05, "window": 5, "max_iterations": 50}))]
    pub struct WarmUpRequest;
    /// Until when a rank is warmed up.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    pub struct WarmUp;

    /// Default `steady`.
    until: Until =>
        Until = Until::Steady, "When a rank is warm.";

    /// The coefficient of variation that the last `window` iterations may have. Default 0.05.
    cv: f64 [exclusive_minimum = 0, maximum = 1] =>
        /// The coefficient of variation that the last iterations may have.
        f64 = 0.05, "Coefficient of variation of the last iterations.";

    /// How many of the last iterations are looked at. Default 5.
    window: u32 [minimum = 2, maximum = 100] =>
        /// How many of the last iterations are looked at.
        u32 = 5, "Last iterations that are looked at.";

    /// With so many it ends, steady or not, and the result says so. Default 50.
    max_iterations: u32 [minimum = 1, maximum = 1000] =>
        /// With so many it ends, steady or not.
        u32 = 50, "Most iterations.";
}

impl Asked for WarmUpRequest {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        let also = "; a number of iterations is warmup_iterations";
        nested(fields, name, (Self::NAMES, also), Self::read_all)
    }
}

impl From<WarmUpRequest> for Option<WarmUp> {
    fn from(asked: WarmUpRequest) -> Self {
        Some(asked.filled())
    }
}

impl WarmUp {
    /// Says what is wrong beside `warmup_iterations`, the least number of iterations.
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

    /// Tells whether the last iterations took about the same time.
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
    fn it_is_steady_once_the_last_ones_are_alike() {
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
