//! The text that `joulemark compare` prints. Pure.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::quantity;
use crate::compared::{Grouped, grouped, in_words, letter};

/// Returns the comparisons with their verdicts, the metrics that were not compared, and the notes. `baseline` names the
/// baseline when the answer does not.
pub fn table(answer: &Value, baseline: &str) -> String {
    let names = Names::of(answer, baseline);
    let mut text = names.legend();
    for comparison in items(answer, "comparisons") {
        let _ = write!(text, "\n{}", one(comparison, &names));
    }
    let left_out: Vec<_> = items(answer, "not_compared").collect();
    if !left_out.is_empty() {
        text.push_str("\nnot compared\n");
    }
    let left_out = left_out
        .into_iter()
        .map(|item| (word(item, "metric"), word(item, "candidate"), word(item, "reason")));
    for (metrics, candidate, reason) in grouped(left_out) {
        let _ = writeln!(
            text,
            "  {} of {}: {reason}",
            metrics.join(", "),
            names.letter(candidate)
        );
    }
    let notes = notes(answer, &names);
    if !notes.is_empty() {
        let _ = write!(text, "\nnotes\n{notes}");
    }
    text.truncate(text.trim_end().len());
    text
}

fn items<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer[name].as_array().into_iter().flatten()
}

fn word<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_default()
}

/// Names of the results, in the order of their letters: A is the baseline.
struct Names<'a>(Vec<&'a str>);

impl<'a> Names<'a> {
    fn of(answer: &'a Value, baseline: &'a str) -> Self {
        let mut names = Vec::new();
        let mut add = |name: &'a str| {
            if !names.contains(&name) {
                names.push(name);
            }
        };
        let mut compared = items(answer, "comparisons");
        let baseline = compared.next().map_or(baseline, |first| word(first, "baseline"));
        add(baseline);
        for list in ["comparisons", "not_compared"] {
            items(answer, list).for_each(|item| add(word(item, "candidate")));
        }
        Self(names)
    }

    fn letter(&self, name: &str) -> String {
        letter(self.0.iter().position(|known| *known == name).unwrap_or_default())
    }

    fn legend(&self) -> String {
        let line = |name: &&str| format!("{}  {name}\n", self.letter(name));
        self.0.iter().map(line).collect()
    }
}

/// Returns the text of one comparison: verdict, sentence and figures.
fn one(comparison: &Value, names: &Names<'_>) -> String {
    let number = |name: &str| comparison[name].as_f64();
    let shown = |name: &str| quantity::shown(&comparison[name]).unwrap_or_else(|| "null".to_owned());
    let verdict = comparison["verdict"].as_str().unwrap_or("no verdict");
    let unit = word(comparison, "unit");
    let interval = match (number("ci_low"), number("ci_high")) {
        (Some(low), Some(high)) => format!(", 95 % interval {low:.3} to {high:.3}"),
        _ => String::new(),
    };
    let p = match comparison["p_adjusted"].as_f64() {
        Some(p) if p < 1e-4 => ", p below 0.0001 after Holm".to_owned(),
        Some(p) => format!(", p {p:.4} after Holm"),
        None => String::new(),
    };
    format!(
        "{verdict}: {}\n  {}: {} and {} {unit} over {} and {} cycles; ratio {:.3}{interval}{p}\n",
        sentence(comparison, names),
        word(comparison, "metric"),
        shown("baseline_mean"),
        shown("candidate_mean"),
        shown("n_baseline"),
        shown("n_candidate"),
        number("ratio").unwrap_or(f64::NAN),
    )
}

/// Returns the comparison as a sentence.
fn sentence(comparison: &Value, names: &Names<'_>) -> String {
    let candidate = names.letter(word(comparison, "candidate"));
    let interval = comparison["ci_low"].as_f64().zip(comparison["ci_high"].as_f64());
    in_words(
        word(comparison, "metric"),
        &candidate,
        comparison["ratio"].as_f64(),
        interval,
    )
}

/// Returns each note once, with the metrics that it concerns.
fn notes(answer: &Value, names: &Names<'_>) -> String {
    let noted = items(answer, "comparisons").flat_map(|comparison| {
        let (metric, candidate) = (word(comparison, "metric"), word(comparison, "candidate"));
        let notes = items(comparison, "notes").filter_map(Value::as_str);
        notes.map(move |note| (metric, candidate, note))
    });
    let line = |(metrics, candidate, note): &Grouped<'_>| {
        format!("  {} of {}: {note}\n", metrics.join(", "), names.letter(candidate))
    };
    grouped(noted).iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn comparison(metric: &str, (low, ratio, high): (f64, f64, f64), verdict: &str) -> Value {
        json!({
            "metric": metric, "unit": "J/token", "baseline": "base.json", "candidate": "new.json", "baseline_mean": 0.5,
            "candidate_mean": 0.5 * ratio, "ratio": ratio, "ci_low": low, "ci_high": high, "test": "welch",
            "n_baseline": 10, "n_candidate": 9, "p_value": 1e-9, "p_adjusted": 1e-8, "verdict": verdict,
            "notes": ["two estimates are compared"],
        })
    }

    #[test]
    fn a_comparison_is_printed_as_a_sentence() {
        let answer = json!({
            "comparisons": [
                comparison("joules_per_output_token", (0.63, 0.66, 0.69), "better"),
                comparison("output_throughput", (1.2, 1.25, 1.31), "better"),
                comparison("mean_ttft_ms", (0.98, 1.004, 1.03), "inconclusive"),
                comparison("p99_itl_ms", (2.0, 2.5, 3.0), "worse"),
            ],
            "not_compared": [
                {"metric": "tokens_per_joule", "candidate": "new.json", "reason": "it is null"},
                {"metric": "mean_tpot_ms", "candidate": "new.json", "reason": "it is null"},
            ],
        });
        let text = table(&answer, "base.json");
        for line in [
            "A  base.json",
            "B  new.json",
            "better: B needs 34 % fewer joules per token: between 31 and 37 %",
            "  joules_per_output_token: 0.500 and 0.330 J/token over 10 and 9 cycles; ratio 0.660, 95 % interval 0.630 to 0.690, \
             p below 0.0001 after Holm",
            "better: B generates 25 % more tokens per second: between 20 and 31 %",
            "inconclusive: B needs 0.4 % more time to the first token: between 2.0 % less and 3.0 % more",
            "worse: p99_itl_ms of B is 150 % higher: between 100 and 200 %",
            "  tokens_per_joule, mean_tpot_ms of B: it is null",
            "  joules_per_output_token, output_throughput, mean_ttft_ms, p99_itl_ms of B: two estimates are compared",
        ] {
            assert!(text.lines().any(|printed| printed == line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn an_empty_comparison_and_an_unknown_interval_are_printed() {
        let left_out = json!([{"metric": "m", "candidate": "x", "reason": "why"}]);
        let text = table(&json!({"comparisons": [], "not_compared": left_out}), "base.json");
        assert!(text.contains("A  base.json") && text.contains("m of B: why"), "{text}");
        let mut alone = comparison("mean_ttft_ms", (1.0, 1.1, 1.2), "inconclusive");
        alone["ci_low"] = Value::Null;
        alone["p_adjusted"] = Value::Null;
        let text = table(&json!({"comparisons": [alone], "not_compared": []}), "base.json");
        assert!(
            text.contains("B needs 10 % more time to the first token; the uncertainty is unknown"),
            "{text}"
        );
    }
}
