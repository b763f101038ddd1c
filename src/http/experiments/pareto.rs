use std::collections::BTreeMap;

use axum::{Json, extract::State as AxumState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::filter::read_label;
use super::measured::measured;
use crate::compared::metric_named;
use crate::http::access::Caller;
use crate::http::repeatable_query::RepeatableQuery;
use crate::http::{problem::Problem, state::AppState};
use joulemark_analysis::comparison::{ParetoCandidate, Standing, pareto as standings};
use joulemark_analysis::metrics::{Better, Metric};
use joulemark_experiment::{ExperimentId, State};
use joulemark_store::{ListQuery, StoreError, UnreadRow};

/// Of experiments on one plane: as many as a front is looked for among at once.
const MAX_POINTS: usize = 1000;
/// Read from the database at a time, and of their documents.
const PAGE_ROWS: u32 = 100;
const PAGE_BYTES: usize = 8 << 20;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct ParetoParameters {
    /// The metric of one axis, of which less or more is better.
    #[param(required = true, value_type = String, example = "joules_per_output_token")]
    x: Option<String>,
    /// The metric of the other axis.
    #[param(required = true, value_type = String, example = "output_throughput")]
    y: Option<String>,
    /// Completed experiments that carry this label, as `name=value`; may be repeated up to 16 times, all must hold.
    #[param(required = true, value_type = Vec<String>, style = Form, explode, example = json!(["paper=fig3"]))]
    label: Vec<String>,
}

/// Completed experiments in two metrics, and which of them no other one beats in both.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParetoFront {
    pub x: ParetoAxis,
    pub y: ParetoAxis,
    /// The best in `x` first.
    pub points: Vec<ParetoPoint>,
    /// Experiments that have no place on the plane, and why.
    pub left_out: Vec<LeftOut>,
    /// What a careful reader should know, first of all how experiments were not made alike.
    pub notes: Vec<String>,
}

/// A metric along an axis.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParetoAxis {
    /// The metric's name.
    #[schema(example = "joules_per_output_token")]
    pub metric: &'static str,
    /// Empty for a share and a ratio of like to like.
    #[schema(example = "J/token")]
    pub unit: &'static str,
    /// `lower` or `higher`.
    #[schema(example = "lower")]
    pub better: &'static str,
}

/// One experiment: means over its cycles, with 95 % intervals that are null below two cycles.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParetoPoint {
    pub id: ExperimentId,
    /// The experiment's name for people.
    pub config_name: String,
    /// The experiment's labels.
    pub labels: BTreeMap<String, String>,
    /// Cycles.
    pub n: u32,
    /// Mean over cycles, in the unit of `x`.
    pub x: f64,
    /// Lower end of its interval.
    pub x_ci_low: Option<f64>,
    /// Upper end of its interval.
    pub x_ci_high: Option<f64>,
    /// Mean over cycles, in the unit of `y`.
    pub y: f64,
    /// Lower end of its interval.
    pub y_ci_low: Option<f64>,
    /// Upper end of its interval.
    pub y_ci_high: Option<f64>,
    /// Whether no other point is as good in both metrics and better in one.
    pub on_front: bool,
    /// Whether it lies behind the front and its intervals reach it.
    pub reaches_front: bool,
}

/// An experiment without a place on the plane.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeftOut {
    pub id: ExperimentId,
    /// Why it has none.
    #[schema(example = "joules_per_output_token is null")]
    pub reason: String,
}

/// Find the Pareto front of experiments
///
/// Which of the completed experiments with these labels no other one beats in both metrics. A point behind the front whose
/// 95 % intervals reach it is marked: it may as well be on it.
#[utoipa::path(get, path = "/v1/pareto", tag = "experiments", operation_id = "getPareto",
    params(ParetoParameters),
    responses(
        (status = 200, description = "Every experiment's place.", body = ParetoFront),
        (status = 400, description = "A parameter is missing or not valid, or more than 1,000 experiments carry the labels.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn pareto(
    AxumState(state): AxumState<AppState>,
    caller: Caller,
    RepeatableQuery(parameters): RepeatableQuery<ParetoParameters>,
) -> Result<Json<ParetoFront>, Problem> {
    let axes = (axis("x", parameters.x)?, axis("y", parameters.y)?);
    if parameters.label.is_empty() {
        let detail = "is missing; accepted is name=value, of experiments that are completed";
        return Err(Problem::invalid_parameter("label", detail));
    }
    let labels = parameters.label.iter().map(|label| read_label(label));
    let query = ListQuery {
        state: Some(State::Completed),
        labels: labels.collect::<Result<_, _>>()?,
        limit: PAGE_ROWS,
        ..ListQuery::default()
    };
    let found = read(&state, &caller, query, axes).await?;
    Ok(Json(found.answer(axes)))
}

type Axes = (&'static Metric, &'static Metric);

fn axis(name: &str, value: Option<String>) -> Result<&'static Metric, Problem> {
    let refuse = |detail: String| Problem::invalid_parameter(name, detail);
    let value = value.ok_or_else(|| refuse("is missing; accepted is the name of a metric".to_owned()))?;
    let metric = metric_named(&value).map_err(refuse)?;
    if metric.better == Better::Neither {
        let detail =
            "names a metric of which neither less nor more is better; accepted is one with `better` in GET /v1/metrics";
        return Err(refuse(detail.to_owned()));
    }
    Ok(metric)
}

/// What is shown of an experiment beside its figures.
struct Shown {
    id: ExperimentId,
    config_name: String,
    labels: BTreeMap<String, String>,
}

#[derive(Default)]
struct Found {
    shown: Vec<Shown>,
    candidates: Vec<ParetoCandidate>,
    left_out: Vec<LeftOut>,
}

async fn read(state: &AppState, caller: &Caller, mut query: ListQuery, axes: Axes) -> Result<Found, Problem> {
    let store = state.resources.store.on_behalf_of(&caller.held_as());
    let mut found = Found::default();
    loop {
        let page = store.unread_page(&query, PAGE_BYTES).await?;
        let (rows, caller) = (page.rows, caller.clone());
        // Reading a page's documents takes longer than others wait for.
        let read = tokio::task::spawn_blocking(move || {
            for row in rows {
                found.take(&row, &caller, axes)?;
            }
            Ok::<_, StoreError>(found)
        });
        found = read.await.map_err(|_| Problem::internal())??;
        if found.candidates.len() + found.left_out.len() > MAX_POINTS {
            let detail = format!(
                "is carried by more than {MAX_POINTS} completed experiments; accepted are labels that fewer carry together"
            );
            return Err(Problem::invalid_parameter("label", detail));
        }
        let Some(next) = page.next else { return Ok(found) };
        query.after = Some(next);
    }
}

impl Found {
    fn take(&mut self, row: &UnreadRow, caller: &Caller, axes: Axes) -> Result<(), StoreError> {
        let (record, report) = row.read()?;
        let shown = Shown {
            id: record.id,
            config_name: record.spec.config_name.clone(),
            labels: record.spec.labels.clone(),
        };
        let candidate = match report {
            Some(report) => ParetoCandidate::new(&measured(record, report, caller), axes),
            None => Err("it has no results".to_owned()),
        };
        match candidate {
            Ok(candidate) => {
                self.candidates.push(candidate);
                self.shown.push(shown);
            }
            Err(reason) => self.left_out.push(LeftOut { id: shown.id, reason }),
        }
        Ok(())
    }

    fn answer(self, axes: Axes) -> ParetoFront {
        let (places, notes) = standings(&self.candidates, axes);
        let mut points: Vec<_> = places
            .into_iter()
            .zip(self.shown)
            .map(|(point, shown)| ParetoPoint {
                id: shown.id,
                config_name: shown.config_name,
                labels: shown.labels,
                n: point.n,
                x: point.place.x,
                x_ci_low: point.place.x_interval.map(|(low, _)| low),
                x_ci_high: point.place.x_interval.map(|(_, high)| high),
                y: point.place.y,
                y_ci_low: point.place.y_interval.map(|(low, _)| low),
                y_ci_high: point.place.y_interval.map(|(_, high)| high),
                on_front: point.standing == Standing::OnFront,
                reaches_front: point.standing == Standing::ReachesFront,
            })
            .collect();
        points.sort_by(|one, other| one.x.total_cmp(&other.x));
        if axes.0.better == Better::Higher {
            points.reverse();
        }
        let of = |metric: &'static Metric| ParetoAxis {
            metric: metric.name,
            unit: metric.unit,
            better: metric.better.as_str(),
        };
        ParetoFront {
            x: of(axes.0),
            y: of(axes.1),
            points,
            left_out: self.left_out,
            notes,
        }
    }
}
