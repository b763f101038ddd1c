use joulemark_charts::{Forest, ForestRow, Svg, forest};

use super::rows::{letter_of, verdict};
use super::sources::Shown;
use crate::compared::metric_named;
use joulemark_analysis::metrics::Better;
use joulemark_experiment::comparison::{Comparison, ComparisonAnswer};

/// Draws the ratios: of one candidate all metrics together, of several a forest a metric, so that the candidates stand beneath
/// each other.
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
        let rows = each.map(|comparison| row(comparison, with_direction(&comparison.metric)));
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
        let rows = each.map(|comparison| row(comparison, label(results, &comparison.candidate)));
        let title = format!("{} against {}", with_direction(metric), baseline(results));
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

/// Returns the name of a metric with the direction that is the better one.
fn with_direction(name: &str) -> String {
    let better = metric_named(name).map(|metric| metric.better);
    match better {
        Ok(Better::Lower) => format!("{name} (less is better)"),
        Ok(Better::Higher) => format!("{name} (more is better)"),
        _ => name.to_owned(),
    }
}

fn row(comparison: &Comparison, label: String) -> ForestRow {
    ForestRow {
        label,
        ratio: comparison.ratio,
        interval: comparison.ci_low.zip(comparison.ci_high),
        verdict: comparison
            .verdict
            .map_or_else(String::new, |found| verdict(found).to_owned()),
    }
}

fn drawn(title: String, rows: Vec<ForestRow>) -> Svg {
    forest(&Forest {
        title,
        description: "Ratios of the candidate's mean to the baseline's with their 95 % intervals; at 1 both are alike."
            .to_owned(),
        rows,
    })
}
