//! Lists the settings that differ between results.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Maximum number of differences shown; the manifests have all of them.
const MAX_SHOWN: usize = 60;
/// Maximum length of a value.
const MAX_CHARS: usize = 100;
/// Shown for a setting that a result does not have.
const MISSING: &str = "–";

/// Parts of a manifest that are compared.
const PARTS: [&str; 6] = [
    "experiment",
    "prompts",
    "model",
    "machine",
    "conditions",
    "capabilities",
];
/// Settings that are not compared: names and descriptions.
const IGNORED: [&str; 5] = [
    "experiment.config_name",
    "experiment.labels.sweep",
    "experiment.labels.sweep_point",
    "experiment.callback_url",
    "prompts.description",
];
/// Clocks at one moment, which always differ.
const MOMENTARY: [&str; 2] = [".sm_clock_mhz", ".memory_clock_mhz"];
/// Settings of rank 0's load that are compared; the other ranks are loaded alike.
const OF_LOAD: [&str; 5] = [
    "device",
    "activation_dtype",
    "max_sequence_tokens",
    "eos",
    "paged_cache_tokens",
];

/// Settings of a result by their path in the manifest, such as `experiment.batch_size`.
pub type Settings = BTreeMap<String, String>;

/// A setting that differs between results.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    pub place: String,
    /// One value for each result.
    pub values: Vec<String>,
}

/// Settings that differ between results.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    pub shown: Vec<Difference>,
    /// Number of differences that are not shown.
    pub left_out: usize,
}

/// Returns the settings in a manifest.
pub fn settings(manifest: &Value) -> Settings {
    let mut settings = Settings::new();
    for part in PARTS {
        flatten(&mut settings, part.to_owned(), &manifest[part]);
    }
    for name in OF_LOAD {
        flatten(&mut settings, format!("loads.0.{name}"), &manifest["loads"][0][name]);
    }
    settings.retain(|place, _| {
        let is_momentary = MOMENTARY.iter().any(|end| place.ends_with(end)) && place.starts_with("conditions.");
        !is_momentary && !IGNORED.contains(&place.as_str())
    });
    settings
}

fn flatten(settings: &mut Settings, place: String, value: &Value) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                flatten(settings, format!("{place}.{name}"), value);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (number, item) in items.iter().enumerate() {
                flatten(settings, format!("{place}.{number}"), item);
            }
        }
        other => drop(settings.insert(place, text(other))),
    }
}

fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Returns the settings that differ, those of the experiment first.
pub fn differing(results: &[&Settings]) -> Differences {
    let places: BTreeSet<&String> = results.iter().flat_map(|settings| settings.keys()).collect();
    let values_of = |place: &str| {
        let value = |settings: &&Settings| settings.get(place).map_or(MISSING, String::as_str).to_owned();
        results.iter().map(value).collect::<Vec<_>>()
    };
    let all = places.into_iter().map(|place| Difference {
        place: place.clone(),
        values: values_of(place),
    });
    let differs = |difference: &Difference| difference.values.iter().any(|value| *value != difference.values[0]);
    let mut shown: Vec<_> = all
        .filter(differs)
        .filter(|difference| !is_of_missing_gpu(difference))
        .collect();
    shown.sort_by_key(|difference| !difference.place.starts_with("experiment."));
    let left_out = shown.len().saturating_sub(MAX_SHOWN);
    shown.truncate(MAX_SHOWN);
    Differences { shown, left_out }
}

/// Returns whether it is a setting of a GPU that some result does not have. The GPU's UUID already shows this.
fn is_of_missing_gpu(difference: &Difference) -> bool {
    let is_of_gpu = difference.place.starts_with("conditions.gpus.") && !difference.place.ends_with(".uuid");
    is_of_gpu && difference.values.iter().any(|value| value == MISSING)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_differing_settings_are_shown_with_those_of_the_experiment_first() {
        let manifest = |batch_size: u32, host: &str, gpus: Value| {
            settings(&json!({
                "id": host, "experiment": {"config_name": host, "batch_size": batch_size, "seed": null, "prompts": []},
                "machine": {"hostname": host, "cpu_model": "x"}, "loads": [{"device": "cpu", "window": batch_size}],
                "conditions": {"gpus": gpus},
            }))
        };
        let one = manifest(1, "a", json!([{"uuid": "G0", "sm_clock_mhz": 210}]));
        let other = manifest(
            8,
            "b",
            json!([{"uuid": "G0", "sm_clock_mhz": 345}, {"uuid": "G1", "name": "L4"}]),
        );
        let found = differing(&[&one, &other]);
        let shown: Vec<_> = found
            .shown
            .iter()
            .map(|difference| (difference.place.as_str(), difference.values.join(" ")))
            .collect();
        let expected = [
            ("experiment.batch_size", "1 8"),
            ("conditions.gpus.1.uuid", "– G1"),
            ("machine.hostname", "a b"),
        ];
        assert_eq!(shown, expected.map(|(place, values)| (place, values.to_owned())));
        assert_eq!(differing(&[&one, &one]), Differences::default());
    }

    #[test]
    fn a_long_value_is_truncated_and_a_list_is_one_value() {
        let long = settings(&json!({"experiment": {"a": "é".repeat(200), "b": ["x", 1], "c": null, "d": []}}));
        assert_eq!(long["experiment.a"].chars().count(), MAX_CHARS + 1);
        assert_eq!(long["experiment.b"], "x, 1");
        assert_eq!(
            (long["experiment.c"].as_str(), long["experiment.d"].as_str()),
            ("none", "none")
        );
    }
}
