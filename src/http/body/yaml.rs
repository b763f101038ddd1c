//! YAML as people write it: what it reads otherwise than it looks is told in their own words.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{Error, UserMessageFormatter};

use joulemark_experiment::FieldProblem;

/// What a value that has to be quoted is refused with.
const WANTS_A_TEXT: &str = "accepted is a text";

/// Returns what is wrong with a text that cannot be read.
pub fn refusal(error: &Error) -> String {
    let error = error.without_snippet();
    if matches!(error, Error::MultipleDocuments { .. }) {
        return "the body holds several YAML documents; accepted is one document, which is one experiment".to_owned();
    }
    format!(
        "the body is not YAML: {}",
        error.render_with_formatter(&UserMessageFormatter)
    )
}

/// Returns the problems with each number, truth value and null as it is written in the text, and with the advice to quote
/// one where a text is wanted.
pub fn as_written(text: &str, document: &Value, problems: Vec<FieldProblem>) -> Vec<FieldProblem> {
    let options = serde_saphyr::options! { null_as_string: true };
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        Written(document).deserialize(deserializer)
    });
    let Ok(written) = read else {
        return problems;
    };
    let explain = |problem: FieldProblem| {
        let found = document
            .pointer(&problem.pointer)
            .zip(written.pointer(&problem.pointer));
        match found {
            Some((value, Value::String(written))) if !value.is_string() => quoted(problem, value, written),
            _ => problem,
        }
    };
    problems.into_iter().map(explain).collect()
}

fn quoted(problem: FieldProblem, value: &Value, written: &str) -> FieldProblem {
    let detail = match problem.detail.strip_prefix(&format!("is {value};")) {
        Some(accepted) if !written.is_empty() => format!("is {written};{accepted}"),
        _ => problem.detail,
    };
    let advice = match detail.contains(WANTS_A_TEXT) {
        true => ": put it in quotes",
        false => "",
    };
    FieldProblem::new(problem.pointer, format!("{detail}{advice}"))
}

/// Reads a text whose document is known as the same document, each scalar as it is written.
struct Written<'a>(&'a Value);

impl<'de> DeserializeSeed<'de> for Written<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.0 {
            Value::Object(_) => deserializer.deserialize_map(self),
            Value::Array(_) => deserializer.deserialize_seq(self),
            _ => deserializer.deserialize_string(self),
        }
    }
}

impl<'de> Visitor<'de> for Written<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the document that was read before")
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Written(&self.0[values.len()]))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Written(&self.0[&key]))?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
