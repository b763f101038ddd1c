//! The page of a sweep.

mod axis_charts;
mod fronts;
mod goal;
mod repeat_request;
mod running;
mod table;
mod table_page;

use askama::Template;
use axum::{
    extract::{Query, State as AxumState},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};

use self::axis_charts::{AxisView, Drawn, axis_views};
use self::fronts::{Fronts, front_axes, front_views};
use self::goal::{GoalView, goal_view};
use self::repeat_request::{RepeatRequest, repeat_request};
use self::running::{RunningExperiment, running_experiments};
use self::table::{Column, RowView, WarningView, columns, row_views, warning_views};
pub use self::table_page::point_address;
use self::table_page::{ROWS, TablePage};
use super::html::page;
use super::layout::Page;
use super::metric_choice::{MetricChoices, metric_choices};
use super::number;
use super::sweep_words as words;
use crate::http::access::Caller;
use crate::http::extract::IdPath;
use crate::http::problem::Problem;
use crate::http::repeatable_query::NoQuery;
use crate::http::state::AppState;
use crate::http::sweeps::cancel::cancel as cancelled;
use crate::http::sweeps::find;
use crate::http::sweeps::show::with_fronts;
use crate::http::sweeps::table::metrics_of;
use crate::http::sweeps::view::{Sweep, SweepState};
use joulemark_measurement::quoted;

/// Query parameters; `figure` is an earlier name of `metric`.
const PARAMETERS: [&str; 4] = ["metrics", "metric", "page", "figure"];
/// Maximum number of charts in a view.
const MAX_CHARTS: usize = 8;

/// Page of a sweep: progress, results, and how to repeat it.
#[derive(Template)]
#[template(path = "sweep.html")]
struct View<'a> {
    page: Page,
    sweep: &'a Sweep,
    may_cancel: bool,
    running: Vec<RunningExperiment>,
    goal: Option<GoalView>,
    fronts: Fronts,
    /// Name of the metric that is drawn when there are several axes.
    metric: String,
    axes: Vec<AxisView>,
    columns: Vec<Column>,
    /// The rows of this page of the table.
    rows: Vec<RowView>,
    paging: Option<Paging>,
    warnings: Vec<WarningView>,
    metrics: MetricChoices,
    /// Requested metrics as a parameter of the API; empty for the default.
    asked: String,
    repeat: Option<RepeatRequest>,
}

impl View<'_> {
    fn is_running(&self) -> bool {
        self.sweep.summary.state == SweepState::Running
    }

    fn eta(&self) -> String {
        let eta = &self.sweep.eta;
        match (eta.left_sec, &eta.reason) {
            (Some(left_sec), _) => number::duration(left_sec),
            (None, Some(reason)) => format!("{}: {reason}", number::UNKNOWN),
            (None, None) => number::UNKNOWN.to_owned(),
        }
    }
}

/// Position in a table of several pages.
struct Paging {
    number: usize,
    last: usize,
    previous: Option<String>,
    next: Option<String>,
}

impl Paging {
    /// Returns the position; `None` for a table of one page.
    fn of(shown: &TablePage<'_>) -> Option<Self> {
        let number = shown.number();
        (shown.last() > 1).then(|| Self {
            number,
            last: shown.last(),
            previous: shown.link(number - 1),
            next: shown.link(number + 1),
        })
    }
}

/// Query of the page.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    metrics: Vec<String>,
    /// Metric to draw.
    metric: Option<String>,
    /// Page of the table, from 1; 0 if none is given.
    page: usize,
}

impl Asked {
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut asked = Self::default();
        for (name, value) in pairs {
            let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
            match name.as_str() {
                "metrics" => asked.metrics.extend(parts.map(str::to_owned)),
                "metric" | "figure" => asked.metric = Some(value.trim().to_owned()).filter(|value| !value.is_empty()),
                "page" => {
                    let page = value.trim().parse().ok().filter(|page| *page > 0);
                    asked.page = page.ok_or_else(|| {
                        let detail = format!("is {}; accepted is the number of a page, from 1", quoted(&value));
                        Problem::invalid_parameter("page", detail)
                    })?;
                }
                _ => {
                    let detail = format!("is unknown; accepted are {}", PARAMETERS[..3].join(", "));
                    return Err(Problem::invalid_parameter(&name, detail));
                }
            }
        }
        Ok(asked)
    }

    /// Returns the query of a link, with some parameters replaced.
    fn query(&self, replaced: &[(&str, &str)]) -> String {
        let metrics = Some(self.metrics.join(",")).filter(|metrics| !metrics.is_empty());
        let page = Some(self.page.to_string()).filter(|_| self.page > 0);
        let own = [("metrics", metrics), ("metric", self.metric.clone()), ("page", page)];
        let own = own.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let kept = own.filter(|(name, _)| !replaced.iter().any(|(other, _)| other == name));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept).extend_pairs(replaced);
        format!("?{}", query.finish())
    }
}

/// Shows a sweep with its table, Pareto fronts and curves.
pub async fn sweep(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    Query(pairs): Query<Vec<(String, String)>>,
    caller: Caller,
    shown_in: Page,
) -> Result<Response, Problem> {
    let asked = Asked::read(pairs)?;
    let record = find(&state, id).await?;
    let names = Some(asked.metrics.join(",")).filter(|names| !names.is_empty());
    let metrics = metrics_of(names.as_deref(), &record.request)?;
    let drawn = Drawn::of(asked.metric.as_deref(), &metrics)?;
    let asked_by = (&state, &caller);
    let axes = front_axes(record.request.point_count());
    let (sweep, fronts) = with_fronts(asked_by, record.clone(), metrics.clone(), &axes).await?;
    let running = running_experiments(asked_by, &record).await?;
    let repeat = repeat_request(asked_by, &record).await?;
    let may_cancel = sweep.summary.state == SweepState::Running && caller.may_change(record.submitter.as_deref());
    // Drawing hundreds of points takes a while.
    let shown = tokio::task::spawn_blocking(move || {
        let table = TablePage {
            table: &sweep.table,
            asked: &asked,
        };
        let warnings = sweep.warnings.as_deref().unwrap_or_default();
        let fronts = front_views(&fronts, &table);
        let charts = fronts.views.iter().filter(|view| view.chart.is_some()).count();
        let view = View {
            may_cancel,
            running,
            goal: goal_view(&sweep, &table),
            axes: axis_views(&sweep, &table, &drawn, MAX_CHARTS - charts),
            fronts,
            columns: columns(&metrics, warnings),
            warnings: warning_views(warnings),
            rows: row_views(table.rows(), &metrics),
            paging: Paging::of(&table),
            repeat,
            metrics: metric_choices(&asked.metrics),
            metric: drawn.default.name.to_owned(),
            asked: names.unwrap_or_default(),
            page: shown_in,
            sweep: &sweep,
        };
        page(StatusCode::OK, &view)
    });
    shown.await.map_err(|error| {
        tracing::error!(%error, "the page of a sweep cannot be rendered");
        Problem::internal()
    })?
}

/// Cancels the unfinished experiments of a sweep and redirects to its page.
pub async fn cancel(
    state: AxumState<AppState>,
    IdPath(id): IdPath,
    no_query: NoQuery,
    caller: Caller,
) -> Result<Response, Problem> {
    cancelled(state, IdPath(id), no_query, caller).await?;
    Ok(Redirect::to(&format!("../{id}")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_may_be_repeated_and_an_unknown_parameter_is_named() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let asked = Asked::read(vec![pair("metrics", "a,b"), pair("metrics", "c"), pair("figure", "")]).unwrap();
        assert_eq!((asked.metrics.join(" "), asked.metric), ("a b c".to_owned(), None));
        for (name, value) in [("colour", "a"), ("page", "0"), ("page", "two")] {
            let problem = Asked::read(vec![pair(name, value)]).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (400, name));
        }
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let asked = Asked::read(vec![pair("metrics", "a,b"), pair("page", "3")]).unwrap();
        assert_eq!(asked.query(&[("page", "4")]), "?metrics=a%2Cb&page=4");
        assert_eq!(asked.query(&[("metric", "b")]), "?metrics=a%2Cb&page=3&metric=b");
    }
}
