//! Sweeps: an experiment that is run with several values of some of its fields. Reads the request and generates the
//! points; no I/O.

mod answer;
mod goal;
mod points;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::field::{FieldProblem, Fields, brief};

pub use answer::{
    FigureOverRepeats, ResponseShape, SearchAnswer, SearchEvidence, SearchMethod, SearchState, SearchTry,
};
pub use goal::{Bound, Goal, GoalMethod};
pub use points::{Placement, Point};

/// Maximum number of experiments of a sweep.
pub const MAX_SWEEP_EXPERIMENTS: usize = 1000;
const MAX_AXES: usize = 8;
/// Maximum size of all experiments of a sweep as they are stored, in bytes: each contains the base's prompts.
const MAX_SWEEP_BYTES: usize = 64 << 20;
/// Labels that a sweep gives to its experiments.
pub const SWEEP_LABEL: &str = "sweep";
pub const SWEEP_POINT_LABEL: &str = "sweep_point";
/// Fields that no axis may set: a secret, which the answer would show, and labels that the sweep sets itself.
const NO_AXES: [&str; 3] = ["callback_url", "labels.sweep", "labels.sweep_point"];
/// Axes whose values are texts, which other users may not see.
const TEXT_AXES: [&str; 2] = ["prompts", "prompt_lines"];

/// The combination of the values of several axes.
///
/// - `grid`: every combination of the values
/// - `zip`: the first values of all axes, then the second values and so on; all axes have the same length
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SweepMode {
    #[default]
    Grid,
    Zip,
}

/// The order in which a sweep's experiments are queued.
///
/// - `interleaved`: every point once, then every point again, so that drift affects all points equally
/// - `random`: all experiments in the order that `seed` gives
/// - `sequential`: one point after the other, each with all its repeats
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SweepOrder {
    #[default]
    Interleaved,
    Random,
    Sequential,
}

/// A sweep as it is submitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SweepRequest {
    /// The experiment, as `POST /v1/experiments` accepts it; fields that axes set may be left out.
    #[schema(value_type = Object, example = json!({"model_name": "smollm2.gguf", "prompts": {"dataset": "short-32", "count": 4}}))]
    pub base: Value,
    /// Up to 8 fields of the experiment, each with the values to try. Dots lead to a field within a field
    /// (`decoder.temperature`). Left out or empty, the sweep has one point.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, Vec<Value>>, example = json!({"num_processes": [1, 2], "max_output_tokens": [32, 64]}))]
    pub axes: Map<String, Value>,
    /// How values are combined. Default `grid`.
    #[serde(default)]
    pub mode: SweepMode,
    /// Order of the experiments. Default `interleaved`.
    #[serde(default)]
    pub order: SweepOrder,
    /// Number of runs of each point, 1 to 1000. Default 1.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 1000)]
    pub repeats: u32,
    /// Seed of the order `random`. Default 0.
    #[serde(default)]
    pub seed: u64,
    /// What to search for among the points; left out, all points are run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
}

/// Returns the default of `repeats`.
fn one() -> u32 {
    1
}

impl SweepRequest {
    const NAMES: [&str; 7] = ["base", "axes", "mode", "order", "repeats", "seed", "goal"];

    /// Reads a sweep and fills in the defaults. Its experiments are checked later, each like a single submission.
    ///
    /// # Errors
    /// Returns every problem that was found, each with a pointer to its field.
    pub fn read(document: &Value) -> Result<Self, Vec<FieldProblem>> {
        let Some(object) = document.as_object() else {
            let detail = format!(
                "the document is {}; accepted is an object with base and axes",
                brief(document)
            );
            return Err(vec![FieldProblem::new("", detail)]);
        };
        let mut problems = Vec::new();
        let mut fields = Fields::new(object, "", &Self::NAMES, &mut problems);
        let base = fields.object("base", "an experiment, an object").cloned();
        if fields.value("base").is_none() {
            fields.problem("base", "is required: the experiment to sweep, an object");
        }
        let axes = fields.object("axes", "an object of fields, each with an array of values");
        let axes = axes.cloned().unwrap_or_default();
        let sweep = Self {
            base: Value::Object(base.unwrap_or_default()),
            axes,
            mode: fields.choice("mode").unwrap_or_default(),
            order: fields.choice("order").unwrap_or_default(),
            repeats: fields.count("repeats", 1, MAX_SWEEP_EXPERIMENTS as u32).unwrap_or(1),
            seed: fields.integer("seed", 0, u64::MAX).unwrap_or(0),
            goal: Goal::read_field(&mut fields),
        };
        check_axes(&sweep, &mut fields);
        check_goal(&sweep, &mut fields);
        if !problems.is_empty() {
            return Err(problems);
        }
        let experiments = sweep.point_count().saturating_mul(sweep.repeats as usize);
        if experiments > MAX_SWEEP_EXPERIMENTS {
            return Err(vec![FieldProblem::new(
                "/axes",
                format!(
                    "gives {} points, which are {experiments} experiments with {} repeats; accepted are at most \
                     {MAX_SWEEP_EXPERIMENTS}",
                    sweep.point_count(),
                    sweep.repeats
                ),
            )]);
        }
        sweep.check_bytes(experiments)?;
        Ok(sweep)
    }

    /// Checks the size of all experiments together before any is created.
    fn check_bytes(&self, experiments: usize) -> Result<(), Vec<FieldProblem>> {
        let largest = |values: &Value| {
            let lengths = values
                .as_array()
                .into_iter()
                .flatten()
                .map(|value| value.to_string().len());
            lengths.max().unwrap_or(0)
        };
        let of_one = self.base.to_string().len() + self.axes.values().map(largest).sum::<usize>();
        let bytes = of_one.saturating_mul(experiments);
        if bytes <= MAX_SWEEP_BYTES {
            return Ok(());
        }
        let detail = format!(
            "is {of_one} bytes with the axes' values, and {bytes} in {experiments} experiments; accepted are at most \
             {MAX_SWEEP_BYTES}: a built-in set of prompts, or a file on the server (prompt_source), needs no space"
        );
        Err(vec![FieldProblem::new("/base", detail)])
    }

    /// Returns the values of the axis with their points, in ascending order; `None` unless there is one axis with only
    /// numbers.
    pub fn numeric_axis(&self) -> Option<Vec<(u32, f64)>> {
        let mut axes = self.axes.values();
        let (Some(values), None) = (axes.next(), axes.next()) else {
            return None;
        };
        let values: Option<Vec<f64>> = values.as_array()?.iter().map(Value::as_f64).collect();
        let mut values: Vec<(u32, f64)> = (0..).zip(values?).collect();
        values.sort_by(|one, other| one.1.total_cmp(&other.1));
        Some(values)
    }

    /// Returns the sweep as it is stored and shown: without the experiment, and without texts among the axes' values,
    /// which other users may not see.
    #[must_use]
    pub fn without_texts(&self) -> Self {
        let mut shown = Self {
            base: Value::Null,
            ..self.clone()
        };
        for (name, values) in &mut shown.axes {
            if TEXT_AXES.contains(&name.as_str()) {
                for value in values.as_array_mut().into_iter().flatten() {
                    if let Some(texts) = value.as_array().map(Vec::len) {
                        *value = serde_json::json!({"texts": texts});
                    }
                }
            }
        }
        shown
    }

    /// Returns the number of points.
    pub fn point_count(&self) -> usize {
        let lengths = self.axes.values().map(|values| values.as_array().map_or(0, Vec::len));
        match self.mode {
            SweepMode::Grid => lengths.fold(1, usize::saturating_mul),
            SweepMode::Zip => lengths.max().unwrap_or(1),
        }
    }
}

/// Minimum number of values for a bisection; with fewer, it saves no runs.
const MIN_VALUES_TO_BISECT: usize = 4;

/// Notes the problems of the goal.
fn check_goal(sweep: &SweepRequest, fields: &mut Fields<'_>) {
    let Some(goal) = &sweep.goal else { return };
    if goal.method == GoalMethod::Bisection && sweep.numeric_axis().is_none() {
        fields.problem_at(
            "goal/method",
            "is bisection, which needs a single axis; accepted is one field in axes, with numbers as values",
        );
    }
    if sweep.base.get("callback_url").is_some_and(|url| !url.is_null()) {
        let detail = "is given together with a goal, which decides later which experiments are run; leave it out";
        fields.problem_at("base/callback_url", detail);
    }
}

impl SweepRequest {
    /// Returns how the goal is searched for; `None` without one.
    pub fn search_method(&self) -> Option<SearchMethod> {
        let goal = self.goal.as_ref()?;
        let values = self.numeric_axis().map_or(0, |values| values.len());
        Some(match goal.method {
            GoalMethod::Grid => SearchMethod::Grid,
            GoalMethod::Bisection => SearchMethod::Bisection,
            GoalMethod::Auto if values >= MIN_VALUES_TO_BISECT => SearchMethod::Bisection,
            GoalMethod::Auto => SearchMethod::Grid,
        })
    }
}

/// Notes the problems of the axes.
fn check_axes(sweep: &SweepRequest, fields: &mut Fields<'_>) {
    if sweep.axes.len() > MAX_AXES {
        fields.problem(
            "axes",
            format!("has {} axes; accepted are at most {MAX_AXES}", sweep.axes.len()),
        );
    }
    let mut first: Option<usize> = None;
    for (name, values) in &sweep.axes {
        let path = format!("axes/{}", points::escaped(name));
        let Some(values) = values.as_array().filter(|values| !values.is_empty()) else {
            fields.problem_at(
                &path,
                format!("is {}; accepted is an array of one value or more", brief(values)),
            );
            continue;
        };
        if name.is_empty() || name.split('.').any(str::is_empty) {
            fields.problem_at(
                &path,
                "is not a field; accepted are names of an experiment's fields, with dots before fields within them",
            );
        }
        if let Some(taken) = NO_AXES.iter().find(|taken| *taken == name) {
            fields.problem_at(
                &path,
                format!("is {taken}, which is the same for all experiments of a sweep; accepted is another field"),
            );
        }
        let other = sweep.axes.keys().find(|other| other.starts_with(&format!("{name}.")));
        if let Some(other) = other {
            fields.problem_at(
                &path,
                format!("contains {other}, which is another axis; accepted is only one of the two"),
            );
        }
        let twice = values
            .iter()
            .enumerate()
            .find(|(place, value)| values[..*place].contains(value));
        // With `zip`, a value may be combined with several values of another axis.
        if let Some((place, value)) = twice.filter(|_| sweep.mode == SweepMode::Grid) {
            fields.problem_at(
                &format!("{path}/{place}"),
                format!(
                    "is {}, which occurs before; accepted are different values (to run a point again, set repeats)",
                    brief(value)
                ),
            );
        }
        let length = *first.get_or_insert(values.len());
        if sweep.mode == SweepMode::Zip && values.len() != length {
            let detail = format!(
                "has {} values; accepted are {length}, as for the first axis, since mode is zip",
                values.len()
            );
            fields.problem_at(&path, detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(document: &Value) -> Vec<(String, String)> {
        let found = SweepRequest::read(document).err().unwrap_or_default();
        found
            .into_iter()
            .map(|problem| (problem.pointer, problem.detail))
            .collect()
    }

    #[test]
    fn what_is_left_out_has_its_default_and_what_is_shown_is_taken_again() {
        let sweep = SweepRequest::read(&json!({"base": {"model_name": "a"}, "axes": {"batch_size": [1, 2]}})).unwrap();
        assert_eq!(
            (sweep.mode, sweep.order, sweep.repeats),
            (SweepMode::Grid, SweepOrder::Interleaved, 1)
        );
        assert_eq!(SweepRequest::read(&json!(sweep)).unwrap(), sweep);
        assert_eq!(SweepRequest::read(&json!({"base": {}})).unwrap().point_count(), 1);
        let side_by_side = json!({"base": {}, "axes": {"a": [1, 1], "b": [1, 2]}, "mode": "zip"});
        assert_eq!(SweepRequest::read(&side_by_side).unwrap().point_count(), 2);
    }

    #[test]
    fn each_mistake_is_named_with_what_is_accepted() {
        for (document, pointer, accepted) in [
            (json!([]), "", "an object"),
            (json!({}), "/base", "required"),
            (json!({"base": {}, "axis": {}}), "/axis", "Accepted are base, axes"),
            (json!({"base": {}, "axes": {"a": []}}), "/axes/a", "one value or more"),
            (json!({"base": {}, "axes": {"a": 1}}), "/axes/a", "an array"),
            (json!({"base": {}, "axes": {"a.": [1]}}), "/axes/a.", "dots"),
            (json!({"base": {}, "axes": {"a": [1, 2, 1]}}), "/axes/a/2", "repeats"),
            (
                json!({"base": {}, "axes": {"a": [{}], "a.b": [1]}}),
                "/axes/a",
                "only one of the two",
            ),
            (
                json!({"base": {}, "axes": {"a": [1], "b": [1, 2]}, "mode": "zip"}),
                "/axes/b",
                "accepted are 1",
            ),
            (json!({"base": {}, "repeats": 0}), "/repeats", "1 to 1000"),
            (json!({"base": {}, "order": "shuffled"}), "/order", "interleaved"),
            (
                json!({"base": {}, "axes": {"a": [1, 2, 3]}, "repeats": 334}),
                "/axes",
                "at most 1000",
            ),
        ] {
            let found = problems(&document);
            assert!(
                found
                    .iter()
                    .any(|(at, detail)| at == pointer && detail.contains(accepted)),
                "{document}: {found:?}"
            );
        }
    }
}
