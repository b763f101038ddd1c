//! YAML documents: options of the reader, and error messages in terms of the text that the user wrote.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{Error, NonFiniteFloatPolicy, Options, UserMessageFormatter};

use joulemark_experiment::FieldProblem;

/// Part of the error message for a value that must be quoted.
const WANTS_A_TEXT: &str = "accepted is a text";

/// Returns options that keep plain YAML scalars as written. `1_0` stays a text, since other readers do not take it for
/// a number; `.inf` stays a text, and `!!binary` is not decoded. Unknown tags are errors.
pub fn options() -> Options {
    serde_saphyr::options! {
        underscored_numbers_as_strings: true,
        ignore_binary_tag_for_string: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    }
}

/// Returns the error message for a text that cannot be read.
pub fn refusal(error: &Error) -> String {
    let error = error.without_snippet();
    if matches!(error, Error::MultipleDocuments { .. }) {
        return "the body holds several YAML documents; accepted is one document, which is one experiment".to_owned();
    }
    let said = error.render_with_formatter(&UserMessageFormatter);
    // The library names number types after Rust's.
    let said = said
        .replace("invalid u64", "not a whole number")
        .replace("invalid i64", "not a whole number");
    format!("the body is not YAML: {}", by_code_point(&said))
}

/// Replaces each character escape such as `\u{7}` by its code point, `U+0007`.
fn by_code_point(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\u{") {
        let (code, after) = after.split_once('}').unwrap_or((after, ""));
        shown.push_str(&format!("{before}U+{code:0>4}"));
        rest = after;
    }
    shown + rest
}

/// Returns the problems with each number, boolean and null shown as written in the text. Where a text is accepted, the
/// message advises quotes.
pub fn as_written(text: &str, document: &Value, problems: Vec<FieldProblem>) -> Vec<FieldProblem> {
    let Some(written) = written(text, document) else {
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

/// Returns a problem for each value that YAML reads differently from how it is written: a number that is not decimal,
/// or one that is not finite.
pub fn misread(text: &str, document: &Value) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if may_be_misread(text)
        && let Some(written) = written(text, document)
    {
        compare(document, &written, "", &mut problems);
    }
    problems
}

/// Returns whether the text may hold such a value; most texts do not, and need no second reading.
fn may_be_misread(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_other_base = |pair: &[u8]| pair[0] == b'0' && b"xXoObB".contains(&pair[1]);
    let is_far =
        |run: &[u8]| matches!(run, [b'e' | b'E', b'+' | b'0'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit));
    let is_named = |word: &[u8]| [b".inf", b".nan"].iter().any(|name| word.eq_ignore_ascii_case(*name));
    bytes.windows(2).any(is_other_base) || bytes.windows(4).any(|run| is_far(run) || is_named(run))
}

/// Adds a problem for each value whose reading differs from its text.
fn compare(read: &Value, written: &Value, at: &str, problems: &mut Vec<FieldProblem>) {
    let of_key = |key: &str| format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
    match (read, written) {
        (Value::Object(read), Value::Object(written)) => {
            for (key, value) in read {
                compare(value, &written[key], &of_key(key), problems);
            }
        }
        (Value::Array(read), Value::Array(written)) => {
            for (index, (value, written)) in read.iter().zip(written).enumerate() {
                compare(value, written, &format!("{at}/{index}"), problems);
            }
        }
        (Value::Number(number), Value::String(written)) if is_in_other_digits(written) => {
            let detail = format!("is {written}, which not every reader of YAML takes for {number}; write {number}");
            problems.push(FieldProblem::new(at, detail));
        }
        (Value::String(text), Value::String(written)) if text != written => {
            problems.push(FieldProblem::new(
                at,
                format!("is {written}; accepted is a text: put it in quotes"),
            ));
        }
        _ => {}
    }
}

/// Returns whether a number is written in hexadecimal, octal or binary.
fn is_in_other_digits(written: &str) -> bool {
    let digits = written.trim_start_matches(['+', '-']);
    let base = digits.as_bytes().get(1);
    digits.starts_with('0') && base.is_some_and(|base| b"xXoObB".contains(base))
}

/// Returns the document with each scalar as it is written in the text; `None` if it cannot be read again.
fn written(text: &str, document: &Value) -> Option<Value> {
    let mut options = options();
    options.null_as_string = true;
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        Written(document).deserialize(deserializer)
    });
    read.ok()
}

/// Returns the problem with the value as written, and with the advice to quote it if a text is accepted.
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

/// Reads a text whose document is known into the same document, with each scalar as written.
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
