//! The rows of a comparison.

use super::sources::Shown;
use crate::compared::{grouped, in_words};
use crate::http::pages::number;
use joulemark_experiment::comparison::{Comparison, ComparisonAnswer, ComparisonTest, Verdict};

/// One metric of a candidate, compared with the baseline.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub metric: String,
    pub unit: String,
    pub letter: String,
    /// Verdict; `None` for a metric where neither direction is better.
    pub verdict: Option<&'static str>,
    /// The ratio as a sentence.
    pub said: String,
    pub ratio: String,
    pub baseline: String,
    pub candidate: String,
    /// Number of cycles or repeats of baseline and candidate.
    pub n: String,
    pub p: String,
    pub test: &'static str,
}

/// Metrics of a candidate that are not compared, with advice.
#[derive(Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub letter: String,
    pub metrics: String,
    pub reason: String,
    pub advice: &'static str,
    /// Whether `force` would compare them.
    pub can_be_forced: bool,
}

/// A note of the comparison, with the metrics that it concerns.
#[derive(Debug, PartialEq, Eq)]
pub struct Note {
    pub letter: String,
    /// Empty when it concerns all metrics of the candidate.
    pub metrics: String,
    pub text: String,
}

/// Returns the letter of a result, given its name in the answer.
pub fn letter_of<'a>(results: &'a [Shown], name: &'a str) -> &'a str {
    let found = results.iter().find(|result| result.id == name);
    found.map_or(name, |result| result.letter.as_str())
}

/// Returns a verdict as a word.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Equivalent => "equivalent",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// Returns one row for each comparison, in the order of the answer.
pub fn rows(answer: &ComparisonAnswer, results: &[Shown]) -> Vec<Row> {
    let row = |comparison: &Comparison| {
        let letter = letter_of(results, &comparison.candidate).to_owned();
        let interval = comparison.ci_low.zip(comparison.ci_high);
        Row {
            said: in_words(&comparison.metric, &letter, Some(comparison.ratio), interval),
            metric: comparison.metric.clone(),
            unit: comparison.unit.clone(),
            letter,
            verdict: comparison.verdict.map(verdict),
            ratio: number::with_interval(comparison.ratio, interval),
            baseline: number::plain(comparison.baseline_mean),
            candidate: number::plain(comparison.candidate_mean),
            n: format!("{} and {}", comparison.n_baseline, comparison.n_candidate),
            p: comparison
                .p_adjusted
                .map_or_else(|| number::UNKNOWN.to_owned(), p_value),
            test: match comparison.test {
                Some(ComparisonTest::Welch) => "Welch's t",
                Some(ComparisonTest::PairedT) => "t over pairs",
                None => "–",
            },
        }
    };
    answer.comparisons.iter().map(row).collect()
}

fn p_value(p: f64) -> String {
    match p {
        p if p < 1e-4 => "below 0.0001".to_owned(),
        p => format!("{p:.4}"),
    }
}

/// Returns the metrics that could not be compared, grouped by reason.
pub fn left_out(answer: &ComparisonAnswer, results: &[Shown]) -> Vec<LeftOut> {
    let each = answer.not_compared.iter();
    let each = each.map(|item| (item.metric.as_str(), item.candidate.as_str(), item.reason.as_str()));
    let item = |(metrics, candidate, reason): (Vec<&str>, &str, &str)| {
        let (advice, can_be_forced) = advice(reason);
        LeftOut {
            letter: letter_of(results, candidate).to_owned(),
            metrics: metrics.join(", "),
            reason: reason.to_owned(),
            advice,
            can_be_forced,
        }
    };
    grouped(each).into_iter().map(item).collect()
}

/// Returns advice on a reason, and whether `force` helps.
fn advice(reason: &str) -> (&'static str, bool) {
    let begins = |with: &[&str]| with.iter().any(|with| reason.starts_with(with));
    if begins(&["the baseline's figure cannot", "the candidate's figure cannot"]) {
        return (
            "The page of the experiment shows why the figure is missing. Compare another metric, or run it again.",
            false,
        );
    }
    if begins(&["the prompts may differ"]) {
        return (
            "Ask an admin, or the user who submitted both, to compare them: only they may see the prompts.",
            true,
        );
    }
    if begins(&["different boundary", "different kind of source"]) {
        return ("Run both on the same host with the same sources of energy.", true);
    }
    ("Run both with the same prompts, lengths and load.", true)
}

/// Returns each note once, with the metrics that it concerns.
pub fn notes(answer: &ComparisonAnswer, results: &[Shown]) -> Vec<Note> {
    let each = answer.comparisons.iter().flat_map(|comparison| {
        let (metric, candidate) = (comparison.metric.as_str(), comparison.candidate.as_str());
        comparison
            .notes
            .iter()
            .map(move |note| (metric, candidate, note.as_str()))
    });
    let compared = |candidate: &str| {
        let of_candidate = answer.comparisons.iter().filter(|known| known.candidate == candidate);
        of_candidate.count()
    };
    let note = |(metrics, candidate, text): (Vec<&str>, &str, &str)| Note {
        letter: letter_of(results, candidate).to_owned(),
        metrics: match metrics.len() == compared(candidate) {
            true => String::new(),
            false => metrics.join(", "),
        },
        text: text.to_owned(),
    };
    grouped(each).into_iter().map(note).collect()
}

#[cfg(test)]
mod tests {
    use joulemark_experiment::comparison::NotCompared;

    use super::*;

    fn comparison(metric: &str, notes: &[&str]) -> Comparison {
        Comparison {
            metric: metric.to_owned(),
            unit: "ms".to_owned(),
            baseline: "x".to_owned(),
            candidate: "y".to_owned(),
            baseline_mean: 4.0,
            candidate_mean: 16.0,
            ratio: 4.0,
            ci_low: Some(3.8),
            ci_high: Some(4.2),
            test: Some(ComparisonTest::Welch),
            n_baseline: 6,
            n_candidate: 5,
            p_value: Some(1e-9),
            p_adjusted: Some(5e-9),
            verdict: Some(Verdict::Worse),
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        }
    }

    fn answer() -> ComparisonAnswer {
        let not = |metric: &str, reason: &str| NotCompared {
            metric: metric.to_owned(),
            candidate: "y".to_owned(),
            reason: reason.to_owned(),
        };
        ComparisonAnswer {
            comparisons: vec![
                comparison("mean_tpot_ms", &["of all", "of one"]),
                comparison("mean_ttft_ms", &["of all"]),
            ],
            not_compared: vec![
                not(
                    "output_throughput",
                    "different prompts: p in the baseline, q in the candidate",
                ),
                not("goodput", "different prompts: p in the baseline, q in the candidate"),
                not("tokens_per_joule", "the candidate's figure cannot be used: it is null"),
            ],
        }
    }

    #[test]
    fn a_row_has_the_figures_of_the_answer_and_the_sentence_of_the_command_line() {
        let rows = rows(&answer(), &[]);
        assert_eq!(
            (rows[0].ratio.as_str(), rows[0].p.as_str(), rows[0].n.as_str()),
            ("4.00 ± 0.20", "below 0.0001", "6 and 5")
        );
        assert_eq!(
            rows[0].said,
            "y needs 300 % more time per output token: between 280 and 320 %"
        );
        assert_eq!((rows[0].verdict, rows[0].test), (Some("worse"), "Welch's t"));
    }

    #[test]
    fn metrics_that_are_not_compared_come_with_advice() {
        let left_out = left_out(&answer(), &[]);
        assert_eq!(left_out.len(), 2);
        assert_eq!(
            (left_out[0].metrics.as_str(), left_out[0].can_be_forced),
            ("output_throughput, goodput", true)
        );
        assert!(!left_out[1].can_be_forced && left_out[1].advice.contains("another metric"));
    }

    #[test]
    fn a_note_that_concerns_every_metric_names_none() {
        let notes = notes(&answer(), &[]);
        let shown: Vec<_> = notes
            .iter()
            .map(|note| (note.metrics.as_str(), note.text.as_str()))
            .collect();
        assert_eq!(shown, [("", "of all"), ("mean_tpot_ms", "of one")]);
    }
}
