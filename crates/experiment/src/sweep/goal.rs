use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::field::{Fields, brief};
use super::points::escaped;

/// Maximum number of bounds of a goal.
const MAX_BOUNDS: usize = 8;

/// The method of trying the points of a goal.
///
/// - `auto`: `bisection` along one axis of at least four numbers, else `grid`
/// - `grid`: all points
/// - `bisection`: along one axis of numbers, for a response that rises, falls or has one optimum; all points where it
///   turns out to have several
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GoalMethod {
    #[default]
    Auto,
    Grid,
    Bisection,
}

/// The goal of a search among a sweep's points. Give either `minimise` or `maximise`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"minimise": "joules_per_output_token", "subject_to": {"p99_ttft_ms": {"below": 500}}}))]
pub struct Goal {
    /// Name of the metric to minimise; a number of `GET /v1/metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimise: Option<String>,
    /// Name of the metric to maximise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximise: Option<String>,
    /// Metrics with the bounds that the mean over a point's repeats must lie within; at most 8.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subject_to: BTreeMap<String, Bound>,
    /// How points are tried. Default `auto`.
    #[serde(default)]
    pub method: GoalMethod,
}

/// Range of a metric: below, above, or between.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Bound {
    /// Upper bound, in the metric's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// Lower bound, in the metric's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
}

impl Goal {
    const NAMES: [&str; 4] = ["minimise", "maximise", "subject_to", "method"];

    /// Reads the field `goal`; returns `None` where it is absent or bad, after noting the problems.
    pub(super) fn read_field(fields: &mut Fields<'_>) -> Option<Self> {
        let object = fields.object("goal", "an object with minimise or maximise")?;
        let base = fields.pointer("goal");
        let mut inner = Fields::new(object, base, &Self::NAMES, fields.problems());
        let minimise = inner.text("minimise", 100);
        let maximise = inner.text("maximise", 100);
        if inner.value("minimise").is_some() == inner.value("maximise").is_some() {
            inner.problem(
                "minimise",
                "is required, or maximise, and not both; accepted is a metric's name",
            );
        }
        let method = inner.choice("method").unwrap_or_default();
        let subject_to = read_bounds(&mut inner);
        Some(Self {
            minimise,
            maximise,
            subject_to,
            method,
        })
    }

    /// Returns the name of the optimised metric, and whether less of it is better.
    pub fn objective(&self) -> (&str, bool) {
        match (&self.minimise, &self.maximise) {
            (Some(name), _) => (name, true),
            (None, Some(name)) => (name, false),
            (None, None) => ("", true),
        }
    }

    /// Returns the name of every metric in the goal, each with its JSON pointer.
    pub fn metrics(&self) -> Vec<(String, &str)> {
        let own = [("minimise", &self.minimise), ("maximise", &self.maximise)];
        let own = own
            .into_iter()
            .filter_map(|(field, name)| Some((format!("/goal/{field}"), name.as_deref()?)));
        let bounds = self.subject_to.keys();
        let bounds = bounds.map(|name| (format!("/goal/subject_to/{}", escaped(name)), name.as_str()));
        own.chain(bounds).collect()
    }
}

/// Reads the bounds and notes their problems.
fn read_bounds(goal: &mut Fields<'_>) -> BTreeMap<String, Bound> {
    let mut bounds = BTreeMap::new();
    let Some(object) = goal.object("subject_to", "an object of metrics, each with below or above") else {
        return bounds;
    };
    if object.len() > MAX_BOUNDS {
        goal.problem(
            "subject_to",
            format!("has {} metrics; accepted are at most {MAX_BOUNDS}", object.len()),
        );
        return bounds;
    }
    for (name, value) in object {
        let path = format!("subject_to/{}", escaped(name));
        let Some(of_metric) = value.as_object() else {
            goal.problem_at(
                &path,
                format!("is {}; accepted is an object with below or above", brief(value)),
            );
            continue;
        };
        let base = format!("{}/{}", goal.pointer("subject_to"), escaped(name));
        let mut inner = Fields::new(of_metric, base, &["below", "above"], goal.problems());
        let below = inner.number("below", "a number", |_| true);
        let above = inner.number("above", "a number", |_| true);
        match (below, above) {
            (None, None) => goal.problem_at(&path, "has no bound; accepted are below and above, each a number"),
            (Some(below), Some(above)) if above >= below => {
                goal.problem_at(
                    &path,
                    "has an empty range; accepted is an above that is less than below",
                );
            }
            _ => drop(bounds.insert(name.clone(), Bound { below, above })),
        }
    }
    bounds
}
