use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A metric of one point over its repeats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FigureOverRepeats {
    /// Number of completed repeats whose metric is known.
    pub n: u32,
    /// Mean of the repeats' figures.
    pub mean: f64,
    /// Lower end of the mean's 95 % confidence interval over repeats; null with fewer than two.
    pub ci_low: Option<f64>,
    /// Upper end of the interval.
    pub ci_high: Option<f64>,
}

/// State of a search.
///
/// - `searching`: there are points left to try
/// - `done`: the answer is final
/// - `cancelled`: the sweep was cancelled before an answer was known
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchState {
    Searching,
    Done,
    Cancelled,
}

impl SearchState {
    /// Returns the state's name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Searching => "searching",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The method by which points were tried.
///
/// - `grid`: all points
/// - `bisection`: both ends and a point between them, then points between the best one and its tried neighbours (by
///   Fibonacci numbers), until none is left between
/// - `bisection_then_grid`: by bisection, until the response turned out to have several local optima; then all points
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchMethod {
    Grid,
    Bisection,
    BisectionThenGrid,
}

/// The shape of a metric along the axis, at the points that were tried.
///
/// - `rising`, `falling`: never in the other direction
/// - `one_minimum`, `one_maximum`: it changes direction once
/// - `flat`: no two points differ by more than their intervals
/// - `irregular`: it changes direction more often, by more than the intervals
/// - `unknown`: fewer than three points have the metric
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

/// A point that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchTry {
    /// Number of the point.
    pub point: u32,
    /// The metric that is optimised; null where it is unknown for every repeat.
    pub objective: Option<FigureOverRepeats>,
    /// Each bounded metric that is known for a repeat; `reason` names the others.
    pub constraints: BTreeMap<String, FigureOverRepeats>,
    /// Whether the means are within all bounds.
    pub meets: bool,
    /// Whether an interval contains a bound, so that another run might give the opposite result.
    pub uncertain: bool,
    /// Why the point cannot be the answer, or what weakens it; null where nothing does.
    pub reason: Option<String>,
}

/// The evidence that the answer is valid although not every point was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchEvidence {
    /// How the optimised metric depends on the axis, at the tried points within all bounds; null where there is no
    /// single axis of numbers.
    pub objective: Option<ResponseShape>,
    /// How each bounded metric depends on the axis, at all tried points.
    pub constraints: BTreeMap<String, ResponseShape>,
    /// Number of points that were tried.
    pub tried_points: u32,
    /// Number of all points.
    pub of_points: u32,
    /// The conclusion, in words.
    pub conclusion: String,
}

/// The answer of a search, with all points that were tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchAnswer {
    pub state: SearchState,
    pub method: SearchMethod,
    /// Number of the best point so far within all bounds; null where there is none.
    pub best_point: Option<u32>,
    /// Numbers of the points that are queued or running.
    pub pending: Vec<u32>,
    /// All points that were tried, in this order.
    pub tried: Vec<SearchTry>,
    pub evidence: SearchEvidence,
}

impl SearchAnswer {
    /// Returns the answer of a cancelled sweep, in which no point is pending.
    #[must_use]
    pub fn cancelled(mut self) -> Self {
        self.state = SearchState::Cancelled;
        self.pending.clear();
        "the sweep was cancelled before an answer was known".clone_into(&mut self.evidence.conclusion);
        self
    }
}
