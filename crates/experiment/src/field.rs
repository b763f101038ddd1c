use joulemark_measurement::quoted;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Maximum number of problems that are reported for one submission.
pub const MAX_PROBLEMS: usize = 50;

/// A problem of one field, and what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer (RFC 6901) to the field; empty for the whole document.
    #[schema(example = "/max_output_tokens")]
    pub pointer: String,
    /// What was wrong, and what is accepted.
    #[schema(example = "is 0; accepted is an integer from 1 to 1000000")]
    pub detail: String,
}

impl FieldProblem {
    /// Creates a problem.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}

/// A reader of one JSON object that collects all problems instead of stopping at the first.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    base: String,
    problems: &'a mut Vec<FieldProblem>,
}

impl<'a> Fields<'a> {
    /// Creates a reader and notes every key of `object` that is not in `known`. The first such problem lists the known
    /// keys.
    pub fn new(
        object: &'a Map<String, Value>,
        base: impl Into<String>,
        known: &[&str],
        problems: &'a mut Vec<FieldProblem>,
    ) -> Self {
        let mut fields = Self::of_any_keys(object, base, problems);
        let mut list = Some(format!(" Accepted are {}", known.join(", ")));
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            let list = list.take().unwrap_or_default();
            fields.problem(key, format!("{}{list}", unknown(key, known)));
        }
        fields
    }

    /// Creates a reader that accepts unknown keys.
    pub(crate) fn of_any_keys(
        object: &'a Map<String, Value>,
        base: impl Into<String>,
        problems: &'a mut Vec<FieldProblem>,
    ) -> Self {
        Self {
            object,
            base: base.into(),
            problems,
        }
    }

    /// Notes a problem of the field `key`.
    pub fn problem(&mut self, key: &str, detail: impl Into<String>) {
        let pointer = self.pointer(key);
        self.problems.push(FieldProblem::new(pointer, detail));
    }

    /// Notes a problem within a field. `path` is the rest of the pointer, already escaped.
    pub fn problem_at(&mut self, path: &str, detail: impl Into<String>) {
        let pointer = format!("{}/{path}", self.base);
        self.problems.push(FieldProblem::new(pointer, detail));
    }

    /// Returns the JSON pointer to the field `key`.
    pub fn pointer(&self, key: &str) -> String {
        pointer(&self.base, key)
    }

    /// Returns the field's value; `None` where it is absent or null, since null stands for the default everywhere.
    pub fn value(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// Returns the problems that were noted so far.
    pub fn problems(&mut self) -> &mut Vec<FieldProblem> {
        self.problems
    }

    /// Reads a field with `convert`. Where that returns `None`, notes a problem that says what is `accepted`.
    pub fn read<T>(&mut self, key: &str, accepted: &str, convert: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        let value = self.value(key)?;
        let converted = convert(value);
        if converted.is_none() {
            self.problem(key, format!("is {}; accepted is {accepted}", brief(value)));
        }
        converted
    }

    /// Reads an integer from `least` to `most`.
    pub fn integer(&mut self, key: &str, least: u64, most: u64) -> Option<u64> {
        self.read(key, &format!("an integer from {least} to {most}"), |value| {
            value.as_u64().filter(|number| (least..=most).contains(number))
        })
    }

    /// Reads an integer from `least` to `most` as `u32`.
    pub fn count(&mut self, key: &str, least: u32, most: u32) -> Option<u32> {
        self.integer(key, u64::from(least), u64::from(most))
            .map(|number| number as u32)
    }

    /// Reads an integer from `least` to `most` that may be negative.
    pub fn signed(&mut self, key: &str, least: i32, most: i32) -> Option<i32> {
        self.read(key, &format!("an integer from {least} to {most}"), |value| {
            let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
            number.filter(|number| (least..=most).contains(number))
        })
    }

    /// Reads `true` or `false`.
    pub fn boolean(&mut self, key: &str) -> Option<bool> {
        self.read(key, "true or false", Value::as_bool)
    }

    /// Reads a finite number that satisfies `good`.
    pub fn number(&mut self, key: &str, accepted: &str, good: impl Fn(f64) -> bool) -> Option<f64> {
        self.read(key, accepted, |value| {
            value.as_f64().filter(|number| number.is_finite() && good(*number))
        })
    }

    /// Reads a text of 1 to `most_chars` characters without control characters.
    pub fn text(&mut self, key: &str, most_chars: usize) -> Option<String> {
        self.read(
            key,
            &format!("a text of 1 to {most_chars} characters without control characters"),
            |value| {
                value
                    .as_str()
                    .filter(|text| is_plain(text, most_chars))
                    .map(str::to_owned)
            },
        )
    }

    /// Reads one of the words of the description of `T`.
    pub fn choice<T: PartialSchema + DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let words = words(T::schema());
        self.read(key, &format!("one of {}", words.join(", ")), |value| {
            words.iter().find(|word| value.as_str() == Some(word))?;
            T::deserialize(value).ok()
        })
    }

    /// Reads an object.
    pub fn object(&mut self, key: &str, accepted: &str) -> Option<&'a Map<String, Value>> {
        self.read(key, accepted, Value::as_object)
    }
}

/// Returns the JSON pointer to `key` of the object at `base`.
pub(crate) fn pointer(base: &str, key: &str) -> String {
    format!("{base}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Returns the problem of a key that is not in `known`, with the field that was probably meant.
pub(crate) fn unknown(key: &str, known: &[&str]) -> String {
    let near = known.iter().find(|name| is_near(key, name));
    let hint = near.map_or_else(
        || ".".to_owned(),
        |name| format!("; did you mean {name}?", name = quoted(&name)),
    );
    format!("is not a known field{hint}")
}

/// Returns whether a text has 1 to `most_chars` characters and no control characters.
pub fn is_plain(text: &str, most_chars: usize) -> bool {
    let chars = text.chars().count();
    (1..=most_chars).contains(&chars) && !text.chars().any(char::is_control)
}

/// Returns a value as an error message shows it: cut where it is long, so that no prompt fills the message.
pub fn brief(value: &Value) -> String {
    const MAX_CHARS: usize = 60;
    match value {
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
        other => {
            let text = other.to_string();
            if text.chars().count() <= MAX_CHARS {
                text
            } else {
                format!("{}…", text.chars().take(MAX_CHARS).collect::<String>())
            }
        }
    }
}

/// Returns the words of an enum's schema.
fn words(schema: RefOr<Schema>) -> Vec<String> {
    let RefOr::T(Schema::Object(described)) = schema else {
        return Vec::new();
    };
    let values = described.enum_values.into_iter().flatten();
    values.filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

/// Returns whether `key` is probably a slip for `name`: the same but for case and separators, or with up to two
/// characters more or fewer at the end.
pub(crate) fn is_near(key: &str, name: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let (key, name) = (plain(key), plain(name));
    key == name
        || (!key.is_empty()
            && (name.starts_with(&key) || key.starts_with(&name))
            && key.len().abs_diff(name.len()) <= 2)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_field_is_named_with_its_pointer_and_the_likely_one() {
        let document = json!({"Max-Output-Tokens": 1, "a/b~c": 2});
        let mut problems = Vec::new();
        Fields::new(document.as_object().unwrap(), "", &["max_output_tokens"], &mut problems);
        assert_eq!(problems[0].pointer, "/Max-Output-Tokens");
        assert!(problems[0].detail.contains("did you mean \"max_output_tokens\"?"));
        assert_eq!(problems[1].pointer, "/a~1b~0c");
    }

    #[test]
    fn a_long_value_is_cut_in_the_message() {
        assert!(brief(&json!("x".repeat(10_000))).chars().count() < 70);
    }
}
