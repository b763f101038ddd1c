//! A value as it is typed, and what is typed as a value.

use serde_json::Value;

use super::written::yaml;
use crate::http::body::{Body, read_text};

/// Returns a number as it is written, or the text that is none: what is accepted is then said by who reads the experiment.
pub fn number(text: &str) -> Value {
    let text = text.trim();
    serde_json::from_str::<serde_json::Number>(text).map_or_else(|_| text.into(), Value::Number)
}

/// Reads a text that is JSON or YAML.
///
/// # Errors
/// Says what is wrong with it.
pub fn document(text: &str) -> Result<Body<'_>, String> {
    read_text(text).map_err(|problem| match problem.detail.strip_prefix("the body ") {
        Some(detail) => detail.to_owned(),
        None => problem.detail,
    })
}

/// Returns a value as it is typed.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => yaml(value),
        plain => plain.to_string(),
    }
}
