//! Text of an experiment, as a row of a table or as a block. Pure.

use std::fmt::Write as _;

use serde_json::Value;

use super::{outlook, quantity};
use joulemark_analysis::metrics;

/// Widths of the columns: ID, state, time, duration, user.
const ID: usize = 36;
const STATE: usize = 11;
const TIME: usize = 20;
const TOOK: usize = 12;
const USER: usize = 12;

/// Fields of the server's list that a row needs.
pub const FIELDS: &str = "id,state,created_at,started_at,finished_at,submitter,user,model_name,config_name";

/// Returns the heading of the table.
pub fn heading() -> String {
    format!(
        "{:ID$}  {:STATE$}  {:TIME$}  {:TOOK$}  {:USER$}  MODEL",
        "ID", "STATE", "CREATED", "TOOK", "USER"
    )
}

/// Returns the row of an experiment.
pub fn row(experiment: &Value, colours: bool) -> String {
    let word = |name: &str| experiment[name].as_str().unwrap_or("-");
    let state = painted(word("state"), STATE, colours);
    let user = experiment["submitter"]
        .as_str()
        .or(experiment["user"].as_str())
        .unwrap_or("-");
    let row = format!(
        "{:ID$}  {state}  {:TIME$}  {:TOOK$}  {:USER$}  {}",
        word("id"),
        to_the_second(word("created_at")),
        took(experiment).unwrap_or_else(|| "-".to_owned()),
        plain(user),
        plain(word("model_name")),
    );
    let named = experiment["config_name"]
        .as_str()
        .filter(|name| *name != word("model_name"));
    named.map_or(row.clone(), |name| format!("{row}  ({})", plain(name)))
}

/// Returns a block of text: state, progress, reason of a wait or failure, and warnings.
pub fn block(experiment: &Value, colours: bool) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<12} {}", plain(value));
    };
    for name in [
        "config_name",
        "model_name",
        "submitter",
        "user",
        "node_name",
        "created_at",
        "started_at",
        "finished_at",
    ] {
        if let Some(value) = experiment[name].as_str() {
            line(name, value);
        }
    }
    if let Some(queue) = outlook::queue(experiment) {
        line("queue", &queue);
    }
    if let Some(estimate) = outlook::estimate(experiment) {
        line("duration", &estimate);
    }
    if let Some(attempt) = experiment["attempt"].as_u64().filter(|attempt| *attempt > 1) {
        line("attempt", &attempt.to_string());
    }
    if let Some(took) = took(experiment) {
        line("took", &took);
    }
    for (name, value) in experiment["progress"].as_object().into_iter().flatten() {
        if let Some(shown) = quantity::shown(value) {
            line(
                &format!("{name:<17}"),
                format!("{shown} {}", quantity::unit(metrics::all(), name)).trim_end(),
            );
        }
    }
    if let Some(message) = experiment["failure"]["message"].as_str() {
        line(
            "failure",
            &format!("{}: {message}", experiment["failure"]["reason"].as_str().unwrap_or("?")),
        );
        for logged in experiment["failure"]["log_tail"].as_array().into_iter().flatten() {
            line("  log", logged.as_str().unwrap_or_default());
        }
    }
    for warning in experiment["warnings"].as_array().into_iter().flatten() {
        let (code, message) = (
            warning["code"].as_str().unwrap_or("?"),
            warning["message"].as_str().unwrap_or_default(),
        );
        line("warning", &format!("{code}: {message}"));
    }
    let state = experiment["state"].as_str().unwrap_or("?");
    format!(
        "{}  {}\n{}",
        experiment["id"].as_str().unwrap_or("?"),
        painted(state, 0, colours),
        text.trim_end()
    )
}

/// Returns the duration from start to finish; `None` unless both are known.
fn took(experiment: &Value) -> Option<String> {
    let time = |name: &str| experiment[name].as_str()?.parse::<jiff::Timestamp>().ok();
    let (started, finished) = (time("started_at")?, time("finished_at")?);
    Some(quantity::duration(finished.duration_since(started).as_secs_f64()))
}

fn to_the_second(time: &str) -> String {
    time.parse::<jiff::Timestamp>()
        .map_or_else(|_| time.to_owned(), |time| format!("{time:.0}"))
}

/// Replaces control characters, which could move the terminal's cursor: names come from other users.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn painted(state: &str, width: usize, colours: bool) -> String {
    let padded = format!("{:width$}", plain(state));
    let colour = match state {
        "completed" => "32",
        "failed" => "31",
        "cancelled" => "33",
        _ => "36",
    };
    if colours {
        format!("\u{1b}[{colour}m{padded}\u{1b}[0m")
    } else {
        padded
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn experiment() -> Value {
        json!({"id": "01a210e7-5daf-7287-9019-c2037529987e", "state": "failed", "created_at": "2026-11-25T12:00:00.123456Z",
            "started_at": "2026-11-25T12:00:01Z", "finished_at": "2026-11-25T12:01:16Z", "submitter": null, "user": "ada",
            "model_name": "m.gguf", "config_name": "sweep\u{1b}[2J", "attempt": 2, "progress": null, "waiting_for": null,
            "failure": {"reason": "worker_killed", "message": "out of memory", "log_tail": ["last words"]},
            "warnings": [{"code": "few_cycles", "message": "one cycle"}]})
    }

    #[test]
    fn the_columns_of_a_row_are_aligned_and_control_characters_are_replaced() {
        let (heading, row) = (heading(), row(&experiment(), false));
        for (title, value) in [
            ("STATE", "failed"),
            ("CREATED", "2026-11-25T12:00:00Z"),
            ("TOOK", "1 min 15 s"),
            ("USER", "ada"),
            ("MODEL", "m.gguf"),
        ] {
            assert_eq!(heading.find(title), row.find(value), "{title}:\n{heading}\n{row}");
        }
        assert!(row.ends_with("(sweep\u{fffd}[2J)"), "{row}");
        assert!(super::row(&experiment(), true).contains("\u{1b}[31mfailed     \u{1b}[0m"));
        assert!(
            super::row(&json!({}), false).contains('-'),
            "an empty document is printed"
        );
    }

    #[test]
    fn a_block_shows_the_failure_and_omits_null_fields() {
        let text = block(&experiment(), false);
        for part in [
            "worker_killed: out of memory",
            "last words",
            "few_cycles: one cycle",
            "attempt      2",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(!text.contains("waits for") && !text.contains("null"), "{text}");
    }
}
