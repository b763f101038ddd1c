//! Compares two JSON documents that should be equal.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

/// Relative tolerance between numbers, whose last digits depend on the order of a sum, which may differ between
/// machines.
const TOLERANCE: f64 = 1e-9;
/// Absolute tolerance, for values near 0 that are differences of times: about a nanosecond's share.
const ABSOLUTE_TOLERANCE: f64 = 1e-12;

/// A recorded value that differs from the computed one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Name of the file in the bundle, followed by the JSON pointer to the value.
    pub place: String,
    pub recorded: Value,
    pub computed: Value,
}

/// Result of comparing two documents.
#[derive(Debug, Default)]
pub struct Differences {
    pub found: Vec<Difference>,
    /// Number of numeric values that were compared.
    pub figures: u64,
    /// Recorded keys for which this version computes no value, since a later version wrote them.
    pub unknown: BTreeSet<String>,
    /// Whether a recorded null is skipped, since an earlier release did not compute the value.
    pub skips_null: bool,
    /// Whether every computed key must be recorded, since this version wrote the bundle.
    pub misses_keys: bool,
}

impl Differences {
    /// Compares a recorded document with the computed one, key by key.
    pub fn compare(&mut self, place: &str, recorded: &Value, computed: &Value) {
        match (recorded, computed) {
            (Value::Object(one), Value::Object(other)) => {
                for (key, value) in one {
                    match other.get(key) {
                        Some(computed) => self.compare(&within(place, key), value, computed),
                        None => {
                            self.unknown.insert(key.clone());
                        }
                    }
                }
                for (key, computed) in other {
                    if !self.misses_keys || computed.is_null() || one.contains_key(key) {
                        continue;
                    }
                    self.figures += u64::from(computed.is_number());
                    self.found.push(Difference {
                        place: within(place, key),
                        recorded: Value::Null,
                        computed: computed.clone(),
                    });
                }
            }
            (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
                for (number, (recorded, computed)) in one.iter().zip(other).enumerate() {
                    self.compare(&format!("{place}/{number}"), recorded, computed);
                }
            }
            (Value::Null, _) if self.skips_null => {}
            _ => {
                self.figures += u64::from(recorded.is_number() || computed.is_number());
                if !is_same(recorded, computed) {
                    self.found.push(Difference {
                        place: place.to_owned(),
                        recorded: recorded.clone(),
                        computed: computed.clone(),
                    });
                }
            }
        }
    }
}

/// Returns the JSON pointer to a key's value.
fn within(place: &str, key: &str) -> String {
    format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn is_same(recorded: &Value, computed: &Value) -> bool {
    match (recorded.as_f64(), computed.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= TOLERANCE * one.abs().max(other.abs()) + ABSOLUTE_TOLERANCE,
        _ => recorded == computed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_different_value_is_reported_and_last_digits_are_ignored() {
        let mut differences = Differences::default();
        let recorded = json!({"a": 1.0, "b": [1, 2.000_000_000_000_1], "c": null, "d/e": "x", "later": 1, "l": [1]});
        let computed = json!({"a": 1.1, "b": [1, 2.0], "c": 3, "d/e": "y", "new": 1, "l": [1, 2]});
        differences.compare("f", &recorded, &computed);
        let places: Vec<_> = differences.found.iter().map(|found| found.place.as_str()).collect();
        assert_eq!(places, ["f/a", "f/c", "f/d~1e", "f/l"]);
        assert_eq!(differences.unknown.iter().collect::<Vec<_>>(), ["later"]);
        let mut of_earlier = Differences {
            skips_null: true,
            ..Differences::default()
        };
        of_earlier.compare("f", &json!({"c": null}), &json!({"c": 3}));
        assert!(of_earlier.found.is_empty());
    }

    #[test]
    fn a_computed_key_that_is_not_recorded_differs_when_all_must_be_recorded() {
        let recorded = json!({"a": {"b": 1}});
        let computed = json!({"a": {"b": 1, "c/d": 2.5, "e": null}, "f": {"g": 1}, "h": null});
        let mut of_another = Differences::default();
        of_another.compare("r", &recorded, &computed);
        assert!(of_another.found.is_empty());
        let mut of_this = Differences {
            misses_keys: true,
            ..Differences::default()
        };
        of_this.compare("r", &recorded, &computed);
        let found: Vec<_> = of_this
            .found
            .iter()
            .map(|found| (found.place.as_str(), &found.recorded))
            .collect();
        assert_eq!(found, [("r/a/c~1d", &Value::Null), ("r/f", &Value::Null)]);
    }
}
