//! Bodies of requests: JSON and YAML documents, limited in size and with unique keys.

use std::error::Error as StdError;
use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::concurrency_limit::Slot;
use super::paced::TooSlow;
use super::problem::Problem;
use super::state::AppState;
use joulemark_experiment::FieldProblem;
use joulemark_flops::json_text::count_values;
use joulemark_measurement::quoted;

#[cfg(test)]
mod any_bytes;
mod yaml;

/// A parsed document, with its text if it is YAML.
pub struct Body<'a> {
    pub document: Value,
    yaml: Option<&'a str>,
}

impl Body<'_> {
    /// Returns the body of a document that was not parsed from YAML.
    pub fn of(document: Value) -> Self {
        Self { document, yaml: None }
    }

    /// Returns the problems with values shown as they were written, if the text is YAML.
    pub fn as_written(&self, problems: Vec<FieldProblem>) -> Vec<FieldProblem> {
        match self.yaml {
            Some(text) => yaml::as_written(text, &self.document, problems),
            None => problems,
        }
    }

    /// Returns a problem for each value that YAML reads differently from how it is written. Call it once the document
    /// is otherwise valid.
    pub fn misread(&self) -> Vec<FieldProblem> {
        self.yaml
            .map_or_else(Vec::new, |text| yaml::misread(text, &self.document))
    }
}

/// The whole body of a request. A request counts against the concurrency limit of all callers only once its body is
/// complete, so that slow uploads do not keep other callers out.
pub struct WholeBody(pub Bytes);

impl FromRequest<AppState> for WholeBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let slot = request
            .extensions()
            .get::<Slot>()
            .cloned()
            .ok_or_else(Problem::internal)?;
        let read = Bytes::from_request(request, state).await;
        let bytes = read.map_err(|rejection| refused(&rejection, state))?;
        slot.enter()?;
        Ok(Self(bytes))
    }
}

/// Returns the problem for a body that did not arrive whole.
fn refused(rejection: &BytesRejection, state: &AppState) -> Problem {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(rejection);
    while let Some(error) = cause {
        if error.is::<TooSlow>() {
            return Problem::body_too_slow(state.access.limits.body_timeout_sec);
        }
        cause = error.source();
    }
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::body_too_large(state.access.max_body_bytes),
        _ => Problem::malformed_body(
            "the body did not arrive whole: the connection broke, or the length differs from Content-Length",
        ),
    }
}

/// Maximum number of values in a document. An experiment has up to 100,000 prompts. A value takes at most 360 bytes of
/// memory, so this many take 90 MB. The YAML reader has its own, equal limit.
pub const MAX_VALUES: usize = 250_000;

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// Reads a JSON or YAML document, according to its `Content-Type`.
///
/// # Errors
/// Returns a [`Problem`] for another media type, for a body that cannot be parsed, and for a key that occurs twice.
pub fn read<'a>(headers: &HeaderMap, bytes: &'a [u8]) -> Result<Body<'a>, Problem> {
    refuse_encoding(headers)?;
    let content_type = content_type(headers);
    match essence(content_type).as_str() {
        JSON => Ok(Body {
            document: read_json(bytes)?,
            yaml: None,
        }),
        "application/yaml" | "application/x-yaml" | "text/yaml" => {
            let text = std::str::from_utf8(bytes).map_err(|error| {
                let at = error.valid_up_to();
                Problem::malformed_body(format!(
                    "the body is not UTF-8: the bytes at offset {at}, counted from 0, are not a character"
                ))
            })?;
            read_yaml(text)
        }
        _ => Err(Problem::unsupported_media_type(
            content_type,
            [JSON, "application/yaml"],
        )),
    }
}

/// Reads a text that is JSON or YAML.
///
/// # Errors
/// The same as those of [`read`].
pub fn read_text(text: &str) -> Result<Body<'_>, Problem> {
    match read_json(text.as_bytes()) {
        Ok(document) => Ok(Body::of(document)),
        // For a text that begins like JSON, return the error of the JSON reader.
        Err(problem) => read_yaml(text).map_err(|error| if begins_like_json(text) { problem } else { error }),
    }
}

/// Returns whether a text begins with a JSON object.
fn begins_like_json(text: &str) -> bool {
    let mut first = text.chars().filter(|character| !character.is_whitespace());
    first.next() == Some('{') && matches!(first.next(), Some('"' | '}'))
}

/// Reads a YAML document.
fn read_yaml(text: &str) -> Result<Body<'_>, Problem> {
    serde_saphyr::from_str_with_options::<Strict>(text, yaml::options())
        .map(|Strict(document)| Body {
            document,
            yaml: Some(text),
        })
        .map_err(|error| Problem::malformed_body(yaml::refusal(&error)))
}

/// Reads a JSON merge patch (RFC 7386), which may also be sent as `application/json`.
///
/// # Errors
/// The same as those of [`read`].
pub fn read_merge_patch(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, Problem> {
    refuse_encoding(headers)?;
    let content_type = content_type(headers);
    match essence(content_type).as_str() {
        JSON | MERGE_PATCH => read_json(bytes),
        _ => Err(Problem::unsupported_media_type(content_type, [JSON, MERGE_PATCH])),
    }
}

/// Returns an error for a compressed body. Bodies are not decompressed, since a few bytes can expand beyond the memory.
fn refuse_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let coding = headers.get(header::CONTENT_ENCODING);
    match coding.filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        Some(coding) => Err(Problem::unsupported_encoding(coding.to_str().unwrap_or("not text"))),
        None => Ok(()),
    }
}

/// Returns the `Content-Type`, or "absent".
fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE);
    value.and_then(|value| value.to_str().ok()).unwrap_or("absent")
}

/// Returns a media type without its parameters, in lower case.
fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// Reads a JSON document of at most [`MAX_VALUES`] values.
fn read_json(bytes: &[u8]) -> Result<Value, Problem> {
    if count_values(bytes) > MAX_VALUES {
        let detail = format!("the body has more than {MAX_VALUES} values; accepted are at most {MAX_VALUES}");
        return Err(Problem::malformed_body(detail));
    }
    serde_json::from_slice::<Strict>(bytes)
        .map(|Strict(document)| document)
        .map_err(|error| Problem::malformed_body(no_json(bytes, &error)))
}

/// Returns the error message for a text that is not one JSON document.
fn no_json(bytes: &[u8], error: &serde_json::Error) -> String {
    if bytes.trim_ascii().is_empty() {
        return "the body is empty; accepted is one JSON document".to_owned();
    }
    let mut documents = serde_json::Deserializer::from_slice(bytes).into_iter::<Strict>();
    let is_followed =
        documents.next().is_some_and(|first| first.is_ok()) && documents.next().is_some_and(|next| next.is_ok());
    if is_followed {
        return "the body holds several JSON documents; accepted is one document, which is one experiment".to_owned();
    }
    if error.is_eof() {
        return format!(
            "the body ends before its JSON is complete: line {}, column {}",
            error.line(),
            error.column()
        );
    }
    let said = error.to_string();
    let said = said.replace("recursion limit exceeded", "lists and objects are nested too deeply");
    format!("the body is not JSON: {said}")
}

/// A JSON value without duplicate keys; `serde_json` would silently use the last one.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!(
                    "the key {key} occurs twice",
                    key = quoted(&key)
                )));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn read_as(content_type: &'static str, body: &str) -> Result<Value, Problem> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        read(&headers, body.as_bytes()).map(|body| body.document)
    }

    fn refused_as_yaml(text: &str) -> Vec<(String, String)> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"))]);
        let body = read(&headers, text.as_bytes()).unwrap();
        let problems = joulemark_experiment::parse(&body.document).unwrap_err();
        let written = body.as_written(problems).into_iter();
        written.map(|problem| (problem.pointer, problem.detail)).collect()
    }

    #[test]
    fn problems_show_yaml_scalars_as_written() {
        let said = refused_as_yaml(
            "model_name: 1.10\nconfig_name: on\nprompts: [a, yes, 010, ~, 0x1F, '7']\nlabels: {v: 1.10, w: ok, x: }\n\
             max_output_tokens: 1_0.50\nuser: &u no\nnode: *u\n",
        );
        for (pointer, written) in [
            ("/model_name", "is 1.10;"),
            ("/config_name", "is on;"),
            ("/prompts/1", "is yes;"),
            ("/prompts/2", "is 010;"),
            ("/prompts/3", "is ~;"),
            ("/prompts/4", "is 0x1F;"),
            ("/labels/v", "is 1.10;"),
            ("/labels/x", "is null;"),
            ("/user", "is no;"),
            ("/node", "is no;"),
        ] {
            let found: Vec<_> = said.iter().filter(|(at, _)| at == pointer).collect();
            assert_eq!(found.len(), 1, "{pointer}: {said:#?}");
            let detail = &found[0].1;
            assert!(detail.starts_with(written), "{pointer}: {said:#?}");
            assert!(detail.ends_with("put it in quotes"), "{pointer}: {said:#?}");
        }
        assert!(
            said.iter().all(|(at, _)| at != "/prompts/5" && at != "/labels/w"),
            "{said:#?}"
        );
    }

    #[test]
    fn a_number_in_place_of_a_number_needs_no_quotes() {
        let said = refused_as_yaml("model_name: m\nmax_output_tokens: 1.50\nnum_cycles: 010\nraw_prompt: 1.0\n");
        let details: Vec<_> = said.iter().map(|(_, detail)| detail.as_str()).collect();
        for written in ["is 1.50;", "is 010;", "is 1.0;"] {
            assert!(details.iter().any(|detail| detail.starts_with(written)), "{details:?}");
        }
        assert!(details.iter().all(|detail| !detail.contains("quotes")), "{details:?}");
    }

    fn misread(text: &str) -> Vec<(String, String)> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"))]);
        let problems = read(&headers, text.as_bytes()).unwrap().misread();
        problems
            .into_iter()
            .map(|problem| (problem.pointer, problem.detail))
            .collect()
    }

    #[test]
    fn scalars_that_yaml_readers_disagree_on_stay_texts_or_are_refused() {
        for (text, expected) in [
            ("a: 1_0", json!("1_0")),
            ("a: !!binary aGVsbG8=", json!("aGVsbG8=")),
            ("a: 1:30", json!("1:30")),
            ("a: 2001-12-14", json!("2001-12-14")),
            ("a: .inf", json!(".inf")),
            ("a: !!str 10", json!("10")),
            ("a: 1.10.2", json!("1.10.2")),
            ("a: '0x1F'", json!("0x1F")),
            ("a: =", json!("=")),
            ("a: 12e03", json!(12e3)),
        ] {
            assert_eq!(read_as("application/yaml", text).expect(text)["a"], expected, "{text}");
            assert_eq!(misread(text), [], "{text}");
        }
        let merged = "b: &b {c: 1, d: 2}\na: {<<: *b, d: 3}\n";
        assert_eq!(
            read_as("application/yaml", merged).unwrap()["a"],
            json!({"c": 1, "d": 3})
        );
        for (text, pointer, told) in [
            (
                "a: 0o17",
                "/a",
                "is 0o17, which not every reader of YAML takes for 15; write 15",
            ),
            ("a: {b: -0x1F}", "/a/b", "write -31"),
            ("a: [1, 0b11]", "/a/1", "is 0b11, "),
            ("a: 1e999", "/a", "is 1e999; accepted is a text: put it in quotes"),
            ("a: .Inf", "/a", "is .Inf; "),
        ] {
            let problems = misread(text);
            assert!(
                problems.len() == 1 && problems[0].0 == pointer && problems[0].1.contains(told),
                "{text}: {problems:?}"
            );
        }
    }

    #[test]
    fn errors_of_yaml_do_not_show_the_names_of_rust_types() {
        for (text, expected) in [
            ("a: 1\n---\na: 2\n", "one document"),
            ("---\na: 1\n...\n---\nb\n", "one document"),
            ("a: [", "line 1"),
            ("a: 1\na: 2\n", "duplicate"),
            ("a: !secret x", "line 1"),
            ("a: *b", "line 1"),
            ("a:\n\tb: 1\n", "line 2"),
            ("a: !!int x", "line 1"),
            ("a: 99999999999999999999999999", ""),
        ] {
            let Err(problem) = read_as("application/yaml", text) else {
                assert_eq!(expected, "", "{text:?} is accepted");
                continue;
            };
            let detail = problem.detail;
            assert!(detail.contains(expected), "{text:?}: {detail}");
            for word in [
                "from_",
                "_str",
                "::",
                "Options",
                "Policy",
                "serde",
                "`StrictMap`",
                "non_finite",
            ] {
                assert!(!detail.contains(word), "{text:?}: {detail}");
            }
        }
    }

    #[test]
    fn errors_of_json_say_what_the_body_is() {
        for (text, expected) in [
            (" ", "is empty"),
            ("{\"a\": 1}\n{\"a\": 2}\n", "several JSON documents"),
            ("{\"a\": [1,", "ends before its JSON is complete"),
            ("{\"a\": 1} x", "is not JSON"),
        ] {
            let detail = read_as("application/json", text).expect_err(text).detail;
            assert!(detail.contains(expected), "{text:?}: {detail}");
        }
    }

    #[test]
    fn json_and_yaml_give_the_same_document() {
        let json = read_as(
            "application/json; charset=utf-8",
            r#"{"a": [1, -2, 0.5, null], "b": {"c": "0"}}"#,
        )
        .unwrap();
        let yaml = read_as("application/yaml", "a: [1, -2, 0.5, null]\nb:\n  c: '0'\n").unwrap();
        assert_eq!(json, yaml);
        assert_eq!(json, json!({"a": [1, -2, 0.5, null], "b": {"c": "0"}}));
    }

    #[test]
    fn a_duplicate_key_is_refused() {
        assert!(
            read_as("application/json", r#"{"a": 1, "a": 2}"#)
                .unwrap_err()
                .detail
                .contains("\"a\" occurs twice")
        );
        assert_eq!(read_as("application/yaml", "a: 1\na: 2\n").unwrap_err().status, 400);
    }

    #[test]
    fn too_many_values_are_refused_before_parsing() {
        let many = format!("[{}0]", "[0],".repeat(200_000));
        let problem = read_as("application/json", &many).unwrap_err();
        assert!(
            problem.status == 400 && problem.detail.contains("250000"),
            "{}",
            problem.detail
        );
        let prompts = format!("{{\"prompts\": [{}\"a\"]}}", "\"a\", ".repeat(99_999));
        assert!(read_as("application/json", &prompts).is_ok());
    }

    #[test]
    fn another_media_type_is_refused_with_the_accepted_ones() {
        let problem = read_as("application/x-www-form-urlencoded", "{}").unwrap_err();
        assert_eq!(problem.status, 415);
        assert!(problem.detail.contains("application/yaml"));
    }
}
