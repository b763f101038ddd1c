//! The page of a sweep.

mod axis_charts;
mod fronts;
mod goal;
mod repeat_request;
mod running;
mod table;

use askama::Template;
use axum::{
    extract::{Query, State as AxumState},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};

use self::axis_charts::{AxisView, axis_views};
use self::fronts::{Fronts, front_views};
use self::goal::{GoalView, goal_view};
use self::repeat_request::{RepeatRequest, repeat_request};
use self::running::{RunningExperiment, running_experiments};
use self::table::{Column, RowView, WarningView, columns, row_views, warning_views};
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
use crate::http::sweeps::show::with_figures;
use crate::http::sweeps::table::metrics_of;
use crate::http::sweeps::view::{Sweep, SweepState};

const PARAMETERS: [&str; 2] = ["metrics", "figure"];

/// Page of a sweep: progress, results, and how to repeat it.
#[derive(Template)]
#[template(path = "sweep.html")]
struct View {
    page: Page,
    sweep: Sweep,
    may_cancel: bool,
    running: Vec<RunningExperiment>,
    goal: Option<GoalView>,
    fronts: Fronts,
    /// Name of the metric that is drawn when there are several axes.
    figure: String,
    axes: Vec<AxisView>,
    columns: Vec<Column>,
    rows: Vec<RowView>,
    warnings: Vec<WarningView>,
    metrics: MetricChoices,
    /// Requested metrics as a parameter of the API; empty for the default.
    asked: String,
    repeat: Option<RepeatRequest>,
}

impl View {
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

/// Query of the page.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    metrics: Vec<String>,
    figure: Option<String>,
}

impl Asked {
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut asked = Self::default();
        for (name, value) in pairs {
            let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
            match name.as_str() {
                "metrics" => asked.metrics.extend(parts.map(str::to_owned)),
                "figure" => asked.figure = Some(value.trim().to_owned()).filter(|value| !value.is_empty()),
                _ => {
                    let detail = format!("is unknown; accepted are {}", PARAMETERS.join(", "));
                    return Err(Problem::invalid_parameter(&name, detail));
                }
            }
        }
        Ok(asked)
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
    let figure = axis_charts::figure(asked.figure.as_deref(), &metrics)?;
    let asked_by = (&state, &caller);
    let sweep = with_figures(asked_by, record.clone(), metrics.clone()).await?;
    let view = View {
        may_cancel: sweep.summary.state == SweepState::Running && caller.may_change(record.submitter.as_deref()),
        running: running_experiments(asked_by, &record).await?,
        goal: goal_view(&sweep),
        fronts: front_views(asked_by, &record, &sweep.table).await?,
        axes: axis_views(&sweep, &metrics, figure),
        columns: columns(&metrics, sweep.warnings.as_deref().unwrap_or_default()),
        warnings: warning_views(sweep.warnings.as_deref().unwrap_or_default()),
        rows: row_views(&sweep.table, &metrics),
        repeat: repeat_request(asked_by, &record).await?,
        metrics: metric_choices(&asked.metrics),
        figure: figure.name.to_owned(),
        asked: names.unwrap_or_default(),
        page: shown_in,
        sweep,
    };
    page(StatusCode::OK, &view)
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
        assert_eq!((asked.metrics.join(" "), asked.figure), ("a b c".to_owned(), None));
        let problem = Asked::read(vec![pair("metric", "a")]).unwrap_err();
        assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (400, "metric"));
    }
}
