//! One experiment many times over, with other values of some of its fields: what is asked for, and the points that come of it.
//! Pure.

mod points;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::field::{FieldProblem, Fields, brief};

pub use points::{Placement, Point};

/// Most experiments of one sweep.
pub const MAX_SWEEP_EXPERIMENTS: usize = 1000;
const MAX_AXES: usize = 8;

/// How the values of several axes go together.
///
/// - `grid`: each value of one with each of all others
/// - `zip`: the first of each, then the second of each: all axes are equally long
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SweepMode {
    #[default]
    Grid,
    Zip,
}

/// The order in which a sweep's experiments are queued.
///
/// - `interleaved`: every point once, then every point again: what drifts hits all points alike
/// - `random`: all experiments as `seed` shuffles them
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
    /// The experiment, as `POST /v1/experiments` takes it; the axes' fields may be left out.
    #[schema(value_type = Object, example = json!({"model_name": "smollm2.gguf", "prompts": {"dataset": "short-32", "count": 4}}))]
    pub base: Value,
    /// Fields of the experiment with the values that each is to have, up to 8; dots lead to what is within a field
    /// (`decoder.temperature`). Left out or empty, there is one point.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, Vec<Value>>, example = json!({"num_processes": [1, 2], "max_output_tokens": [32, 64]}))]
    pub axes: Map<String, Value>,
    /// How values go together. Default `grid`.
    #[serde(default)]
    pub mode: SweepMode,
    /// The order of the experiments. Default `interleaved`.
    #[serde(default)]
    pub order: SweepOrder,
    /// How often each point is run, 1 to 1000. Default 1.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 1000)]
    pub repeats: u32,
    /// Seed of the order `random`. Default 0.
    #[serde(default)]
    pub seed: u64,
}

fn one() -> u32 {
    1
}

impl SweepRequest {
    const NAMES: [&str; 6] = ["base", "axes", "mode", "order", "repeats", "seed"];

    /// Reads a submission of a sweep, defaults filled in. Its experiments are checked one by one, each as one of its own.
    ///
    /// # Errors
    /// Every problem found, each with a pointer to its field.
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
            fields.problem("base", "is required: the experiment that is swept, an object");
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
        };
        check_axes(&sweep, &mut fields);
        if !problems.is_empty() {
            return Err(problems);
        }
        let experiments = sweep.point_count().saturating_mul(sweep.repeats as usize);
        if experiments > MAX_SWEEP_EXPERIMENTS {
            return Err(vec![FieldProblem::new(
                "/axes",
                format!(
                    "makes {} points, which are {experiments} experiments with {} repeats; accepted are up to \
                     {MAX_SWEEP_EXPERIMENTS}",
                    sweep.point_count(),
                    sweep.repeats
                ),
            )]);
        }
        Ok(sweep)
    }

    /// Returns how many points the axes make.
    pub fn point_count(&self) -> usize {
        let lengths = self.axes.values().map(|values| values.as_array().map_or(0, Vec::len));
        match self.mode {
            SweepMode::Grid => lengths.fold(1, usize::saturating_mul),
            SweepMode::Zip => lengths.max().unwrap_or(1),
        }
    }
}

fn check_axes(sweep: &SweepRequest, fields: &mut Fields<'_>) {
    if sweep.axes.len() > MAX_AXES {
        fields.problem(
            "axes",
            format!("has {} axes; accepted are up to {MAX_AXES}", sweep.axes.len()),
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
                "is no field; accepted are names of an experiment's fields, with dots for what is within",
            );
        }
        let other = sweep.axes.keys().find(|other| other.starts_with(&format!("{name}.")));
        if let Some(other) = other {
            fields.problem_at(
                &path,
                format!("sets the whole of which {other} sets a part; accepted is one of both"),
            );
        }
        let twice = values
            .iter()
            .enumerate()
            .find(|(place, value)| values[..*place].contains(value));
        if let Some((place, value)) = twice {
            fields.problem_at(
                &format!("{path}/{place}"),
                format!(
                    "is {} a second time; accepted are values that differ (repeats runs a point again)",
                    brief(value)
                ),
            );
        }
        let length = *first.get_or_insert(values.len());
        if sweep.mode == SweepMode::Zip && values.len() != length {
            let detail = format!(
                "has {} values; accepted are {length}, as of the first axis: mode is zip",
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
                "one of both",
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
                "up to 1000",
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
