//! Forest plots of a comparison.

use joulemark_charts::{Forest, ForestRow, Svg, forest};

use super::rows::{letter_of, verdict};
use super::sources::Shown;
use crate::compared::metric_named;
use joulemark_analysis::metrics::Better;
use joulemark_experiment::comparison::{Comparison, ComparisonAnswer};

/// Draws the ratios: one plot of all metrics for a single candidate, else one plot for each metric.
pub fn forests(answer: &ComparisonAnswer, results: &[Shown]) -> Vec<Svg> {
    let mut candidates: Vec<&str> = answer
        .comparisons
        .iter()
        .map(|known| known.candidate.as_str())
        .collect();
    candidates.dedup();
    if let [only] = candidates[..] {
        let title = format!("{} against {}", letter_of(results, only), baseline(results));
        let each = answer.comparisons.iter();
        let rows = each.map(|comparison| {
            let verdict = match direction(&comparison.metric) {
                Some(direction) => format!("{}, {direction}", verdict_of(comparison)),
                None => verdict_of(comparison).to_owned(),
            };
            row(comparison, (comparison.metric.clone(), verdict))
        });
        return vec![drawn(title, rows.collect())];
    }
    let mut metrics: Vec<&str> = Vec::new();
    for comparison in &answer.comparisons {
        if !metrics.contains(&comparison.metric.as_str()) {
            metrics.push(&comparison.metric);
        }
    }
    let of_metric = |metric: &str| {
        let each = answer.comparisons.iter().filter(|known| known.metric == metric);
        let rows = each.map(|comparison| {
            let verdict = verdict_of(comparison).to_owned();
            row(comparison, (label(results, &comparison.candidate), verdict))
        });
        let better = direction(metric).map(|direction| format!(" ({direction})"));
        let title = format!("{metric}{} against {}", better.unwrap_or_default(), baseline(results));
        drawn(title, rows.collect())
    };
    metrics.into_iter().map(of_metric).collect()
}

fn baseline(results: &[Shown]) -> String {
    results.first().map_or_else(|| "the baseline".to_owned(), Shown::label)
}

fn label(results: &[Shown], name: &str) -> String {
    let found = results.iter().find(|result| result.id == name);
    found.map_or_else(|| name.to_owned(), Shown::label)
}

/// Returns whether lower or higher values of a metric are better; `None` when neither is.
fn direction(metric: &str) -> Option<&'static str> {
    match metric_named(metric).ok()?.better {
        Better::Lower => Some("lower is better"),
        Better::Higher => Some("higher is better"),
        Better::Neither => None,
    }
}

fn verdict_of(comparison: &Comparison) -> &'static str {
    comparison.verdict.map_or("no verdict", verdict)
}

fn row(comparison: &Comparison, (label, verdict): (String, String)) -> ForestRow {
    ForestRow {
        label,
        ratio: comparison.ratio,
        interval: comparison.ci_low.zip(comparison.ci_high),
        verdict,
    }
}

fn drawn(title: String, rows: Vec<ForestRow>) -> Svg {
    forest(&Forest {
        title,
        description: "Ratios of the candidate's mean to the baseline's mean, with 95 % intervals. A ratio of 1 means no difference."
            .to_owned(),
        rows,
    })
}
