//! Texts that the page of a sweep and the list of sweeps share.

use serde_json::{Map, Value};

use crate::http::sweeps::view::{SweepProgress, SweepState};

/// Maximum number of values of an axis that are listed; of more, the first and the last are.
const MAX_VALUES: usize = 6;
const MAX_CHARS: usize = 40;
/// Units by the suffixes of fields' names.
const UNITS: [(&str, &str); 4] = [("_w", "W"), ("_mhz", "MHz"), ("_ms", "ms"), ("_sec", "s")];

/// Returns the axes with their values, e.g. "power_limit_w: 150, 200, 250".
pub fn axes_in_words(axes: &Map<String, Value>) -> String {
    if axes.is_empty() {
        return "one point".to_owned();
    }
    let axis = |(name, values): (&String, &Value)| {
        let values: Vec<String> = values.as_array().into_iter().flatten().map(value_in_words).collect();
        let shown = match values.len() {
            0..=MAX_VALUES => values.join(", "),
            count => format!("{} to {}, {count} values", values[0], values[count - 1]),
        };
        format!("{name}: {shown}")
    };
    axes.iter().map(axis).collect::<Vec<_>>().join("; ")
}

/// Returns the values of a point, e.g. "power_limit_w 150, batch_size 4".
pub fn point_in_words(values: &Map<String, Value>) -> String {
    let each = values
        .iter()
        .map(|(axis, value)| format!("{axis} {}", value_in_words(value)));
    each.collect::<Vec<_>>().join(", ")
}

/// Returns a value of an axis as text, truncated if it is long.
pub fn value_in_words(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    };
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Returns the unit of an axis by its suffix; empty without one.
pub fn unit_of(axis: &str) -> &'static str {
    let ends_with = |(end, _): &&(&str, &str)| axis.ends_with(end);
    UNITS.iter().find(ends_with).map_or("", |(_, unit)| unit)
}

/// Returns the progress of a sweep, e.g. "4 of 18 done, 1 failed, 2 running".
pub fn progress_in_words(progress: &SweepProgress) -> String {
    let mut text = format!("{} of {} done", done(progress), progress.experiments);
    for (count, word) in [
        (progress.failed, "failed"),
        (progress.cancelled, "cancelled"),
        (progress.running, "running"),
        (progress.queued, "queued"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {word}"));
        }
    }
    text
}

/// Returns the number of experiments that have ended.
pub fn done(progress: &SweepProgress) -> u64 {
    progress.completed + progress.failed + progress.cancelled
}

/// Returns the state of a sweep as a word.
pub fn state_of(state: &SweepState) -> &'static str {
    match state {
        SweepState::Running => "running",
        SweepState::Finished => "finished",
        SweepState::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn axes_and_points_are_shown_with_their_values() {
        let axes = json!({"power_limit_w": [100, 150, 200], "engine": ["a", null]});
        let words = axes_in_words(axes.as_object().unwrap());
        assert_eq!(words, "power_limit_w: 100, 150, 200; engine: a, none");
        let long: Vec<u32> = (1..=20).collect();
        let axes = json!({"batch_size": long});
        assert_eq!(
            axes_in_words(axes.as_object().unwrap()),
            "batch_size: 1 to 20, 20 values"
        );
        assert_eq!(axes_in_words(&Map::new()), "one point");
        let point = json!({"power_limit_w": 100, "model_name": "é".repeat(80)});
        let words = point_in_words(point.as_object().unwrap());
        assert!(
            words.starts_with("power_limit_w 100, model_name é") && words.ends_with('…'),
            "{words}"
        );
    }

    #[test]
    fn an_axis_has_the_unit_of_its_name() {
        assert_eq!((unit_of("power_limit_w"), unit_of("batch_size")), ("W", ""));
    }

    #[test]
    fn failed_experiments_count_as_done() {
        let progress = SweepProgress {
            experiments: 9,
            queued: 2,
            running: 1,
            completed: 4,
            failed: 2,
            cancelled: 0,
        };
        assert_eq!(
            progress_in_words(&progress),
            "6 of 9 done, 2 failed, 1 running, 2 queued"
        );
    }
}
