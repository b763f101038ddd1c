//! The section on latency.

use std::array;

use askama::Template;
use joulemark_charts::{Curve, Distribution, Svg, distribution};

use super::figure::Figure;
use super::raw::{Raw, RequestTimes};
use joulemark_analysis::statistics::percentiles;
use joulemark_experiment::report::Report;

/// Maximum number of values in a curve. More are replaced by quantiles in even steps; p50, p90 and p99 stay exact.
const QUANTILES: usize = 401;

/// Latencies with the metrics in their columns.
const FIGURES: [(&str, [&str; 4]); 5] = [
    ("TTFT", ["mean_ttft_ms", "median_ttft_ms", "p90_ttft_ms", "p99_ttft_ms"]),
    ("TPOT", ["mean_tpot_ms", "median_tpot_ms", "p90_tpot_ms", "p99_tpot_ms"]),
    ("ITL", ["", "median_itl_ms", "p90_itl_ms", "p99_itl_ms"]),
    (
        "Chunk interval",
        ["", "median_chunk_interval_ms", "", "p99_chunk_interval_ms"],
    ),
    (
        "End to end",
        ["mean_e2e_ms", "median_e2e_ms", "p90_e2e_ms", "p99_e2e_ms"],
    ),
];

/// Distributions of latencies over requests.
#[derive(Template)]
#[template(path = "experiment/latency.html")]
pub struct Latency {
    charts: Vec<Svg>,
    /// Caption if the intervals between outputs are a sample; `None` if they are all.
    sample: Option<String>,
    /// Why there are no distributions; `None` when there are.
    why_none: Option<String>,
    rows: Vec<(&'static str, [Option<Figure>; 4])>,
    /// Whether a percentile has too few requests for an interval.
    are_few: bool,
    /// URL of the definitions of metrics, up to the name.
    figures: String,
}

impl Latency {
    /// Creates the section from a result.
    pub fn new(report: &Report, raw: &Raw, figures: &str) -> Self {
        let rows = FIGURES.map(|(name, names)| (name, names.map(|name| Figure::named(name, report))));
        let is_there = |(_, row): &(&str, [Option<Figure>; 4])| row.iter().flatten().any(Figure::is_known);
        Self {
            charts: if raw.requests.is_empty() {
                Vec::new()
            } else {
                charts(raw)
            },
            sample: raw.gaps.is_sample().then(|| raw.gaps.count_in_words()),
            why_none: raw.requests.is_empty().then(|| why_none(raw)),
            rows: rows.into_iter().filter(is_there).collect(),
            are_few: report.request_percentiles.values().any(|of| of.ci_high.is_none()),
            figures: figures.to_owned(),
        }
    }
}

/// Returns why the times of single requests are not known.
pub fn why_none(raw: &Raw) -> String {
    match raw.dropped_at {
        Some(at) => format!(
            "this server's retention deleted the times of single requests on {}; the figures are kept",
            crate::number::time(&at)
        ),
        None => "no request was answered".to_owned(),
    }
}

fn charts(raw: &Raw) -> Vec<Svg> {
    let of = |value: fn(&RequestTimes) -> Option<f64>| raw.requests.iter().filter_map(value).collect::<Vec<f64>>();
    let gaps = match raw.gaps.are_of_chunks {
        true => "Between chunks",
        false => "ITL",
    };
    let chart = |title: &str, what: &str, curves: Vec<(String, Vec<f64>)>| {
        let curves = curves.into_iter().filter(|(_, values)| !values.is_empty());
        distribution(&Distribution {
            title: title.to_owned(),
            description: format!("Cumulative share of {what} by duration, with p50, p90 and p99."),
            unit: "ms".to_owned(),
            curves: curves
                .map(|(name, values)| Curve {
                    name,
                    values: thinned(values),
                })
                .collect(),
        })
    };
    let (ttft, tpot, e2e) = (
        of(|request| request.ttft_ms),
        of(|request| request.tpot_ms),
        of(|request| Some(request.e2e_ms)),
    );
    let counted = |name: &str, values: &[f64]| format!("{name}, {} requests", values.len());
    let all_gaps = format!("{gaps}, {}", raw.gaps.count_in_words());
    vec![
        chart(
            "Time to first token (TTFT)",
            "requests",
            vec![(counted("TTFT", &ttft), ttft)],
        ),
        chart(
            "Time per output token (TPOT) and between outputs",
            "requests and of intervals between outputs",
            vec![(counted("TPOT", &tpot), tpot), (all_gaps, raw.gaps.ms.clone())],
        ),
        chart(
            "End-to-end latency",
            "requests",
            vec![(counted("End to end", &e2e), e2e)],
        ),
    ]
}

/// Returns the values, or their quantiles if there are many.
fn thinned(values: Vec<f64>) -> Vec<f64> {
    if values.len() <= QUANTILES {
        return values;
    }
    let shares: [f64; QUANTILES] = array::from_fn(|place| place as f64 * 100.0 / (QUANTILES - 1) as f64);
    percentiles(&values, shares).into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use joulemark_analysis::statistics::percentile;

    use super::*;

    #[test]
    fn thinned_values_have_the_same_percentiles_and_extremes() {
        let values: Vec<f64> = (0..12_345).map(|step| f64::from(step * 7919 % 12_345)).collect();
        let thin = thinned(values.clone());
        assert_eq!(thin.len(), QUANTILES);
        for percent in [0.0, 50.0, 90.0, 99.0, 100.0] {
            assert_eq!(percentile(&thin, percent), percentile(&values, percent), "{percent}");
        }
        assert_eq!(thinned(vec![2.0, 1.0]), [2.0, 1.0]);
    }
}
