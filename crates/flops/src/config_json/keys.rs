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
            Some((name, value)) => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| ShapeError::bad(name, value, A_COUNT)),
        }
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
