//! Comparisons as people read them. Pure: a document in, text out.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::quantity;

/// How a difference is put in words: after the candidate's name, and after "fewer" or "more".
struct Words {
    metric: &'static str,
    verb: &'static str,
    less: &'static str,
    of: &'static str,
}

const WORDS: [Words; 5] = [
    Words {
        metric: "output_throughput",
        verb: "generates",
        less: "fewer",
        of: "tokens a second",
    },
    Words {
        metric: "mean_ttft_ms",
        verb: "needs",
        less: "less",
        of: "time to the first token",
    },
    Words {
        metric: "mean_tpot_ms",
        verb: "needs",
        less: "less",
        of: "time for each further token",
    },
    Words {
        metric: "joules_per_output_token",
        verb: "needs",
        less: "fewer",
        of: "joules for a token",
    },
    Words {
        metric: "tokens_per_joule",
        verb: "makes",
        less: "fewer",
        of: "tokens of a joule",
    },
];

/// Returns each comparison as a sentence with its verdict, then what could not be compared, then the notes. The baseline is
/// named as it was given where nothing in the answer names it.
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
    for (metrics, candidate, reason) in grouped(&left_out) {
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

/// The letters that stand for results: A is the baseline.
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
        let place = self.0.iter().position(|known| *known == name).unwrap_or_default();
        match u8::try_from(place).ok().filter(|place| *place < 26) {
            Some(place) => char::from(b'A' + place).to_string(),
            None => format!("#{}", place + 1),
        }
    }

    fn legend(&self) -> String {
        let line = |name: &&str| format!("{}  {name}\n", self.letter(name));
        self.0.iter().map(line).collect()
    }
}

/// Returns the lines of one comparison: verdict and sentence, and the figures behind them.
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

/// Returns the comparison in plain words: "B needs 34 % fewer joules for a token: between 31 and 37 %".
fn sentence(comparison: &Value, names: &Names<'_>) -> String {
    let metric = word(comparison, "metric");
    let candidate = names.letter(word(comparison, "candidate"));
    let found = WORDS.iter().find(|words| words.metric == metric);
    let (less, more) = found.map_or(("lower", "higher"), |words| (words.less, "more"));
    let change = |ratio: f64| Change { ratio, less, more };
    let Some(ratio) = comparison["ratio"].as_f64() else {
        return format!("{candidate}: {metric} is not known");
    };
    let change_of = change(ratio).in_words();
    let said = match found {
        Some(words) => format!("{candidate} {} {change_of} {}", words.verb, words.of),
        None => format!("{metric} of {candidate} is {change_of}"),
    };
    match (comparison["ci_low"].as_f64(), comparison["ci_high"].as_f64()) {
        (Some(low), Some(high)) => format!("{said}: {}", between(change(low), change(high))),
        _ => format!("{said}; how sure that is, is not known"),
    }
}

/// A ratio as a part more or less than the whole.
#[derive(Clone, Copy)]
struct Change<'a> {
    ratio: f64,
    less: &'a str,
    more: &'a str,
}

impl Change<'_> {
    fn direction(&self) -> &str {
        if self.ratio < 1.0 { self.less } else { self.more }
    }

    fn percent(&self) -> String {
        let percent = (self.ratio - 1.0).abs() * 100.0;
        match percent {
            small if small < 9.95 => format!("{small:.1}"),
            large => format!("{large:.0}"),
        }
    }

    fn in_words(self) -> String {
        format!("{} % {}", self.percent(), self.direction())
    }
}

fn between(low: Change<'_>, high: Change<'_>) -> String {
    match (low.ratio < 1.0, high.ratio < 1.0) {
        (true, true) => format!("between {} and {} %", high.percent(), low.percent()),
        (false, false) => format!("between {} and {} %", low.percent(), high.percent()),
        _ => format!("between {} and {}", low.in_words(), high.in_words()),
    }
}

type Group<'a> = (Vec<&'a str>, &'a str, &'a str);

/// Returns metrics of a candidate that are left out for the same reason, together.
fn grouped<'a>(left_out: &[&'a Value]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for item in left_out {
        let (metric, candidate, reason) = (word(item, "metric"), word(item, "candidate"), word(item, "reason"));
        match groups
            .iter_mut()
            .find(|(_, of, why)| (*of, *why) == (candidate, reason))
        {
            Some((metrics, ..)) => metrics.push(metric),
            None => groups.push((vec![metric], candidate, reason)),
        }
    }
    groups
}

/// Returns each note once, with the metrics that it is of.
fn notes(answer: &Value, names: &Names<'_>) -> String {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for comparison in items(answer, "comparisons") {
        let (metric, candidate) = (word(comparison, "metric"), word(comparison, "candidate"));
        for note in items(comparison, "notes").filter_map(Value::as_str) {
            match groups
                .iter_mut()
                .find(|(_, of, said)| (*of, *said) == (candidate, note))
            {
                Some((metrics, ..)) => metrics.push(metric),
                None => groups.push((vec![metric], candidate, note)),
            }
        }
    }
    let line = |(metrics, candidate, note): &Group<'_>| {
        format!("  {} of {}: {note}\n", metrics.join(", "), names.letter(candidate))
    };
    groups.iter().map(line).collect()
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
    fn a_difference_is_said_in_plain_words() {
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
            "better: B needs 34 % fewer joules for a token: between 31 and 37 %",
            "  joules_per_output_token: 0.500 and 0.330 J/token over 10 and 9 cycles; ratio 0.660, 95 % interval 0.630 to 0.690, \
             p below 0.0001 after Holm",
            "better: B generates 25 % more tokens a second: between 20 and 31 %",
            "inconclusive: B needs 0.4 % more time to the first token: between 2.0 % less and 3.0 % more",
            "worse: p99_itl_ms of B is 150 % higher: between 100 and 200 %",
            "  tokens_per_joule, mean_tpot_ms of B: it is null",
            "  joules_per_output_token, output_throughput, mean_ttft_ms, p99_itl_ms of B: two estimates are compared",
        ] {
            assert!(text.lines().any(|printed| printed == line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn nothing_compared_and_nothing_known_is_said_too() {
        let left_out = json!([{"metric": "m", "candidate": "x", "reason": "why"}]);
        let text = table(&json!({"comparisons": [], "not_compared": left_out}), "base.json");
        assert!(text.contains("A  base.json") && text.contains("m of B: why"), "{text}");
        let mut alone = comparison("mean_ttft_ms", (1.0, 1.1, 1.2), "inconclusive");
        alone["ci_low"] = Value::Null;
        alone["p_adjusted"] = Value::Null;
        let text = table(&json!({"comparisons": [alone], "not_compared": []}), "base.json");
        assert!(
            text.contains("B needs 10 % more time to the first token; how sure that is, is not known"),
            "{text}"
        );
    }
}
