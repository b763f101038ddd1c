//! `Idempotency-Key`, following draft-ietf-httpapi-idempotency-key-header-07.

use axum::http::{HeaderMap, HeaderName};
use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::http::access::Caller;
use crate::http::problem::Problem;
use joulemark_store::IdempotencyKey;

/// Header of the answer to a repeated submission.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

const HEADER: &str = "idempotency-key";
const MAX_CHARACTERS: usize = 255;
/// Lifetime of a key; no client retries for longer.
const LIFETIME_HOURS: i64 = 24;

/// Returns the idempotency key of a submission; `None` without the header. Two bodies are equal if they hold the same
/// document, in any order and spacing, as JSON or YAML.
///
/// # Errors
/// Returns a [`Problem`] if the header occurs twice, is empty, too long, or contains anything but visible ASCII.
pub fn read(headers: &HeaderMap, document: &Value, now: Timestamp) -> Result<Option<IdempotencyKey>, Problem> {
    let mut given = headers.get_all(HEADER).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let refuse = |what: &str| {
        let accepted = "accepted is one of 1 to 255 visible ASCII characters, such as a UUID, quoted or bare";
        Problem::invalid_parameter("Idempotency-Key", format!("{what}; {accepted}"))
    };
    if given.next().is_some() {
        return Err(refuse("occurs twice"));
    }
    let text = value.to_str().map_err(|_| refuse("is not ASCII"))?.trim();
    let key = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    if key.is_empty() || key.len() > MAX_CHARACTERS || !key.chars().all(|c| c.is_ascii_graphic()) {
        return Err(refuse(&format!(
            "has {} characters, or one that is not allowed",
            key.len()
        )));
    }
    Ok(Some(key_of(key.to_owned(), sha256(document), now)))
}

/// Returns the idempotency key of a page's form. It depends on the form's name and its content, so that only the same
/// form with the same experiment counts as a repetition.
pub fn of_form(name: &str, document: &Value, now: Timestamp) -> IdempotencyKey {
    let body_sha256 = sha256(document);
    key_of(format!("form\n{name}\n{body_sha256}"), body_sha256, now)
}

fn key_of(key: String, body_sha256: String, now: Timestamp) -> IdempotencyKey {
    IdempotencyKey {
        key,
        body_sha256,
        expires_at: now.saturating_add(LIFETIME_HOURS.hours()).unwrap_or(Timestamp::MAX),
    }
}

/// Returns the SHA-256 of a document in canonical form, in hex.
fn sha256(document: &Value) -> String {
    let mut canonical = String::new();
    write_sorted(document, &mut canonical);
    hex::encode(Sha256::digest(canonical.as_bytes()))
}

/// Returns the key within the caller's namespace, so that equal keys of two callers are different.
pub fn of_caller(key: IdempotencyKey, caller: &Caller) -> IdempotencyKey {
    match caller.actor().name {
        Some(name) => IdempotencyKey {
            key: format!("{name}\n{}", key.key),
            ..key
        },
        None => key,
    }
}

/// Writes JSON with the keys of each object sorted.
fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries = map.iter().collect::<Vec<_>>();
            entries.sort_by_key(|(key, _)| *key);
            for (key, value) in entries {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_sorted(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(values) => {
            for value in values {
                write_sorted(value, out);
                out.push(',');
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn read_key(values: &[&'static str], document: &Value) -> Result<Option<IdempotencyKey>, Problem> {
        let headers = values
            .iter()
            .map(|value| (HeaderName::from_static(HEADER), HeaderValue::from_static(value)));
        read(&HeaderMap::from_iter(headers), document, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn quoted_and_unquoted_keys_are_equal() {
        let document = json!({});
        assert_eq!(read_key(&[], &document), Ok(None));
        let (bare, quoted) = (read_key(&["abc-1"], &document), read_key(&["\"abc-1\""], &document));
        assert_eq!(bare, quoted);
        assert_eq!(bare.unwrap().unwrap().expires_at.as_second(), 24 * 3600);
    }

    #[test]
    fn equal_documents_have_equal_digests_and_others_do_not() {
        let sha256 = |document: Value| read_key(&["k"], &document).unwrap().unwrap().body_sha256;
        let one = sha256(json!({"a": [1, {"x": 1, "y": null}], "b": "c"}));
        assert_eq!(one, sha256(json!({"b": "c", "a": [1, {"y": null, "x": 1}]})));
        for other in [
            json!({"a": [1, {"x": 1}], "b": "c"}),
            json!({"a": [{"x": 1, "y": null}, 1], "b": "c"}),
            json!({"a": [1, {"x": 1, "y": null}, "b"], "c": null}),
        ] {
            assert_ne!(one, sha256(other));
        }
    }

    #[test]
    fn an_invalid_key_is_refused_with_what_is_accepted() {
        let long: &'static str = "x".repeat(256).leak();
        for values in [&["a", "b"][..], &[""], &["\"\""], &["a b"], &[long]] {
            let problem = read_key(values, &json!({})).unwrap_err();
            assert_eq!(
                (problem.status, problem.errors[0].pointer.as_str()),
                (400, "Idempotency-Key")
            );
            assert!(problem.detail.contains("1 to 255"), "{}", problem.detail);
        }
    }
}
