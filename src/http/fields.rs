//! The parameter `fields`, which selects fields of an answer. The names come from the API's description, so no separate
//! list has to be maintained.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::{Json, response::IntoResponse as _, response::Response};
use serde::Serialize;
use serde_json::{Map, Value};

use super::openapi;
use super::problem::Problem;
use joulemark_measurement::quoted;

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(openapi::document()).unwrap_or_default());

/// Maximum number of fields; each is looked up in the description.
const MAX_FIELDS: usize = 256;

/// Selected fields, each with its nested selection; empty means all fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, Fields>);

impl Fields {
    /// Reads a selection such as `a,b.c` for a schema of the API's description.
    ///
    /// # Errors
    /// Returns a [`Problem`] that names an unknown field and lists the known ones, or says that there are too many.
    pub fn read(text: &str, schema: &str) -> Result<Self, Problem> {
        let count = text.split(',').count();
        if count > MAX_FIELDS {
            let detail = format!("names {count} fields; accepted are at most {MAX_FIELDS}");
            return Err(Problem::invalid_parameter("fields", detail));
        }
        let mut fields = Self::default();
        for path in text.split(',').map(str::trim) {
            check(path, schema)?;
            fields.insert(path);
        }
        Ok(fields)
    }

    /// Adds a path. A field that is selected whole stays so if a part of it is also selected.
    fn insert(&mut self, path: &str) {
        let (name, within) = path.split_once('.').unwrap_or((path, ""));
        match (self.0.get_mut(name), within) {
            (_, "") => drop(self.0.insert(name.to_owned(), Self::default())),
            (Some(known), _) if known.are_all() => {}
            (Some(known), within) => known.insert(within),
            (None, within) => {
                let mut fields = Self::default();
                fields.insert(within);
                self.0.insert(name.to_owned(), fields);
            }
        }
    }

    /// Returns whether a field, or a part of it, is selected.
    pub fn has(&self, name: &str) -> bool {
        self.are_all() || self.0.contains_key(name)
    }

    /// Returns whether all fields are selected.
    pub fn are_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the selected fields of a document in its order; of each item if it is a list.
    pub fn select(&self, document: &impl Serialize) -> Result<Value, Problem> {
        let document = serde_json::to_value(document).map_err(|_| Problem::internal())?;
        Ok(self.pruned(document))
    }

    /// Returns the selected fields of a document as a JSON response.
    pub fn json(&self, document: &impl Serialize) -> Result<Response, Problem> {
        if self.are_all() {
            return Ok(Json(document).into_response());
        }
        Ok(Json(self.select(document)?).into_response())
    }

    /// Returns the selected fields of a value.
    fn pruned(&self, value: Value) -> Value {
        match value {
            _ if self.are_all() => value,
            Value::Array(items) => items.into_iter().map(|item| self.pruned(item)).collect(),
            Value::Object(object) => {
                let wanted = object.into_iter().filter_map(|(name, value)| {
                    let within = self.0.get(&name)?;
                    Some((name, within.pruned(value)))
                });
                Value::Object(wanted.collect::<Map<_, _>>())
            }
            other => other,
        }
    }
}

/// Checks that a path names a field of the schema.
fn check(path: &str, schema: &str) -> Result<(), Problem> {
    let mut at = vec![&DESCRIPTION["components"]["schemas"][schema]];
    let mut walked = Vec::new();
    for name in path.split('.') {
        let known = properties(&at);
        let within = match (known.get(name), is_map(&at)) {
            (Some(within), _) => vec![*within],
            (None, true) if !name.is_empty() => Vec::new(),
            _ => return Err(unknown(path, &walked, &known)),
        };
        walked.push(name);
        at = within;
    }
    Ok(())
}

/// Returns the problem for a path that names no field, with the known names at that place.
fn unknown(path: &str, walked: &[&str], known: &BTreeMap<&str, &Value>) -> Problem {
    let names = known.keys().copied().collect::<Vec<_>>().join(", ");
    let detail = match (walked.is_empty(), names.is_empty()) {
        (true, _) => format!(
            "has {path}, which is not a field; accepted are, separated by commas, {names}",
            path = quoted(&path)
        ),
        (false, true) => format!(
            "has {path}; accepted is {}, which has no fields within",
            walked.join("."),
            path = quoted(&path)
        ),
        (false, false) => format!(
            "has {path}; accepted are, within {}, {names}",
            walked.join("."),
            path = quoted(&path)
        ),
    };
    Problem::invalid_parameter("fields", detail)
}

/// Returns all schemas that these stand for: behind references, of each alternative, and of the items of lists.
fn resolved<'a>(schemas: &[&'a Value]) -> Vec<&'a Value> {
    let mut open = schemas.to_vec();
    let mut found = Vec::new();
    while let Some(schema) = open.pop() {
        if let Some(reference) = schema["$ref"].as_str() {
            let pointer = reference.trim_start_matches('#');
            open.extend(DESCRIPTION.pointer(pointer));
        }
        for group in ["allOf", "oneOf", "anyOf"] {
            open.extend(schema[group].as_array().into_iter().flatten());
        }
        if schema["items"].is_object() {
            open.push(&schema["items"]);
        }
        found.push(schema);
    }
    found
}

/// Returns the properties of these schemas by name.
fn properties<'a>(schemas: &[&'a Value]) -> BTreeMap<&'a str, &'a Value> {
    let objects = resolved(schemas)
        .into_iter()
        .filter_map(|schema| schema["properties"].as_object());
    objects
        .flatten()
        .map(|(name, schema)| (name.as_str(), schema))
        .collect()
}

/// Returns whether the schemas allow any name, as labels do.
fn is_map(schemas: &[&Value]) -> bool {
    resolved(schemas)
        .iter()
        .any(|schema| schema["additionalProperties"].is_object())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_selected_fields_remain_in_their_order() {
        let document = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [{"f": 4, "g": 5}, {"g": 6}], "h": null});
        let mut fields = Fields::default();
        for path in ["h.x", "e.f", "b.d"] {
            fields.insert(path);
        }
        assert_eq!(
            fields.select(&document).unwrap(),
            json!({"b": {"d": 3}, "e": [{"f": 4}, {}], "h": null})
        );
        assert_eq!(Fields::default().select(&document).unwrap(), document);
    }

    #[test]
    fn an_object_selected_whole_is_not_narrowed_by_a_part_of_it() {
        let whole = Fields::read("decoder.seed,decoder", "Experiment").unwrap();
        assert_eq!(whole, Fields::read("decoder", "Experiment").unwrap());
        assert_eq!(whole, Fields::read("decoder, decoder.seed", "Experiment").unwrap());
    }

    #[test]
    fn too_many_fields_are_refused() {
        let fields = |count: usize| Fields::read(&vec!["id"; count].join(","), "Experiment");
        assert!(fields(MAX_FIELDS).is_ok());
        let problem = fields(MAX_FIELDS + 1).unwrap_err();
        assert!(problem.detail.contains("at most 256"), "{}", problem.detail);
    }

    #[test]
    fn known_fields_are_accepted_at_any_depth() {
        for (schema, path) in [
            ("Experiment", "id"),
            ("Experiment", "model_name"),
            ("Experiment", "decoder.seed"),
            ("Experiment", "labels.whatever"),
            ("Experiment", "warnings.code"),
            ("Experiment", "failure.reason"),
            ("Results", "energy.total_energy_j"),
            ("Results", "energy.sources.uncertainty_j"),
            ("Results", "compute.roofline.source"),
            ("Results", "experiment.decoder.seed"),
            ("Results", "cycles.inference.tokens_per_second"),
        ] {
            assert!(Fields::read(path, schema).is_ok(), "{schema} {path}");
        }
    }

    #[test]
    fn an_unknown_field_is_named_with_the_known_ones() {
        for (path, accepted) in [
            ("", "created_at"),
            ("id,", "created_at"),
            ("colour", "created_at, decoder"),
            ("decoder.colour", "within decoder, do_sample"),
            ("id.x", "accepted is id, which has no fields within"),
            ("labels.", "accepted"),
            ("Decoder", "decoder"),
        ] {
            let problem = Fields::read(path, "Experiment").unwrap_err();
            assert_eq!(
                (problem.status, problem.errors[0].pointer.as_str()),
                (400, "fields"),
                "{path}"
            );
            assert!(problem.detail.contains(accepted), "{path}: {}", problem.detail);
        }
    }
}
