use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Shown at most; who wants all has the manifests.
const MAX_SHOWN: usize = 60;
/// Of one value.
const MAX_CHARS: usize = 100;
/// Shown for what a result does not have.
const MISSING: &str = "–";

/// The parts of a manifest that decide a result.
const PARTS: [&str; 6] = [
    "experiment",
    "prompts",
    "model",
    "machine",
    "conditions",
    "capabilities",
];
/// Names, and what is another at every moment.
const PASSED_OVER: [&str; 5] = [
    "experiment.config_name",
    "experiment.labels.sweep",
    "experiment.labels.sweep_point",
    "experiment.callback_url",
    "prompts.description",
];
const MOMENTARY: [&str; 2] = [".sm_clock_mhz", ".memory_clock_mhz"];
/// Of each rank's load: what was chosen there. Of rank 0 alone, as the others are loaded alike.
const OF_LOAD: [&str; 5] = [
    "device",
    "activation_dtype",
    "max_sequence_tokens",
    "eos",
    "paged_cache_tokens",
];

/// Each setting of a result by its place in the manifest, such as `experiment.batch_size`.
pub type Settings = BTreeMap<String, String>;

/// A setting that is not the same in all results.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    pub place: String,
    /// One a result.
    pub values: Vec<String>,
}

/// What differs between results.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    pub shown: Vec<Difference>,
    /// How many more there are.
    pub left_out: usize,
}

/// Returns the settings of a result from its manifest.
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
        !is_momentary && !PASSED_OVER.contains(&place.as_str())
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
        other => drop(settings.insert(place, in_words(other))),
    }
}

fn in_words(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Returns the settings that are not the same in all results, those of the experiment first.
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

/// Tells whether it is one of the many settings of a GPU that a result does not have; that it has none is told by the UUID.
fn is_of_missing_gpu(difference: &Difference) -> bool {
    let is_of_gpu = difference.place.starts_with("conditions.gpus.") && !difference.place.ends_with(".uuid");
    is_of_gpu && difference.values.iter().any(|value| value == MISSING)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_shown_the_experiment_s_own_first() {
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
    fn a_long_value_is_cut_and_a_list_is_one_value() {
        let long = settings(&json!({"experiment": {"a": "é".repeat(200), "b": ["x", 1], "c": null, "d": []}}));
        assert_eq!(long["experiment.a"].chars().count(), MAX_CHARS + 1);
        assert_eq!(long["experiment.b"], "x, 1");
        assert_eq!(
            (long["experiment.c"].as_str(), long["experiment.d"].as_str()),
            ("none", "none")
        );
    }
}
