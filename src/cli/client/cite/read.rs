//! Reads values of a result for a text.

use serde_json::Value;

use crate::number::{plain, with_interval};

/// Number of digits of a SHA-256 that identify a file.
pub const HASH_DIGITS: usize = 16;

/// Returns the items of a list; none for any other value.
pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns a string; "unknown" for any other value.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}

/// Formats a number with its interval; "unknown" for any other value.
pub fn number(value: &Value, interval: Option<(f64, f64)>) -> String {
    match value.as_f64() {
        None => "unknown".to_owned(),
        Some(value) if interval.is_none() => plain(value),
        Some(value) => with_interval(value, interval),
    }
}

/// Formats the quotient of two counts, as an integer where it is one; "unknown" where either is.
pub fn quotient(count: &Value, of: &Value) -> String {
    let known = count.as_u64().zip(of.as_u64()).filter(|(_, of)| *of > 0);
    match known {
        Some((count, of)) if count % of == 0 => (count / of).to_string(),
        Some((count, of)) => plain(count as f64 / of as f64),
        None => "unknown".to_owned(),
    }
}
