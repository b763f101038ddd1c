//! Parses one object of an answer: a chunk of a stream, or the whole answer of a server that does not stream.

use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Failure, FailureReason};
use crate::server_timings::ServerTimings;

/// Maximum length of a server's error text, in characters; longer ones are cut.
const MAX_ERROR_CHARS: usize = 500;

/// The content of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ParsedObject {
    /// Whether the object has a choice; one without has only counts.
    pub(crate) has_choice: bool,
    /// Text of the model's reasoning, which precedes its answer.
    pub(crate) reasoning: String,
    /// Text of the answer.
    pub(crate) answer: String,
    /// Whether the model calls a tool: this is a token without text.
    pub(crate) has_tool_call: bool,
    pub(crate) finish_reason: Option<String>,
    pub(crate) counts: Counts,
    pub(crate) server_timings: Option<ServerTimings>,
}

/// Numbers of tokens since the answer began, as far as the object states them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) input: Option<u32>,
    pub(crate) output: Option<u32>,
    /// The part of the input that was taken from the cache.
    pub(crate) cached: Option<u32>,
}

impl Counts {
    /// Returns these counts, replaced by those of `later` where it has any.
    pub(crate) fn then(self, later: Self) -> Self {
        Self {
            input: later.input.or(self.input),
            output: later.output.or(self.output),
            cached: later.cached.or(self.cached),
        }
    }
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    timings: Option<ServerTimings>,
    #[serde(default)]
    error: Option<Value>,
    /// `error` for older servers, which put the fields of the error here instead of into `error`.
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    message: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u32,
    #[serde(default, alias = "message")]
    delta: Option<Delta>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u32>,
    #[serde(default)]
    completion_tokens: Option<u32>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u32>,
}

/// Parses an object.
///
/// # Errors
/// Returns [`FailureReason::ErrorEvent`] where the server reports an error, [`FailureReason::Unreadable`] where the
/// object is not as the API describes it.
pub(crate) fn read(data: &str) -> Result<ParsedObject, Failure> {
    // serde would read a list as the object's fields in their order.
    if !data.trim_start().starts_with('{') {
        return Err(Failure::unreadable("a part of the answer is not a JSON object"));
    }
    let object: Object = serde_json::from_str(data).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Failure::unreadable(format!(
            "an object of the answer is not as the API describes it, at {place}"
        ))
    })?;
    let is_error = object.object.as_deref() == Some("error");
    let beside = object.message.filter(|_| is_error);
    if let Some(error) = object.error.filter(|error| !error.is_null()).or(beside) {
        return Err(Failure::new(FailureReason::ErrorEvent, error_text(&error)));
    }
    let mut parsed = ParsedObject {
        counts: counts(object.usage, object.timings),
        server_timings: object.timings,
        ..ParsedObject::default()
    };
    // Only one choice is requested; the text of others would be counted twice.
    let choices = object.choices.unwrap_or_default();
    for choice in choices.into_iter().filter(|choice| choice.index == 0) {
        parsed.has_choice = true;
        parsed.answer.push_str(&choice.text.unwrap_or_default());
        parsed.finish_reason = choice
            .finish_reason
            .filter(|reason| !reason.is_empty())
            .or(parsed.finish_reason);
        let Some(delta) = choice.delta else { continue };
        // A server that sends both names repeats the same text.
        parsed
            .reasoning
            .push_str(&delta.reasoning_content.or(delta.reasoning).unwrap_or_default());
        match delta.content {
            Some(Content::Text(text)) => parsed.answer.push_str(&text),
            Some(Content::Parts(parts)) => parsed.answer.extend(parts.into_iter().filter_map(|part| part.text)),
            None => {}
        }
        parsed.has_tool_call |= delta.tool_calls.is_some_and(|calls| !calls.is_empty());
    }
    Ok(parsed)
}

fn counts(usage: Option<Usage>, timings: Option<ServerTimings>) -> Counts {
    let of_timings = timings.map_or_else(Counts::default, |timings| Counts {
        // This count excludes cached tokens; without their number the total is unknown.
        input: timings
            .prompt_tokens
            .zip(timings.cached_tokens)
            .map(|(computed, cached)| computed + cached),
        output: timings.predicted_tokens,
        cached: timings.cached_tokens,
    });
    let of_usage = usage.map_or_else(Counts::default, |usage| Counts {
        input: usage.prompt_tokens,
        output: usage.completion_tokens,
        cached: usage.prompt_tokens_details.and_then(|details| details.cached_tokens),
    });
    of_timings.then(of_usage)
}

/// Returns the text of an error: its `message` or `detail`, or the whole error where it has neither.
pub(crate) fn error_text(error: &Value) -> String {
    let text = match error {
        Value::String(text) => text.clone(),
        Value::Object(fields) => match fields.get("message").or_else(|| fields.get("detail")) {
            Some(Value::String(text)) => text.clone(),
            _ => error.to_string(),
        },
        other => other.to_string(),
    };
    text.chars().take(MAX_ERROR_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_counts(data: &str) -> (Option<u32>, Option<u32>, Option<u32>) {
        let counts = read(data).expect(data).counts;
        (counts.input, counts.output, counts.cached)
    }

    #[test]
    fn text_is_read_wherever_a_server_puts_it() {
        let cases = [
            (r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, "", ""),
            (
                r#"{"choices":[{"delta":{"content":null,"reasoning_content":"hm"}}]}"#,
                "hm",
                "",
            ),
            (
                r#"{"choices":[{"delta":{"reasoning":"hm","reasoning_content":"hm"}}]}"#,
                "hm",
                "",
            ),
            (
                r#"{"choices":[{"index":0,"text":"a"},{"index":1,"text":"b"}]}"#,
                "",
                "a",
            ),
            (
                r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"text":"b"}]}}]}"#,
                "",
                "ab",
            ),
            (
                r#"{"choices":[{"message":{"content":"whole"},"finish_reason":"stop"}]}"#,
                "",
                "whole",
            ),
            (r#"{"choices":[]}"#, "", ""),
            (r#"{"choices":null,"usage":null}"#, "", ""),
        ];
        for (data, reasoning, answer) in cases {
            let parsed = read(data).expect(data);
            assert_eq!((&*parsed.reasoning, &*parsed.answer), (reasoning, answer), "{data}");
        }
    }

    #[test]
    fn counts_are_taken_from_usage_and_otherwise_from_timings() {
        let usage =
            r#"{"usage":{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}}"#;
        assert_eq!(of_counts(usage), (Some(9), Some(3), Some(8)));
        let timings = r#"{"choices":[],"timings":{"cache_n":7,"prompt_n":2,"predicted_n":4}}"#;
        assert_eq!(of_counts(timings), (Some(9), Some(4), Some(7)));
        let both = r#"{"usage":{"completion_tokens":3},"timings":{"prompt_n":2,"predicted_n":4}}"#;
        assert_eq!(of_counts(both), (None, Some(3), None));
        let not_yet = r#"{"timings":{"cache_n":-1,"prompt_n":-1,"predicted_n":1}}"#;
        assert_eq!(of_counts(not_yet), (None, Some(1), None));
    }

    #[test]
    fn a_servers_own_timings_are_kept() {
        let timings =
            r#"{"choices":[],"timings":{"prompt_n":2,"prompt_ms":8.5,"prompt_per_token_ms":4.25,"predicted_ms":40.0}}"#;
        let expected = ServerTimings {
            prompt_tokens: Some(2),
            prompt_ms: Some(8.5),
            predicted_ms: Some(40.0),
            ..ServerTimings::default()
        };
        assert_eq!(read(timings).expect(timings).server_timings, Some(expected));
    }

    #[test]
    fn an_error_is_not_an_answer() {
        let cases = [
            (
                r#"{"error":{"message":"out of memory","type":"server_error"}}"#,
                "out of memory",
            ),
            (r#"{"error":"overloaded","error_type":"overloaded"}"#, "overloaded"),
            (r#"{"error":{"code":5}}"#, r#"{"code":5}"#),
            (r#"{"object":"error","message":"too long","code":400}"#, "too long"),
        ];
        for (data, words) in cases {
            assert_eq!(
                read(data),
                Err(Failure::new(FailureReason::ErrorEvent, words)),
                "{data}"
            );
        }
        for data in [
            "",
            "{",
            "[]",
            r#"{"choices":{}}"#,
            r#"{"usage":{"completion_tokens":-1}}"#,
        ] {
            assert_eq!(
                read(data).map_err(|failure| failure.reason),
                Err(FailureReason::Unreadable),
                "{data}"
            );
        }
    }
}
