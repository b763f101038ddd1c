//! Engines that are servers, as the admin's configuration offers them to submitters: their names, and the arguments
//! that a submission may set.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::field::{FieldProblem, Fields, brief};
use super::table::{Bounds, FieldType, Kind};
use joulemark_measurement::quoted;

/// Engine of a submission that names none.
pub const DEFAULT_ENGINE: &str = "mistral";
/// Engine of `synthetic:` models.
pub const SYNTHETIC_ENGINE: &str = "synthetic";

/// Maximum number of arguments of an engine; far more than a command line needs.
pub const MAX_ARGUMENTS: usize = 64;

/// Returns the engine of experiments that were stored before there were several.
pub(crate) fn default_engine() -> String {
    DEFAULT_ENGINE.to_owned()
}

/// An engine that is a server, as a node offers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OfferedServer {
    /// Name of the server, for the field `engine` of a submission.
    #[schema(example = "llama-server")]
    pub name: String,
    /// Whether the server is started for each experiment; false where it is already running.
    pub managed: bool,
    /// The only model that it serves, where the configuration names one. If null, a managed server serves the models of
    /// the models folder, and a running one those that it has loaded.
    pub model_name: Option<String>,
    /// Arguments that a submission may set in `engine_arguments`.
    pub arguments: BTreeMap<String, Argument>,
}

/// Configurations with a bound that is not a number are rejected, so that equality is total.
impl Eq for OfferedServer {}

/// Type and range of an argument of an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Argument {
    Integer {
        /// Minimum and maximum.
        integer: [i64; 2],
        /// Value where a submission gives none.
        default: i64,
    },
    Number {
        /// Minimum and maximum.
        number: [f64; 2],
        /// Value where a submission gives none.
        default: f64,
    },
    Choice {
        /// Accepted words.
        choice: Vec<String>,
        /// Value where a submission gives none.
        default: String,
    },
}

/// Value of an argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ArgumentValue {
    Integer(i64),
    Number(f64),
    Text(String),
}

/// In JSON, integers are numbers.
impl PartialSchema for ArgumentValue {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Number, Type::String]))
            .description(Some("Value of an argument: a number or a text."));
        Schema::Object(object.build()).into()
    }
}

impl ToSchema for ArgumentValue {
    fn name() -> Cow<'static, str> {
        "ArgumentValue".into()
    }
}

impl fmt::Display for ArgumentValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(formatter),
            Self::Number(value) => value.fmt(formatter),
            Self::Text(value) => value.fmt(formatter),
        }
    }
}

/// Arguments of an engine, by name.
pub type ArgumentValues = BTreeMap<String, ArgumentValue>;

impl Argument {
    /// Returns the value where a submission gives none.
    pub fn default_value(&self) -> ArgumentValue {
        match self {
            Self::Integer { default, .. } => ArgumentValue::Integer(*default),
            Self::Number { default, .. } => ArgumentValue::Number(*default),
            Self::Choice { default, .. } => ArgumentValue::Text(default.clone()),
        }
    }

    /// Returns the value with the type of the argument; `None` where it is not accepted.
    pub fn accept(&self, value: &ArgumentValue) -> Option<ArgumentValue> {
        let is_accepted = match (self, value) {
            (
                Self::Integer {
                    integer: [least, most], ..
                },
                ArgumentValue::Integer(value),
            ) => (least..=most).contains(&value),
            (
                Self::Number {
                    number: [least, most], ..
                },
                ArgumentValue::Number(value),
            ) => (least..=most).contains(&value),
            (
                Self::Number {
                    number: [least, most], ..
                },
                ArgumentValue::Integer(value),
            ) => {
                return Some(*value as f64)
                    .filter(|value| (least..=most).contains(&value))
                    .map(ArgumentValue::Number);
            }
            (Self::Choice { choice, .. }, ArgumentValue::Text(value)) => choice.contains(value),
            _ => false,
        };
        is_accepted.then(|| value.clone())
    }

    /// Describes what is accepted.
    pub fn accepted(&self) -> String {
        match self {
            Self::Integer {
                integer: [least, most], ..
            } => format!("an integer from {least} to {most}"),
            Self::Number {
                number: [least, most], ..
            } => format!("a number from {least} to {most}"),
            Self::Choice { choice, .. } => choice.join(", "),
        }
    }
}

impl OfferedServer {
    /// Returns `asked` with the defaults of missing arguments.
    ///
    /// # Errors
    /// Returns a problem for each argument that the engine does not have, or that is out of range.
    pub fn arguments(&self, asked: &ArgumentValues) -> Result<ArgumentValues, Vec<FieldProblem>> {
        let mut values: ArgumentValues = self
            .arguments
            .iter()
            .map(|(name, argument)| (name.clone(), argument.default_value()))
            .collect();
        let mut problems = Vec::new();
        for (name, value) in asked {
            let pointer = format!("/engine_arguments/{}", name.replace('~', "~0").replace('/', "~1"));
            match self.arguments.get(name) {
                None => {
                    let known = self.arguments.keys().cloned().collect::<Vec<_>>().join(", ");
                    let known = if known.is_empty() { "none".to_owned() } else { known };
                    let detail = format!(
                        "is not an argument of the engine {}; accepted are {known}",
                        quoted(&self.name)
                    );
                    problems.push(FieldProblem::new(pointer, detail));
                }
                Some(argument) => match argument.accept(value) {
                    Some(value) => {
                        values.insert(name.clone(), value);
                    }
                    None => {
                        let shown = match value {
                            ArgumentValue::Text(text) => quoted(text).to_string(),
                            number => number.to_string(),
                        };
                        let detail = format!("is {shown}; accepted is {}", argument.accepted());
                        problems.push(FieldProblem::new(pointer, detail));
                    }
                },
            }
        }
        if problems.is_empty() { Ok(values) } else { Err(problems) }
    }
}

impl FieldType for ArgumentValues {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        let object = fields.object(name, "an object of numbers and texts")?;
        if object.len() > MAX_ARGUMENTS {
            fields.problem(
                name,
                format!("has {} arguments; accepted are at most {MAX_ARGUMENTS}", object.len()),
            );
            return None;
        }
        let mut values = Self::new();
        let base = fields.pointer(name);
        let keys = object.keys().map(String::as_str).collect::<Vec<_>>();
        let mut inner = Fields::new(object, base, &keys, fields.problems());
        for (key, value) in object {
            match argument_value(value) {
                Some(value) => {
                    values.insert(key.clone(), value);
                }
                None => inner.problem(key, format!("is {}; accepted is a number or a text", brief(value))),
            }
        }
        Some(values)
    }
}

fn argument_value(value: &Value) -> Option<ArgumentValue> {
    match value {
        Value::String(text) => Some(ArgumentValue::Text(text.clone())),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Some(ArgumentValue::Integer(whole)),
            None => number.as_f64().map(ArgumentValue::Number),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn server() -> OfferedServer {
        serde_json::from_value(json!({
            "name": "llama-server", "managed": true, "model_name": null, "arguments": {
                "parallel": {"integer": [1, 64], "default": 4}, "share": {"number": [0.1, 0.95], "default": 0.9},
                "cache": {"choice": ["f16", "q8_0"], "default": "f16"},
            },
        }))
        .unwrap()
    }

    fn asked(value: Value) -> ArgumentValues {
        let object = value.as_object().unwrap();
        object
            .iter()
            .map(|(name, value)| (name.clone(), argument_value(value).unwrap()))
            .collect()
    }

    #[test]
    fn missing_arguments_have_their_default_and_integers_are_numbers() {
        let values = server().arguments(&asked(json!({"parallel": 8}))).unwrap();
        let shown = serde_json::to_value(&values).unwrap();
        assert_eq!(shown, json!({"cache": "f16", "parallel": 8, "share": 0.9}));
        // What is shown is accepted again.
        assert_eq!(server().arguments(&asked(shown)).unwrap(), values);
        let mut whole = server();
        whole.arguments.insert(
            "share".to_owned(),
            Argument::Number {
                number: [0.0, 2.0],
                default: 1.0,
            },
        );
        let values = whole.arguments(&asked(json!({"share": 2}))).unwrap();
        assert_eq!(values["share"], ArgumentValue::Number(2.0));
    }

    #[test]
    fn an_argument_out_of_range_or_unknown_is_named_with_what_is_accepted() {
        for (asks, pointer, detail) in [
            (
                json!({"parallel": 65}),
                "/engine_arguments/parallel",
                "is 65; accepted is an integer from 1 to 64",
            ),
            (
                json!({"parallel": 1.5}),
                "/engine_arguments/parallel",
                "is 1.5; accepted is an integer from 1 to 64",
            ),
            (
                json!({"parallel": "8"}),
                "/engine_arguments/parallel",
                "is \"8\"; accepted is an integer from 1 to 64",
            ),
            (
                json!({"cache": "-x"}),
                "/engine_arguments/cache",
                "is \"-x\"; accepted is f16, q8_0",
            ),
            (
                json!({"share": 0}),
                "/engine_arguments/share",
                "is 0; accepted is a number from 0.1 to 0.95",
            ),
            (
                json!({"a/b": 1}),
                "/engine_arguments/a~1b",
                "is not an argument of the engine \"llama-server\"; accepted are cache, parallel, share",
            ),
        ] {
            let problems = server().arguments(&asked(asks)).unwrap_err();
            assert_eq!(problems, [FieldProblem::new(pointer, detail)]);
        }
    }
}
