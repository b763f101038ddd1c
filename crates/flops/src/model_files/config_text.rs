//! Reading the needed parts of JSON files into bounded memory.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use crate::json_text::{count_values, with_nan_as_text};

/// Maximum number of values. A configuration has some thousand; a value takes up to 360 bytes of memory, so this many
/// take 90 MB.
const MAX_VALUES: usize = 250_000;

/// Parses JSON, with strings for `NaN` and the infinities.
///
/// # Errors
/// Returns an error for text that is not JSON, or that has more values than any configuration.
pub(super) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    if count_values(text) > MAX_VALUES {
        let reason = format!("it has more than {MAX_VALUES} values, which no configuration has");
        return Err(serde_json::Error::custom(reason));
    }
    serde_json::from_slice(&with_nan_as_text(text))
}

/// Files that an index of safetensors names, each once; empty without a `weight_map`.
#[derive(Default)]
pub(super) struct Index {
    pub files: std::collections::BTreeSet<String>,
}

/// Maximum number of files, more than any model is split into.
const MAX_FILES: usize = 100_000;

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(IndexVisitor)
    }
}

/// Visitor of the index.
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

/// Visitor of the map from tensors to files.
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

/// Part of `tokenizer_config.json`: whether it contains a chat template.
#[derive(serde::Deserialize)]
pub(super) struct TokenizerConfig {
    #[serde(default, deserialize_with = "is_there")]
    pub chat_template: bool,
}

/// Returns whether there is a value other than null.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<serde::de::IgnoredAny>::deserialize(deserializer)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::{Index, TokenizerConfig, parse};

    #[test]
    fn more_values_than_a_configuration_has_are_refused() {
        let many = format!("{{\"a\": [{}[0]]}}", "[0],".repeat(200_000));
        let error = parse(many.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("more than 250000 values"), "{error}");
        let fewer = format!("{{\"a\": [{}NaN]}}", "0,".repeat(200_000));
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
