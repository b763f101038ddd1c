//! Reads JSON as model files hold it: with the `NaN` and `Infinity` that Python writes, and into bounded memory.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A configuration has some thousand values, a value takes up to 360 bytes: a limit of some 90 MB.
const MAX_VALUES: u32 = 250_000;

/// Parses JSON, with `null` for `NaN` and the infinities.
///
/// # Errors
/// Returns an error for what is no JSON, and for more values than a configuration has.
pub(super) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    parse_strict(&without_nan(text))
}

fn parse_strict(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut left = MAX_VALUES;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Bounded(&mut left).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Returns the JSON text with `null` for each `NaN`, `Infinity` and `-Infinity`, which Python's json writes and JSON does
/// not have. What stands in texts stays as it is.
pub fn without_nan(text: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    let mut plain: Option<Vec<u8>> = None;
    let (mut position, mut in_text, mut copied) = (0, false, 0);
    while let Some(byte) = text.get(position) {
        match byte {
            b'\\' if in_text => position += 1,
            b'"' => in_text = !in_text,
            b'-' | b'I' | b'N' if !in_text => {
                if let Some(word) = WORDS.iter().find(|word| text[position..].starts_with(word)) {
                    let plain = plain.get_or_insert_default();
                    plain.extend(&text[copied..position]);
                    plain.extend(b"null");
                    copied = position + word.len();
                    position = copied;
                    continue;
                }
            }
            _ => {}
        }
        position += 1;
    }
    match plain {
        None => Cow::Borrowed(text),
        Some(mut plain) => {
            plain.extend(&text[copied..]);
            Cow::Owned(plain)
        }
    }
}

/// A value that is read while there are values left.
struct Bounded<'a>(&'a mut u32);

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        *self.0 = self
            .0
            .checked_sub(1)
            .ok_or_else(|| D::Error::custom(format!("it has more than {MAX_VALUES} values")))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Bounded(&mut *self.0))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Bounded(&mut *self.0))?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// The files that an index of safetensors names, each once, and whether it has the map of them at all.
#[derive(Default)]
pub(super) struct Index {
    pub files: std::collections::BTreeSet<String>,
}

/// More files than any model is split into.
const MAX_FILES: usize = 100_000;

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(IndexVisitor)
    }
}

struct IndexVisitor;

impl<'de> Visitor<'de> for IndexVisitor {
    type Value = Index;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with a weight_map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Index, A::Error> {
        let mut index = Index::default();
        while let Some(key) = entries.next_key::<Cow<'_, str>>()? {
            if key == "weight_map" {
                index = entries.next_value_seed(WeightMap)?;
            } else {
                entries.next_value::<serde::de::IgnoredAny>()?;
            }
        }
        Ok(index)
    }
}

struct WeightMap;

impl<'de> DeserializeSeed<'de> for WeightMap {
    type Value = Index;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Index, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for WeightMap {
    type Value = Index;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a weight_map from each tensor to its file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Index, A::Error> {
        let mut index = Index::default();
        while entries.next_key::<serde::de::IgnoredAny>()?.is_some() {
            let file = entries.next_value::<String>()?;
            if index.files.len() == MAX_FILES {
                return Err(A::Error::custom(format!("it names more than {MAX_FILES} files")));
            }
            index.files.insert(file);
        }
        Ok(index)
    }
}

/// Whether `tokenizer_config.json` holds a chat template.
#[derive(serde::Deserialize)]
pub(super) struct TokenizerConfig {
    #[serde(default, deserialize_with = "is_there")]
    pub chat_template: bool,
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<serde::de::IgnoredAny>::deserialize(deserializer)?.is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Index, TokenizerConfig, parse, without_nan};

    #[test]
    fn what_python_writes_for_no_number_is_null() {
        let text = br#"{"a": NaN, "b": [0.0, Infinity, -Infinity], "c": "NaN \" Infinity", "NaN": -1}"#;
        let expected = json!({"a": null, "b": [0.0, null, null], "c": "NaN \" Infinity", "NaN": -1});
        assert_eq!(parse(text).unwrap(), expected);
        assert!(matches!(without_nan(b"{\"a\": -1}"), std::borrow::Cow::Borrowed(_)));
        for broken in ["{\"a\": Nan}", "{", "[1,]", "\"NaN", "{} NaN"] {
            assert!(parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn more_values_than_a_configuration_has_are_refused() {
        let many = format!("{{\"a\": [{}[0]]}}", "[0],".repeat(200_000));
        let error = parse(many.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("more than 250000 values"), "{error}");
        let fewer = format!("{{\"a\": [{}0]}}", "0,".repeat(200_000));
        assert!(parse(fewer.as_bytes()).is_ok());
    }

    #[test]
    fn an_index_gives_each_file_once() {
        let text = r#"{"metadata": {"total_size": 1}, "weight_map": {"a": "1", "b": "2", "c": "1"}}"#;
        let index: Index = serde_json::from_str(text).unwrap();
        assert_eq!(index.files.into_iter().collect::<Vec<_>>(), ["1", "2"]);
        assert!(serde_json::from_str::<Index>(r#"{"weight_map": {"a": 1}}"#).is_err());
        assert!(serde_json::from_str::<Index>("{}").unwrap().files.is_empty());
    }

    #[test]
    fn a_chat_template_is_there_unless_it_is_null() {
        let has = |text: &str| serde_json::from_str::<TokenizerConfig>(text).unwrap().chat_template;
        assert!(has(r#"{"chat_template": "x", "b": [1]}"#) && has(r#"{"chat_template": []}"#));
        assert!(!has("{}") && !has(r#"{"chat_template": null}"#));
    }
}
