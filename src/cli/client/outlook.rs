//! Text on the wait and the estimated duration of an unfinished experiment. Pure.

use serde_json::Value;

use super::quantity;

/// Returns the position in the queue and what the experiment waits for; `None` when it does not wait.
pub fn queue(experiment: &Value) -> Option<String> {
    let position = experiment["queue_position"]
        .as_u64()
        .map(|position| format!("position {position}"));
    let waits_for = experiment["queue_wait"]["message"]
        .as_str()
        .or(experiment["waiting_for"].as_str());
    let waits_for = waits_for.map(|message| format!("waits for {message}"));
    let parts: Vec<_> = position.into_iter().chain(waits_for).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Returns the estimated duration, or why it is unknown; `None` when the experiment is finished.
pub fn estimate(experiment: &Value) -> Option<String> {
    let estimate = &experiment["duration_estimate"];
    let sec = |name: &str| estimate[name].as_f64().map(quantity::duration);
    let Some(whole) = sec("duration_sec") else {
        return estimate["reason"].as_str().map(|reason| format!("unknown: {reason}"));
    };
    let range = sec("least_sec").zip(sec("most_sec"));
    let range = range.map(|(least, most)| format!(", between {least} and {most}"));
    let basis = match (estimate["method"].as_str(), estimate["runs"].as_u64()) {
        (Some("past_runs"), Some(1)) => " from 1 past run".to_owned(),
        (Some("past_runs"), Some(runs)) => format!(" from {runs} past runs"),
        (Some("warm_up"), _) => " from its warm-up".to_owned(),
        (Some("measured_cycles"), _) => " from its cycles so far".to_owned(),
        _ => String::new(),
    };
    Some(format!("about {whole}{}, estimated{basis}", range.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_waiting_experiment_is_shown_with_its_position_and_its_reason() {
        let waits = json!({"queue_position": 2, "queue_wait": {"message": "its turn"}, "waiting_for": null});
        assert_eq!(queue(&waits).as_deref(), Some("position 2, waits for its turn"));
        // An older server.
        let waits = json!({"waiting_for": "a live node that can run it: node a: it has no engine"});
        assert!(queue(&waits).unwrap().starts_with("waits for a live node"));
        assert_eq!(queue(&json!({"queue_position": null, "queue_wait": null})), None);
    }

    #[test]
    fn an_estimate_is_shown_with_its_range_and_its_basis() {
        let of = |estimate: Value| super::estimate(&json!({"duration_estimate": estimate}));
        let known = json!({"duration_sec": 75.2, "least_sec": 60.0, "most_sec": 90.0, "method": "past_runs", "runs": 3,
            "reason": null});
        assert_eq!(
            of(known).as_deref(),
            Some("about 1 min 15 s, between 1 min 0 s and 1 min 30 s, estimated from 3 past runs")
        );
        let unknown = json!({"duration_sec": null, "reason": "no run of this model was completed"});
        assert_eq!(
            of(unknown).as_deref(),
            Some("unknown: no run of this model was completed")
        );
        assert_eq!(of(Value::Null), None);
    }
}
