//! Converts between the text of a control and a JSON value.

use serde_json::Value;

use super::written::yaml;
use crate::http::body::{Body, read_text};

/// Parses a number; other text is returned as a string, so that the API rejects it.
pub fn number(text: &str) -> Value {
    let text = text.trim();
    serde_json::from_str::<serde_json::Number>(text).map_or_else(|_| text.into(), Value::Number)
}

/// Parses JSON or YAML.
///
/// # Errors
/// Returns a message on what is wrong.
pub fn document(text: &str) -> Result<Body<'_>, String> {
    read_text(text).map_err(|problem| match problem.detail.strip_prefix("the body ") {
        Some(detail) => detail.to_owned(),
        None => problem.detail,
    })
}

/// Returns a value as the text of a control.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => yaml(value),
        plain => plain.to_string(),
    }
}
