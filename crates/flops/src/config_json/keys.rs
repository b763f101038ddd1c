use serde_json::{Map, Value};

use crate::family::Setting;
use crate::shape::ShapeError;

/// The values that a count accepts, in words.
pub(super) const A_COUNT: &str = "a whole number";

/// The keys of a `config.json`.
pub(super) struct Config<'a> {
    /// The text model's part.
    pub keys: &'a Map<String, Value>,
    /// The whole file, the same unless the model is multimodal.
    pub outer: &'a Map<String, Value>,
}

impl Config<'_> {
    /// Returns whether the model has the trait.
    pub fn setting(&self, setting: Setting) -> Result<bool, ShapeError> {
        match setting {
            Setting::Never => Ok(false),
            Setting::Always => Ok(true),
            Setting::Key { key, default } => Ok(self.flag(key)?.unwrap_or(default)),
        }
    }

    /// Returns the first of the names that is there and not null.
    pub fn count(&self, names: &[&str]) -> Result<Option<u64>, ShapeError> {
        let found = names
            .iter()
            .find_map(|name| Some((name, self.keys.get(*name).filter(|value| !value.is_null())?)));
        match found {
            None => Ok(None),
            Some((name, value)) => one_count(value)
                .map(Some)
                .ok_or_else(|| ShapeError::bad(name, value, A_COUNT)),
        }
    }

    /// Returns the words of a list with one for each layer, under the first of the names that is there; `None` without
    /// such a list.
    pub fn words(&self, names: &[&str], layers: u64) -> Result<Option<Vec<&str>>, ShapeError> {
        const ACCEPTED: &str = "a list with one word for each layer";
        let value_of = |name: &str| self.keys.get(name).filter(|value| !value.is_null());
        let Some((name, value)) = names.iter().find_map(|name| Some((*name, value_of(name)?))) else {
            return Ok(None);
        };
        let list = value.as_array().filter(|list| list.len() as u64 == layers);
        let words: Option<Vec<&str>> = list.and_then(|list| list.iter().map(Value::as_str).collect());
        words.map(Some).ok_or_else(|| ShapeError::bad(name, value, ACCEPTED))
    }

    /// Returns the value of the key, in the text model's part or else in the whole file.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ShapeError> {
        let value = self
            .keys
            .get(name)
            .or_else(|| self.outer.get(name))
            .filter(|value| !value.is_null());
        match value {
            None => Ok(None),
            Some(value) => value
                .as_bool()
                .map(Some)
                .ok_or_else(|| ShapeError::bad(name, value, "true or false")),
        }
    }
}

/// Returns a number, or that which a list repeats for each layer.
pub(crate) fn one_count(value: &Value) -> Option<u64> {
    match value {
        Value::Array(items) => {
            let first = items.first()?.as_u64()?;
            items.iter().all(|item| item.as_u64() == Some(first)).then_some(first)
        }
        other => other.as_u64(),
    }
}
