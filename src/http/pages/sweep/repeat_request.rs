//! The request to submit a sweep again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::http::access::Caller;
use crate::http::experiments::view::Experiment;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_experiment::sweep::{SWEEP_LABEL, SWEEP_POINT_LABEL, SweepMode, SweepRequest};
use joulemark_experiment::{ExperimentId, Repeat};
use joulemark_store::SweepRecord;

/// Maximum number of experiments that are compared to find the fields that all share.
const MAX_COMPARED: usize = 64;
/// Maximum size of prompts that are shown, in bytes.
const MAX_PROMPT_BYTES: usize = 8 << 10;

/// Request to submit a sweep again.
pub struct RepeatRequest {
    /// Request in YAML.
    pub yaml: String,
    pub curl: String,
    /// Differences from the original, and what to do about them.
    pub notes: Vec<String>,
}

/// Reconstructs the request of a sweep from its axes and its experiments, since the base experiment is not stored.
/// Returns `None` when no experiment is left.
///
/// # Errors
/// Returns a [`Problem`] when the database fails.
pub async fn repeat_request(
    (state, caller): (&AppState, &Caller),
    sweep: &SweepRecord,
) -> Result<Option<RepeatRequest>, Problem> {
    let runs = state.resources.store.sweep_runs(sweep.id).await?;
    let runs = runs.iter().map(|run| (run.placement.point, run.experiment));
    let compared = Compared::of(&sweep.request, runs.collect());
    let mut experiments = Vec::new();
    for id in compared.experiments {
        if let Some(record) = state.resources.store.get(id).await? {
            let shown = serde_json::to_value(Experiment::new(record, None, caller));
            experiments.extend(shown.ok().as_ref().and_then(Repeat::of));
        }
    }
    let Some((request, mut notes)) = request(&sweep.request, &experiments) else {
        return Ok(None);
    };
    if compared.missing_values > 0 {
        notes.push(format!(
            "{} values of the axes were not compared, since they were not run or there are too many. If a field of base \
             depends on an axis, remove it before you submit.",
            compared.missing_values
        ));
    }
    let yaml = serde_saphyr::to_string(&request).map_err(|error| {
        tracing::error!(%error, "a sweep cannot be serialized as YAML");
        Problem::internal()
    })?;
    let curl = "curl -sS \"$JOULEMARK_SERVER/v1/sweeps\" -H 'Content-Type: application/yaml' --data-binary @sweep.yaml"
        .to_owned();
    Ok(Some(RepeatRequest { yaml, curl, notes }))
}

/// Experiments that together have every value of every axis, as far as these were run.
#[derive(Debug, PartialEq)]
struct Compared {
    experiments: Vec<ExperimentId>,
    /// Number of values that none of the experiments has.
    missing_values: usize,
}

impl Compared {
    /// Chooses at most [`MAX_COMPARED`] experiments. First it steps through all axes at once, so that few experiments are
    /// enough; other points follow for values that were not run there.
    fn of(asked: &SweepRequest, runs: BTreeMap<u32, ExperimentId>) -> Self {
        let lengths: Vec<usize> = asked
            .axes
            .values()
            .map(|of| of.as_array().map_or(0, Vec::len))
            .collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let step = |step: usize| lengths.iter().map(|of| step % of).collect::<Vec<_>>();
        let diagonal: BTreeSet<Vec<usize>> = (0..longest).map(step).collect();
        let places: Vec<Vec<usize>> = (0..asked.point_count())
            .map(|point| places(asked.mode, point, &lengths))
            .collect();
        let (first, then): (Vec<usize>, Vec<usize>) =
            (0..places.len()).partition(|point| diagonal.contains(&places[*point]));
        let mut missing: BTreeSet<(usize, usize)> = BTreeSet::new();
        for (axis, length) in lengths.iter().enumerate() {
            missing.extend((0..*length).map(|place| (axis, place)));
        }
        let mut experiments = Vec::new();
        for point in first.into_iter().chain(then) {
            let Some(id) = runs.get(&(point as u32)).filter(|_| experiments.len() < MAX_COMPARED) else {
                continue;
            };
            let before = missing.len();
            for value in places[point].iter().copied().enumerate() {
                missing.remove(&value);
            }
            if (missing.len() < before || experiments.is_empty()) && !experiments.contains(id) {
                experiments.push(*id);
            }
        }
        Self {
            experiments,
            missing_values: missing.len(),
        }
    }
}

/// Returns the position of a point's value on each axis. In a grid, the last axis changes fastest.
fn places(mode: SweepMode, point: usize, lengths: &[usize]) -> Vec<usize> {
    let mut rest = point;
    let place = |length: &usize| match mode {
        SweepMode::Grid => {
            let place = rest % length;
            rest /= length;
            place
        }
        SweepMode::Zip => point,
    };
    let mut places: Vec<usize> = lengths.iter().rev().map(place).collect();
    places.reverse();
    places
}

/// Combines the fields that all experiments share with the request of the sweep.
fn request(asked: &SweepRequest, experiments: &[Repeat]) -> Option<(Value, Vec<String>)> {
    let (first, others) = experiments.split_first()?;
    let mut notes = Vec::new();
    let mut base = first.without_defaults();
    for axis in asked.axes.keys() {
        remove(&mut base, axis);
    }
    let is_of_axis = |name: &str| asked.axes.keys().any(|axis| axis.split('.').next() == Some(name));
    // A field that depends on an axis differs between points and is filled in again.
    base.retain(|name, value| {
        let same = others
            .iter()
            .all(|other| other.experiment.get(name) == first.experiment.get(name));
        same || is_of_axis(name) || (name == "labels" && value.is_object())
    });
    if let Some(labels) = base.get_mut("labels").and_then(Value::as_object_mut) {
        labels.retain(|name, _| ![SWEEP_LABEL, SWEEP_POINT_LABEL].contains(&name.as_str()));
    }
    base.retain(|_, value| value.as_object().is_none_or(|object| !object.is_empty()));
    let missing = first.withheld_prompts + first.dropped_prompts;
    if missing > 0 {
        notes.push(format!(
            "{missing} prompts are missing, since they belong to another user or were deleted. Put prompts into base.prompts."
        ));
    }
    for name in ["prompts", "prompt_lines"] {
        let texts = base.get(name).and_then(Value::as_array);
        if let Some(count) = texts
            .filter(|texts| json!(texts).to_string().len() > MAX_PROMPT_BYTES)
            .map(Vec::len)
        {
            base.remove(name);
            notes.push(format!(
                "{count} texts of base.{name} are too long to show; the manifest of any run contains them."
            ));
        }
    }
    let has_hidden_axis = asked.axes.values().any(|values| {
        let mut values = values.as_array().into_iter().flatten();
        values.any(|value| value.get("texts").is_some_and(Value::is_number))
    });
    if has_hidden_axis {
        notes.push("The texts of an axis are not stored with the sweep. Put them in place of their number.".to_owned());
    }
    let mut request: Map<String, Value> = Map::new();
    request.insert("base".to_owned(), base.into());
    let asked = serde_json::to_value(asked).ok()?;
    let unlike_default = asked
        .as_object()?
        .iter()
        .filter(|(name, value)| *name != "base" && !is_default(name, value));
    request.extend(unlike_default.map(|(name, value)| (name.clone(), value.clone())));
    Some((request.into(), notes))
}

fn is_default(name: &str, value: &Value) -> bool {
    match name {
        "axes" => value.as_object().is_some_and(Map::is_empty),
        "mode" => value == "grid",
        "order" => value == "interleaved",
        "repeats" => *value == 1,
        "seed" => *value == 0,
        _ => false,
    }
}

/// Removes the field at a dotted path, and objects that are then empty.
fn remove(object: &mut Map<String, Value>, path: &str) {
    match path.split_once('.') {
        None => drop(object.remove(path)),
        Some((name, rest)) => {
            let Some(within) = object.get_mut(name).and_then(Value::as_object_mut) else {
                return;
            };
            remove(within, rest);
            if within.is_empty() {
                object.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(fields: Value) -> Repeat {
        let mut shown =
            json!({"id": "x", "state": "completed", "created_at": "t", "model_name": "m", "prompts": ["a"]});
        shown
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        Repeat::of(&shown).unwrap()
    }

    fn asked(document: &Value) -> SweepRequest {
        SweepRequest::read(document).unwrap()
    }

    #[test]
    fn the_request_has_the_shared_fields_without_those_that_depend_on_an_axis_and_the_sweeps_labels() {
        let of = |limit: u32, gpus: &str| {
            let labels = json!({"sweep": "s", "sweep_point": limit.to_string(), "team": "nlp"});
            experiment(
                json!({"power_limit_w": limit, "gpus": [gpus], "labels": labels, "batch_size": 3,
                "decoder": {"temperature": 0.7, "top_k": 5}}),
            )
        };
        let sweep = asked(&json!({"base": {}, "repeats": 3,
            "axes": {"power_limit_w": [150, 200], "decoder.temperature": [0.7]}}));
        let (request, notes) = request(&sweep, &[of(150, "a"), of(200, "b")]).unwrap();
        let expected = json!({"base": {"model_name": "m", "prompts": ["a"], "labels": {"team": "nlp"}, "batch_size": 3,
            "decoder": {"top_k": 5}}, "axes": {"power_limit_w": [150, 200], "decoder.temperature": [0.7]}, "repeats": 3});
        assert_eq!((request.clone(), notes), (expected, Vec::new()));
        assert_eq!(asked(&request).point_count(), sweep.point_count());
    }

    /// Returns the experiments that are compared of a sweep with these axes, of whose points some were run.
    fn compared(document: &Value, was_run: impl Fn(usize) -> bool) -> (Vec<usize>, usize) {
        let asked = asked(document);
        let ids: Vec<ExperimentId> = (0..asked.point_count()).map(|_| ExperimentId::generate()).collect();
        let runs = (0..).zip(&ids).filter(|(point, _)| was_run(*point as usize));
        let found = Compared::of(&asked, runs.map(|(point, id)| (point, *id)).collect());
        let point = |id: &ExperimentId| ids.iter().position(|other| other == id).unwrap();
        (found.experiments.iter().map(point).collect(), found.missing_values)
    }

    #[test]
    fn every_value_of_every_axis_is_compared() {
        let values = |count: u32| (1..=count).collect::<Vec<_>>();
        let grid = json!({"base": {}, "axes": {"batch_size": values(20), "num_cycles": values(3)}});
        let (points, missing) = compared(&grid, |_| true);
        assert_eq!((points.len(), missing), (20, 0));
        assert!(
            (0..20).all(|value| points.iter().any(|point| point / 3 == value)),
            "{points:?}"
        );
        assert!(
            (0..3).all(|value| points.iter().any(|point| point % 3 == value)),
            "{points:?}"
        );
        // Of the first axis only the last two values were run, with one value of the other axis.
        let (points, missing) = compared(&grid, |point| point >= 54 && point % 3 == 1);
        assert_eq!((points, missing), (vec![58, 55], 18 + 2));
        let zip = json!({"base": {}, "mode": "zip", "axes": {"batch_size": values(15), "num_cycles": values(15)}});
        assert_eq!(compared(&zip, |_| true), ((0..15).collect(), 0));
        let long = json!({"base": {}, "axes": {"batch_size": values(70)}});
        let (points, missing) = compared(&long, |_| true);
        assert_eq!((points.len(), missing), (MAX_COMPARED, 70 - MAX_COMPARED));
        assert_eq!(compared(&json!({"base": {}}), |_| true), (vec![0], 0));
        assert_eq!(compared(&long, |_| false), (Vec::new(), 70));
    }

    #[test]
    fn missing_texts_are_reported() {
        let withheld = experiment(json!({"prompts": [], "prompts_withheld": 7}));
        let sweep = asked(&json!({"base": {}, "axes": {"prompts": [["a"], ["b"]]}})).without_texts();
        let (_, notes) = request(&sweep, &[withheld]).unwrap();
        assert!(
            notes[0].starts_with("7 prompts") && notes[1].contains("an axis"),
            "{notes:?}"
        );
        let long = experiment(json!({"prompts": ["x".repeat(MAX_PROMPT_BYTES)]}));
        let (request, notes) = request(&asked(&json!({"base": {}})), &[long]).unwrap();
        assert!(
            notes[0].contains("1 texts") && request["base"].get("prompts").is_none(),
            "{notes:?}"
        );
    }
}
