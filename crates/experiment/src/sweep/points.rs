use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::super::field::{FieldProblem, brief, pointer};
use super::{SweepMode, SweepOrder, SweepRequest};

/// A combination of the axes' values.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Number of the point, from 0.
    pub index: u32,
    /// Value of each axis, in the order of the axes.
    pub values: Map<String, Value>,
}

/// A run of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Number of the point, from 0.
    pub point: u32,
    /// Number of the run of this point, from 0.
    pub repeat: u32,
}

impl SweepRequest {
    /// Returns all points. In a grid, the last axis changes fastest.
    pub fn points(&self) -> Vec<Point> {
        let axes: Vec<(&String, &Vec<Value>)> = self
            .axes
            .iter()
            .filter_map(|(name, values)| Some((name, values.as_array()?)))
            .collect();
        (0..self.point_count())
            .map(|index| {
                let mut rest = index;
                let mut values: Vec<(String, Value)> = Vec::new();
                for (name, of_axis) in axes.iter().rev() {
                    let place = match self.mode {
                        SweepMode::Grid => {
                            let place = rest % of_axis.len();
                            rest /= of_axis.len();
                            place
                        }
                        SweepMode::Zip => index,
                    };
                    values.push(((*name).clone(), of_axis[place].clone()));
                }
                Point {
                    index: index as u32,
                    values: values.into_iter().rev().collect(),
                }
            })
            .collect()
    }

    /// Returns all runs in the order in which they are queued.
    pub fn placements(&self) -> Vec<Placement> {
        let (points, repeats) = (self.point_count() as u32, self.repeats);
        let placement = |point, repeat| Placement { point, repeat };
        let interleaved = (0..repeats).flat_map(|repeat| (0..points).map(move |point| placement(point, repeat)));
        match self.order {
            SweepOrder::Interleaved => interleaved.collect(),
            SweepOrder::Sequential => (0..points)
                .flat_map(|point| (0..repeats).map(move |repeat| placement(point, repeat)))
                .collect(),
            SweepOrder::Random => {
                // Sorted by a digest of seed and position: the same order on every machine and in every version.
                let mut all: Vec<_> = interleaved.enumerate().collect();
                all.sort_by_cached_key(|(place, _)| Sha256::digest(format!("{}:{place}", self.seed)));
                all.into_iter().map(|(_, placement)| placement).collect()
            }
        }
    }

    /// Returns the experiment of a point, as a single submission would be written.
    ///
    /// # Errors
    /// Returns an error when an axis leads into a field that is not an object.
    pub fn document(&self, point: &Point) -> Result<Value, FieldProblem> {
        let mut document = self.base.clone();
        for (axis, value) in &point.values {
            set(&mut document, axis, value)
                .map_err(|detail| FieldProblem::new(format!("/axes/{}", escaped(axis)), detail))?;
        }
        Ok(document)
    }

    /// Returns a problem of a point's experiment as a problem of the sweep: at the axis that set the field, or at the
    /// base.
    pub fn problem_of(&self, point: &Point, problem: FieldProblem) -> FieldProblem {
        let detail = match point.values.is_empty() {
            true => problem.detail,
            false => format!(
                "{} (point {}: {})",
                problem.detail,
                point.index,
                in_words(&point.values)
            ),
        };
        let found = point.values.iter().find_map(|(axis, value)| {
            let at = axis.split('.').fold(String::new(), |base, key| pointer(&base, key));
            let within = problem.pointer.strip_prefix(&at).filter(|rest| is_whole_key(rest));
            // An object that the axis' path created belongs to the axis.
            let leads_through = at
                .strip_prefix(&problem.pointer)
                .is_some_and(|rest| rest.starts_with('/'))
                && !problem.pointer.is_empty()
                && self.base.pointer(&problem.pointer).is_none();
            within
                .map(str::to_owned)
                .or_else(|| leads_through.then(String::new))
                .map(|within| (axis, value, within))
        });
        let Some((axis, value, within)) = found else {
            return FieldProblem::new(format!("/base{}", problem.pointer), detail);
        };
        let values = self.axes.get(axis).and_then(Value::as_array);
        let place = match self.mode {
            SweepMode::Grid => values.and_then(|values| values.iter().position(|of_axis| of_axis == value)),
            SweepMode::Zip => Some(point.index as usize),
        };
        let pointer = format!("/axes/{}/{}{within}", escaped(axis), place.unwrap_or(0));
        FieldProblem::new(pointer, detail)
    }
}

/// Returns whether the rest of a pointer begins with a whole key.
fn is_whole_key(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

/// Returns a key as it is written in a JSON pointer.
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Returns the values of a point as text.
fn in_words(values: &Map<String, Value>) -> String {
    let each = values.iter().map(|(axis, value)| format!("{axis} {}", brief(value)));
    each.collect::<Vec<_>>().join(", ")
}

/// Sets the field at `path` and creates the objects on the way.
fn set(document: &mut Value, path: &str, value: &Value) -> Result<(), String> {
    let mut place = document;
    for key in path.split('.') {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let shown = brief(place);
        let Value::Object(object) = place else {
            return Err(format!("leads into {shown}; accepted is a field of an object"));
        };
        place = object.entry(key).or_insert(Value::Null);
    }
    *place = value.clone();
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sweep(document: &Value) -> SweepRequest {
        SweepRequest::read(document).unwrap()
    }

    #[test]
    fn a_grid_has_every_combination_and_zip_goes_through_them_together() {
        let of = |mode: &str| {
            let sweep = sweep(&json!({"base": {}, "axes": {"a": [1, 2], "b": ["x", "y"]}, "mode": mode}));
            sweep
                .points()
                .into_iter()
                .map(|point| json!(point.values))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            of("grid"),
            [
                json!({"a": 1, "b": "x"}),
                json!({"a": 1, "b": "y"}),
                json!({"a": 2, "b": "x"}),
                json!({"a": 2, "b": "y"})
            ]
        );
        assert_eq!(of("zip"), [json!({"a": 1, "b": "x"}), json!({"a": 2, "b": "y"})]);
    }

    #[test]
    fn every_order_has_each_run_once() {
        let placements = |order: &str, seed: u64| {
            let sweep =
                sweep(&json!({"base": {}, "axes": {"a": [1, 2, 3]}, "repeats": 2, "order": order, "seed": seed}));
            let all = sweep.placements();
            all.into_iter().map(|run| (run.point, run.repeat)).collect::<Vec<_>>()
        };
        assert_eq!(
            placements("interleaved", 0),
            [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
        );
        assert_eq!(
            placements("sequential", 0),
            [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
        );
        let (one, other) = (placements("random", 1), placements("random", 2));
        assert_ne!(one, other);
        assert_eq!(one, placements("random", 1));
        for mut shuffled in [one, other] {
            shuffled.sort_unstable();
            assert_eq!(shuffled, placements("sequential", 0));
        }
    }

    #[test]
    fn an_axis_reaches_into_a_field_and_leaves_the_rest_of_it() {
        let sweep = sweep(&json!({"base": {"decoder": {"seed": 4}, "batch_size": 1},
            "axes": {"decoder.temperature": [0.5], "labels.a": ["b"]}}));
        let document = sweep.document(&sweep.points()[0]).unwrap();
        let expected = json!({"decoder": {"seed": 4, "temperature": 0.5}, "batch_size": 1, "labels": {"a": "b"}});
        assert_eq!(document, expected);
        let into = SweepRequest::read(&json!({"base": {"a": 1}, "axes": {"a.b": [1]}})).unwrap();
        let problem = into.document(&into.points()[0]).unwrap_err();
        assert_eq!(problem.pointer, "/axes/a.b");
    }

    #[test]
    fn a_problem_is_reported_at_the_axis_that_caused_it_or_at_the_base() {
        let sweep = sweep(&json!({"base": {}, "axes": {"batch_size": [1, 0], "decoder.seed": [1]}}));
        let point = &sweep.points()[1];
        let at = |pointer: &str| sweep.problem_of(point, FieldProblem::new(pointer, "is bad"));
        assert_eq!(at("/batch_size").pointer, "/axes/batch_size/1");
        assert_eq!(
            at("/batch_size").detail,
            "is bad (point 1: batch_size 0, decoder.seed 1)"
        );
        assert_eq!(at("/decoder/seed").pointer, "/axes/decoder.seed/0");
        assert_eq!(at("/decoder/seed/x").pointer, "/axes/decoder.seed/0/x");
        assert_eq!(at("/decoder").pointer, "/axes/decoder.seed/0");
        assert_eq!(at("/decoder/top_k").pointer, "/base/decoder/top_k");
        assert_eq!(at("").pointer, "/base");
    }
}
