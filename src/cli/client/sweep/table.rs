//! The table of a sweep, with one row for each point. Pure.

use serde_json::Value;

use super::super::quantity;
use joulemark_analysis::metrics::{self, Metric};

/// Code of the warning that an energy is an estimate.
const ESTIMATED: &str = "energy_estimated";

/// Returns the table of the points that were run, followed by the result of the search and the warnings.
pub fn table(sweep: &Value) -> String {
    let rows = sweep["table"].as_array().map_or(&[][..], Vec::as_slice);
    let tried: Vec<&Value> = rows
        .iter()
        .filter(|row| row["experiments"].as_array().is_some_and(|ids| !ids.is_empty()))
        .collect();
    let axes: Vec<&String> = sweep["axes"]
        .as_object()
        .into_iter()
        .flat_map(|axes| axes.keys())
        .collect();
    let names: Vec<&String> = tried
        .first()
        .and_then(|row| row["metrics"].as_object())
        .into_iter()
        .flat_map(|metrics| metrics.keys())
        .collect();
    let has_estimates = warnings(sweep).any(|warning| warning["code"] == ESTIMATED);
    let title = |name: &String| {
        let unit = quantity::unit(metrics::all(), name);
        let is_estimate = has_estimates && metrics::find(metrics::all(), name).is_some_and(Metric::uses_host_energy);
        match (unit, is_estimate) {
            ("", false) => name.clone(),
            ("", true) => format!("{name} [estimate]"),
            (unit, false) => format!("{name} [{unit}]"),
            (unit, true) => format!("{name} [{unit}, estimate]"),
        }
    };
    let mut lines = vec![
        ["point".to_owned()]
            .into_iter()
            .chain(axes.iter().map(|axis| plain(axis)))
            .chain(["n".to_owned()])
            .chain(names.iter().map(|name| title(name)))
            .collect::<Vec<_>>(),
    ];
    let best = &sweep["search"]["best_point"];
    for row in tried {
        let mark = if best.is_u64() && *best == row["point"] {
            "*"
        } else {
            ""
        };
        let mut cells = vec![format!("{}{mark}", row["point"])];
        cells.extend(axes.iter().map(|axis| value(&row["values"][axis.as_str()])));
        cells.push(row["completed"].to_string());
        cells.extend(names.iter().map(|name| figure(&row["metrics"][name.as_str()])));
        lines.push(cells);
    }
    let mut text = aligned(&lines);
    for line in curve(&sweep["curve"], &names) {
        text.push('\n');
        text.push_str(&line);
    }
    if let Some(conclusion) = sweep["search"]["evidence"]["conclusion"].as_str() {
        let best = match best.as_u64() {
            Some(point) => format!("best: point {point} (*)"),
            None => "best: none".to_owned(),
        };
        text.push_str(&format!("\n{best}\n{}", plain(conclusion)));
    }
    text.push_str(&warning_lines(sweep));
    text
}

/// Returns one line for each warning code, with the number of completed experiments that have it.
fn warning_lines(sweep: &Value) -> String {
    let completed = &sweep["progress"]["completed"];
    let line = |warning: &Value| {
        let word = |name: &str| plain(warning[name].as_str().unwrap_or_default());
        let count = &warning["experiments"];
        format!("\n  {} ({count} of {completed}): {}", word("code"), word("message"))
    };
    let lines: String = warnings(sweep).map(line).collect();
    match lines.is_empty() {
        true => lines,
        false => format!("\n\nwarnings (number of completed experiments that have them){lines}"),
    }
}

fn warnings(sweep: &Value) -> impl Iterator<Item = &Value> {
    sweep["warnings"].as_array().into_iter().flatten()
}

/// Returns for each metric where it is best along the axis, and its knee.
fn curve(curve: &Value, names: &[&String]) -> Vec<String> {
    let axis = plain(curve["axis"].as_str().unwrap_or_default());
    let shown = |number: &Value| quantity::shown(number).unwrap_or_default();
    let line = |name: &&String| {
        let figure = curve["metrics"].get(name.as_str())?;
        let unit = quantity::unit(metrics::all(), name);
        let mut line = format!("{name} is best at {axis} {}", shown(&figure["best_at"]));
        if !figure["best_at_low"].is_null() {
            let (low, high) = (shown(&figure["best_at_low"]), shown(&figure["best_at_high"]));
            line.push_str(&format!(" (95 %: {low} to {high})"));
        }
        line.push_str(&format!(": {} {unit}", shown(&figure["best"])));
        if !figure["knee_at"].is_null() {
            line.push_str(&format!("; little gain beyond {}", shown(&figure["knee_at"])));
        }
        Some(line.trim_end().to_owned())
    };
    names.iter().filter_map(line).collect()
}

/// Replaces control characters, which could move the terminal's cursor: names come from other users.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn value(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    }
}

/// Formats a mean, with the half-width of its interval if known.
fn figure(figure: &Value) -> String {
    let Some(mean) = figure["mean"].as_f64() else {
        return "-".to_owned();
    };
    let shown = |number: f64| quantity::shown(&Value::from(number)).unwrap_or_default();
    match (figure["ci_low"].as_f64(), figure["ci_high"].as_f64()) {
        (Some(low), Some(high)) => format!("{} ± {}", shown(mean), shown((high - low) / 2.0)),
        _ => shown(mean),
    }
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_run_point_and_marks_the_best() {
        let figure = |mean: f64| json!({"n": 2, "mean": mean, "ci_low": mean - 0.5, "ci_high": mean + 0.5});
        let row = |point: u32, mean: f64| {
            json!({"point": point, "values": {"batch_size": point + 1, "engine": "a\u{1b}b"}, "completed": 2,
                "experiments": ["x"], "metrics": {"mean_ttft_ms": figure(mean), "p99_ttft_ms": {"n": 0, "mean": null}}})
        };
        let text = table(&json!({"axes": {"batch_size": [1, 2, 3], "engine": ["a"]},
            "table": [row(0, 3.0), {"point": 1, "values": {}, "experiments": [], "metrics": {}}, row(2, 10.25)],
            "search": {"best_point": 0, "evidence": {"conclusion": "it is"}}}));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[0].contains("mean_ttft_ms [ms]"), "{text}");
        assert!(
            lines[1].starts_with("0*") && lines[1].contains("3 ± 0.500") || lines[1].contains("3.000 ± 0.500"),
            "{text}"
        );
        assert!(lines[2].contains("a\u{fffd}b") && lines[2].ends_with('-'), "{text}");
        assert_eq!(&lines[3..], ["best: point 0 (*)", "it is"]);
        assert_eq!(lines[0].find("engine"), lines[1].find('a'));
        let sweep = json!({"axes": {}, "progress": {"completed": 2}, "warnings": [
                {"code": "energy_estimated", "experiments": 2, "message": "CPU energy is an estimate"}],
            "table": [{"point": 0, "values": {}, "completed": 2, "experiments": ["x"], "metrics": {
                "joules_per_output_token": figure(1.0), "mean_ttft_ms": figure(1.0)}}]});
        let text = table(&sweep);
        assert!(
            text.contains("joules_per_output_token [J/token, estimate]  mean_ttft_ms [ms]"),
            "{text}"
        );
        assert!(
            text.ends_with("\n  energy_estimated (2 of 2): CPU energy is an estimate"),
            "{text}"
        );
        let text = table(
            &json!({"axes": {"power_limit_w": [200, 300]}, "table": [row(0, 3.0)], "curve": {
            "axis": "power_limit_w", "metrics": {"mean_ttft_ms": {"best_at": 210.0, "best_at_low": 190.0,
            "best_at_high": 230.0, "best": 3.0, "knee_at": 250.0}}}}),
        );
        let last = text.lines().last().expect("a line");
        assert!(last.starts_with("mean_ttft_ms is best at power_limit_w 210"), "{last}");
        assert!(
            last.contains("(95 %: 190") && last.contains(" ms; little gain beyond 250"),
            "{last}"
        );
    }
}
