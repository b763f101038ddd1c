//! The table of a sweep: metrics over the repeats of each point.

use std::collections::HashMap;

use super::view::{SweepFigure, SweepRow};
use super::warnings::{SweepWarning, WarningCounts};
use crate::compared::{default_metrics, metric_named};
use crate::http::access::Caller;
use crate::http::experiments::pareto::Reading;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_analysis::complete_report;
use joulemark_analysis::metrics::Metric;
use joulemark_analysis::search::{figure_of, over_repeats};
use joulemark_experiment::report::Report;
use joulemark_experiment::sweep::SweepRequest;
use joulemark_experiment::{ExperimentId, State};
use joulemark_store::{ListQuery, Record, StoreError, UnreadRow};

/// Maximum number of experiments read from the database at a time, and maximum size of their documents.
const PAGE_ROWS: u32 = 100;
const PAGE_BYTES: usize = 8 << 20;
/// Maximum number of metrics of a table.
const MAX_METRICS: usize = 64;

/// Metric that is added to those of a comparison, whose means hide the slowest requests.
const TAIL_METRIC: &str = "p99_ttft_ms";

/// Returns the requested metrics; by default those of a comparison, [`TAIL_METRIC`] and those of the goal.
///
/// # Errors
/// Returns a [`Problem`] that names an unknown metric.
pub fn metrics_of(asked: Option<&str>, request: &SweepRequest) -> Result<Vec<&'static Metric>, Problem> {
    let refuse = |detail: String| Problem::invalid_parameter("metrics", detail);
    let mut metrics: Vec<&'static Metric> = Vec::new();
    let add = |metrics: &mut Vec<&'static Metric>, metric: &'static Metric| {
        if !metrics.iter().any(|known| known.name == metric.name) {
            metrics.push(metric);
        }
    };
    let Some(asked) = asked else {
        let of_goal = request.goal.iter().flat_map(|goal| goal.metrics());
        let named = std::iter::once(TAIL_METRIC).chain(of_goal.map(|(_, name)| name));
        let named = named.filter_map(|name| metric_named(name).ok());
        for metric in default_metrics().into_iter().chain(named) {
            add(&mut metrics, metric);
        }
        return Ok(metrics);
    };
    for name in asked.split(',').map(str::trim) {
        add(&mut metrics, metric_named(name).map_err(refuse)?);
    }
    match metrics.len() {
        0..=MAX_METRICS => Ok(metrics),
        many => Err(refuse(format!(
            "names {many} metrics; accepted are at most {MAX_METRICS}"
        ))),
    }
}

/// Figures of each completed experiment of a sweep, in the order of the metrics.
type Figures = HashMap<ExperimentId, Vec<Option<f64>>>;

/// Each metric with the figures of every point's completed repeats, in the order of the points.
pub type OfPoints = Vec<(&'static Metric, Vec<Vec<f64>>)>;

/// What the results of a sweep's completed experiments contain for its table and its fronts.
pub struct Filled {
    pub of_points: OfPoints,
    pub warnings: Vec<SweepWarning>,
    /// The given reading of fronts, with every completed experiment.
    pub fronts: Option<Reading>,
}

/// Fills in the metrics of a table's rows, and adds each experiment to `fronts`, so that results are read once.
///
/// # Errors
/// Returns a [`Problem`] if the database fails.
pub async fn fill(
    asked_by: (&AppState, &Caller),
    sweep: ExperimentId,
    rows: &mut [SweepRow],
    metrics: Vec<&'static Metric>,
    fronts: Option<Reading>,
) -> Result<Filled, Problem> {
    let read = read(asked_by, sweep, &metrics, fronts).await?;
    let mut of_points: OfPoints = metrics.iter().map(|metric| (*metric, Vec::new())).collect();
    for row in rows {
        let of_repeats = row.experiments.iter().filter_map(|id| read.figures.get(id));
        let of_repeats: Vec<&Vec<Option<f64>>> = of_repeats.collect();
        for (place, (metric, of_metric)) in of_points.iter_mut().enumerate() {
            let known: Vec<f64> = of_repeats.iter().filter_map(|figures| figures[place]).collect();
            let figure = over_repeats(&known).map(SweepFigure::from).unwrap_or_default();
            row.metrics.insert(metric.name.to_owned(), figure);
            of_metric.push(known);
        }
    }
    Ok(Filled {
        of_points,
        warnings: read.warnings.into_list(),
        fronts: read.fronts,
    })
}

/// What was read of a sweep's completed experiments.
struct Read {
    figures: Figures,
    warnings: WarningCounts,
    fronts: Option<Reading>,
}

/// Reads all completed experiments of a sweep.
async fn read(
    (state, caller): (&AppState, &Caller),
    sweep: ExperimentId,
    metrics: &[&'static Metric],
    fronts: Option<Reading>,
) -> Result<Read, Problem> {
    let store = state.resources.store.on_behalf_of(&caller.held_as());
    let mut read = Read {
        figures: Figures::new(),
        warnings: WarningCounts::default(),
        fronts,
    };
    let mut query = ListQuery {
        sweep: Some(sweep),
        state: Some(State::Completed),
        limit: PAGE_ROWS,
        ..ListQuery::default()
    };
    loop {
        let page = store.unread_page(&query, PAGE_BYTES).await?;
        let (rows, metrics, caller) = (page.rows, metrics.to_vec(), caller.clone());
        // Parsing a page takes too long for a thread that serves other requests.
        let parsed = tokio::task::spawn_blocking(move || {
            for row in rows {
                let (record, report) = completed(&row)?;
                read.figures.insert(record.id, of_report(report.as_ref(), &metrics));
                if let Some(report) = &report {
                    read.warnings.add(record.id, report.validation.warnings.clone());
                }
                if let Some(fronts) = &mut read.fronts {
                    fronts.add(record, report, &caller);
                }
            }
            Ok::<_, StoreError>(read)
        });
        read = parsed.await.map_err(|_| Problem::internal())??;
        let Some(next) = page.next else {
            return Ok(read);
        };
        query.after = Some(next);
    }
}

/// Returns an experiment with its result.
fn completed(row: &UnreadRow) -> Result<(Record, Option<Report>), StoreError> {
    let (record, report) = row.read()?;
    let report = report.map(|mut report| {
        complete_report(&mut report);
        report
    });
    Ok((record, report))
}

/// Returns the figures of one result.
fn of_report(report: Option<&Report>, metrics: &[&'static Metric]) -> Vec<Option<f64>> {
    let of = |metric: &&'static Metric| report.and_then(|report| figure_of(metric, report));
    metrics.iter().map(of).collect()
}
