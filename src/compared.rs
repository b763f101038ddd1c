//! Reads the inputs of a comparison: names of metrics, and results as the server returns them, from a request or a
//! file. Also words the outcome. Leaves the comparison to `joulemark_analysis::comparison`.

mod words;

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::{Map, Value};

use joulemark_analysis::comparison::{CpuSettings, DEFAULT_METRICS, MeasuredResult, comparable_metrics, eos_of};
use joulemark_analysis::metrics::{Metric, all, find};
use joulemark_experiment::report::{CycleReport, RunConditions};
use joulemark_experiment::{DroppedPrompts, ExperimentId, FieldProblem, PromptIdentity, Spec};
use joulemark_measurement::{LoadReport, quoted};

pub use words::{Grouped, grouped, in_words, letter};

/// Reference to what is compared: the id of an experiment, or the id of a sweep with the number of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Experiment(ExperimentId),
    Point(ExperimentId, u32),
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = match text.split_once('/') {
            None => text.parse().ok().map(Self::Experiment),
            Some((sweep, point)) => sweep
                .parse()
                .ok()
                .zip(point.parse().ok())
                .map(|(id, point)| Self::Point(id, point)),
        };
        named.ok_or_else(|| {
            "accepted is an experiment's UUID, or SWEEP/POINT: a sweep's UUID and the number of a point".to_owned()
        })
    }
}

impl fmt::Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Experiment(id) => id.fmt(formatter),
            Self::Point(sweep, point) => write!(formatter, "{sweep}/{point}"),
        }
    }
}

const ACCEPTED: &str = "accepted is a result as GET /v1/experiments/{id}/results returns it";

/// Returns the metrics that are compared by default.
pub fn default_metrics() -> Vec<&'static Metric> {
    DEFAULT_METRICS.iter().filter_map(|name| find(all(), name)).collect()
}

/// Finds a metric by name.
///
/// # Errors
/// Returns a message when there is no such metric or it is not a number.
pub fn metric_named(name: &str) -> Result<&'static Metric, String> {
    if let Some(metric) = comparable_metrics().find(|metric| metric.name == name) {
        return Ok(metric);
    }
    Err(match find(all(), name) {
        Some(_) => format!(
            "is {}, which cannot be compared; accepted are metrics that are numbers, except half-widths",
            quoted(&name)
        ),
        None => format!(
            "is {}, which is no metric of a result; accepted are the names of GET /v1/metrics, such as {}",
            quoted(&name),
            DEFAULT_METRICS.join(", ")
        ),
    })
}

/// Reads a result as the server returns it; `base` is its JSON pointer in the request. Reads only the parts that a
/// comparison needs, so the result may have been requested with
/// `fields=id,cycles,repetition,machine,loads,experiment,power_limit_w,conditions`. Drops the cycles that its
/// statistics leave out, as for a result that is named by its id.
///
/// # Errors
/// Returns a problem for each part that is missing or malformed.
pub fn read_result(value: &Value, base: &str, name: String) -> Result<MeasuredResult, Vec<FieldProblem>> {
    let Some(object) = value.as_object() else {
        let detail = format!("is not an object; {ACCEPTED}");
        return Err(vec![FieldProblem::new(base, detail)]);
    };
    let mut parts = Parts {
        object,
        base,
        problems: Vec::new(),
    };
    let cycles = parts.list::<CycleReport>("cycles");
    let loads = parts.list::<LoadReport>("loads");
    let spec = parts.required::<Spec>("experiment");
    let host = value.pointer("/machine/hostname").and_then(Value::as_str);
    if host.is_none() {
        parts.problem("machine/hostname", format!("is missing or not a string; {ACCEPTED}"));
    }
    let left_out = parts.left_out_of_statistics();
    let withheld = parts.optional::<u32>("prompts_withheld");
    let conditions = parts.optional::<RunConditions>("conditions");
    let dropped = parts.optional::<DroppedPrompts>("prompts_dropped");
    match (cycles, loads, spec, host) {
        (Some(cycles), Some(loads), Some(spec), Some(host)) if parts.problems.is_empty() => Ok(MeasuredResult {
            name,
            host: host.to_owned(),
            is_partial: object.get("partial") == Some(&Value::Bool(true)),
            is_stopped_by_rule: value.pointer("/stop/sure_enough") == Some(&Value::Bool(true)),
            eos: eos_of(&loads, &spec),
            cycles: without(cycles, &left_out),
            power_limit_w: object.get("power_limit_w").and_then(Value::as_f64),
            cpu: conditions.as_ref().map(CpuSettings::from).unwrap_or_default(),
            prompts: PromptIdentity::of(&spec, withheld, dropped.as_ref()),
            spec,
        }
        .completed()),
        _ => Err(parts.problems),
    }
}

/// Returns the cycles except those in `left_out`.
fn without(mut cycles: Vec<CycleReport>, left_out: &[u32]) -> Vec<CycleReport> {
    cycles.retain(|cycle| !left_out.contains(&cycle.cycle));
    cycles
}

/// The parts of a result, with the problems found in them.
struct Parts<'a> {
    object: &'a Map<String, Value>,
    base: &'a str,
    problems: Vec<FieldProblem>,
}

impl<'a> Parts<'a> {
    fn problem(&mut self, place: &str, detail: impl Into<String>) {
        let pointer = format!("{}/{place}", self.base);
        self.problems.push(FieldProblem::new(pointer, detail));
    }

    fn read<T: Deserialize<'a>>(&mut self, place: &str, value: &'a Value) -> Option<T> {
        let read = T::deserialize(value);
        read.map_err(|error| self.problem(place, format!("is not as a server returns it: {error}")))
            .ok()
    }

    fn required<T: Deserialize<'a>>(&mut self, name: &str) -> Option<T> {
        match self.object.get(name) {
            Some(value) => self.read(name, value),
            None => {
                self.problem(name, format!("is missing; {ACCEPTED}"));
                None
            }
        }
    }

    fn optional<T: Deserialize<'a>>(&mut self, name: &str) -> Option<T> {
        let value = self.object.get(name).filter(|value| !value.is_null())?;
        self.read(name, value)
    }

    /// Reads which cycles the statistics leave out; empty when the result does not list any.
    fn left_out_of_statistics(&mut self) -> Vec<u32> {
        let repetition = self.object.get("repetition");
        let left_out = repetition.and_then(|repetition| repetition.get("left_out_of_statistics"));
        let left_out = left_out.filter(|left_out| !left_out.is_null());
        let read = left_out.and_then(|left_out| self.read("repetition/left_out_of_statistics", left_out));
        read.unwrap_or_default()
    }

    fn list<T: Deserialize<'a>>(&mut self, name: &str) -> Option<Vec<T>> {
        let Some(items) = self.object.get(name).and_then(Value::as_array) else {
            self.problem(name, format!("is missing or not an array; {ACCEPTED}"));
            return None;
        };
        let read = |(place, item)| self.read(&format!("{name}/{place}"), item);
        items.iter().enumerate().map(read).collect()
    }
}
