use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A metric of one point, over its repeats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FigureOverRepeats {
    /// Completed repeats of which the metric is known.
    pub n: u32,
    /// Mean of the repeats' figures, each as its results have it.
    pub mean: f64,
    /// Lower end of the mean's 95 % interval over repeats; null below two.
    pub ci_low: Option<f64>,
    /// Upper end of the interval.
    pub ci_high: Option<f64>,
}

/// How far a search has come.
///
/// - `searching`: there are points to try
/// - `done`: this is the answer
/// - `cancelled`: it was cancelled before
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchState {
    Searching,
    Done,
    Cancelled,
}

impl SearchState {
    /// Returns the state as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Searching => "searching",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How points were tried.
///
/// - `grid`: all of them
/// - `bisection`: both ends and one between, then between the best and its neighbours that were tried (by Fibonacci numbers), until
///   nothing is left between
/// - `bisection_then_grid`: by bisection, until the response turned out to have more than one best
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchMethod {
    Grid,
    Bisection,
    BisectionThenGrid,
}

/// How a metric goes along the axis, at the points that were tried.
///
/// - `rising`, `falling`: nowhere the other way
/// - `one_minimum`, `one_maximum`: it turns once
/// - `flat`: no two points differ by more than their intervals
/// - `irregular`: it turns more often, by more than its intervals
/// - `unknown`: fewer than three points have it
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseShape {
    Rising,
    Falling,
    OneMinimum,
    OneMaximum,
    Flat,
    Irregular,
    Unknown,
}

/// One point that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchTry {
    /// The point's number.
    pub point: u32,
    /// The metric that decides; null where no repeat has it.
    pub objective: Option<FigureOverRepeats>,
    /// Each metric with a bound that some repeat has; `reason` names those that none has.
    pub constraints: BTreeMap<String, FigureOverRepeats>,
    /// Whether the means keep all bounds.
    pub meets: bool,
    /// Whether an interval holds a bound, so that another run might come to the opposite.
    pub uncertain: bool,
    /// Why it cannot be the answer, or what weakens it; null where there is nothing of the kind.
    pub reason: Option<String>,
}

/// Why the answer is one although not every point was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchEvidence {
    /// How the metric that decides goes along the axis, at the tried points that keep all bounds; null where there is no single
    /// axis of numbers.
    pub objective: Option<ResponseShape>,
    /// How each metric with a bound goes along it, at all tried points.
    pub constraints: BTreeMap<String, ResponseShape>,
    /// Points that were tried.
    pub tried_points: u32,
    /// Points that there are.
    pub of_points: u32,
    /// What follows, in words.
    pub conclusion: String,
}

/// A search with all that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchAnswer {
    pub state: SearchState,
    pub method: SearchMethod,
    /// The best point so far that keeps all bounds; null where none does.
    pub best_point: Option<u32>,
    /// Points that are under way.
    pub pending: Vec<u32>,
    /// All that was tried, in the order in which it was.
    pub tried: Vec<SearchTry>,
    pub evidence: SearchEvidence,
}

impl SearchAnswer {
    /// Returns it as it is once its sweep was cancelled: nothing is under way any more.
    #[must_use]
    pub fn cancelled(mut self) -> Self {
        self.state = SearchState::Cancelled;
        self.pending.clear();
        "the sweep was cancelled before an answer was known".clone_into(&mut self.evidence.conclusion);
        self
    }
}
