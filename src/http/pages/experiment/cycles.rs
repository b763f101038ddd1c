//! The section on cycles.

use askama::Template;
use joulemark_charts::{Along, AxisLabel, Point, Svg, along};

use super::super::metric_words;
use super::checks::title;
use super::figure::{plain, quantity};
use crate::number;
use joulemark_analysis::metrics::{Figures, Metric, Read, all, find};
use joulemark_experiment::report::{CiMethod, CycleReport, MetricStatistics, RepetitionReport, Report};

/// Maximum number of rows of cycles; the results have the rest.
const MAX_ROWS: usize = 300;
/// Metrics of each row.
const FIGURES: [&str; 6] = [
    "duration_sec",
    "output_throughput",
    "mean_ttft_ms",
    "mean_tpot_ms",
    "total_energy_j",
    "joules_per_output_token",
];
const DRAWN: [&str; 2] = ["output_throughput", "joules_per_output_token"];

/// Figures of each cycle, and their spread.
#[derive(Template)]
#[template(path = "experiment/cycles.html")]
pub struct Cycles {
    charts: Vec<Svg>,
    headings: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    left_out: usize,
    spreads: Vec<Spread>,
    remarks: Vec<String>,
    /// URL of the definitions of metrics, up to the name.
    figures: String,
}

/// One cycle: each figure in full precision and as shown, and remarks.
struct Row {
    cycle: u32,
    figures: Vec<(String, String)>,
    remarks: Vec<String>,
}

/// Statistics of one metric over the cycles.
struct Spread {
    name: String,
    label: String,
    n: u32,
    mean: String,
    deviation: String,
    cv: String,
    interval: String,
}

impl Cycles {
    /// Creates the section from a result.
    pub fn new(report: &Report, figures: &str) -> Self {
        let rows = report.cycles.iter().take(MAX_ROWS).map(|cycle| Row::of(cycle, report));
        let drawn = DRAWN.into_iter().filter_map(|name| find(all(), name));
        Self {
            charts: match report.cycles.len() {
                0 | 1 => Vec::new(),
                _ => drawn.filter_map(|metric| chart(metric, report)).collect(),
            },
            headings: FIGURES.map(|name| (name, metric_words::label(name))).to_vec(),
            rows: rows.collect(),
            left_out: report.cycles.len().saturating_sub(MAX_ROWS),
            spreads: FIGURES
                .into_iter()
                .filter_map(|name| Spread::of(name, report))
                .collect(),
            remarks: remarks(report),
            figures: figures.to_owned(),
        }
    }
}

impl Row {
    fn of(cycle: &CycleReport, report: &Report) -> Self {
        Self {
            cycle: cycle.cycle,
            figures: FIGURES.map(|name| plain(name, Figures::from(cycle))).to_vec(),
            remarks: cycle_remarks(cycle.cycle, report),
        }
    }
}

/// Returns the figures in which a cycle is an outlier, what disturbed it, and whether the statistics omit it.
fn cycle_remarks(cycle: u32, report: &Report) -> Vec<String> {
    let outlier_in = FIGURES.into_iter().filter(|name| {
        let statistics = report.statistics.get(*name);
        statistics.is_some_and(|statistics| statistics.outliers.contains(&cycle))
    });
    let outlier_in: Vec<String> = outlier_in.map(metric_words::label).collect();
    let mut remarks = Vec::new();
    if !outlier_in.is_empty() {
        remarks.push(format!("outlier: {}", outlier_in.join(", ")));
    }
    let Some(repetition) = &report.repetition else {
        return remarks;
    };
    let disturbed = repetition
        .disturbed_cycles
        .iter()
        .filter(|disturbed| disturbed.cycle == cycle);
    let mut reasons: Vec<&str> = disturbed
        .flat_map(|disturbed| &disturbed.reasons)
        .map(|reason| title(reason.code))
        .collect();
    reasons.dedup();
    remarks.extend(reasons.into_iter().map(str::to_owned));
    if repetition.left_out_of_statistics.contains(&cycle) {
        remarks.push("left out of the statistics".to_owned());
    }
    remarks
}

fn chart(metric: &Metric, report: &Report) -> Option<Svg> {
    let Read::Number(read) = metric.read else { return None };
    let outliers = report
        .statistics
        .get(metric.name)
        .map(|statistics| statistics.outliers.as_slice());
    let point = |cycle: &CycleReport| {
        let outlier = outliers.is_some_and(|outliers| outliers.contains(&cycle.cycle));
        let what = if outlier { ", an outlier" } else { "" };
        Some(Point {
            label: format!("cycle {}{what}", cycle.cycle),
            href: None,
            x: f64::from(cycle.cycle),
            y: read(Figures::from(cycle))?,
            x_interval: None,
            y_interval: None,
            on_front: outlier,
        })
    };
    let points: Vec<Point> = report.cycles.iter().filter_map(point).collect();
    let label = metric_words::label(metric.name);
    (!points.is_empty()).then(|| {
        along(&Along {
            title: format!("{label} by cycle"),
            description: format!("{label} of each measured cycle, in the order in which they ran."),
            x: AxisLabel {
                label: "cycle".to_owned(),
                unit: String::new(),
            },
            y: AxisLabel {
                label,
                unit: metric.unit.to_owned(),
            },
            points,
            best: None,
            knee: None,
        })
    })
}

impl Spread {
    fn of(name: &str, report: &Report) -> Option<Self> {
        let metric = find(all(), name)?;
        let of: &MetricStatistics = report.statistics.get(name)?;
        let shown = |value: f64| quantity(value, None, metric.unit);
        let ends = of.combined_low.zip(of.combined_high).or(of.ci_low.zip(of.ci_high));
        let method = match of.ci_method {
            Some(CiMethod::StudentT) => ", Student's t",
            Some(CiMethod::BcaBootstrap) => ", bootstrap",
            None => "",
        };
        let with_meter = if of.combined_low.is_some() {
            " and the meter"
        } else {
            ""
        };
        Some(Self {
            name: name.to_owned(),
            label: metric_words::label(name),
            n: of.n,
            mean: quantity(of.mean, ends, metric.unit),
            deviation: of.standard_deviation.map_or_else(|| "–".to_owned(), shown),
            cv: of
                .cv
                .map_or_else(|| "–".to_owned(), |cv| format!("{} %", number::plain(100.0 * cv))),
            interval: match ends {
                Some(_) => format!("95 %{method}{with_meter}"),
                None => "none (too few cycles)".to_owned(),
            },
        })
    }
}

fn remarks(report: &Report) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(stop) = &report.stop {
        let asked = number::plain(100.0 * stop.relative_ci);
        remarks.push(match (stop.sure_enough, stop.reached) {
            (true, Some(reached)) => format!(
                "The stop rule ended the experiment after {} cycles: the half-width of the interval is {} % of the mean; {asked} % was requested.",
                stop.cycles,
                number::plain(100.0 * reached)
            ),
            _ => format!("The stop rule requested {asked} % and was not met within {} cycles.", stop.cycles),
        });
    }
    remarks.extend(report.repetition.as_ref().and_then(repeated));
    remarks
}

fn repeated(repetition: &RepetitionReport) -> Option<String> {
    let disturbed = repetition.disturbed_cycles.len();
    (disturbed > 0).then(|| {
        format!(
            "Other processes disturbed {disturbed} cycles; {} were repeated, and {} are left out of the statistics.",
            repetition.repeated_cycles,
            repetition.left_out_of_statistics.len()
        )
    })
}
