//! `GET /v1/pareto`.

use std::collections::{BTreeMap, HashMap};

use axum::{Json, extract::State as AxumState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::filter::{read_label, read_sweep};
use super::measured::measured;
use crate::compared::metric_named;
use crate::http::access::Caller;
use crate::http::repeatable_query::RepeatableQuery;
use crate::http::{problem::Problem, state::AppState};
use joulemark_analysis::comparison::{MeasuredResult, ParetoCandidate, Standing, pareto as standings};
use joulemark_analysis::metrics::{Better, Metric};
use joulemark_experiment::report::Report;
use joulemark_experiment::{ExperimentId, State};
use joulemark_store::{ListQuery, Record, StoreError, SweepRecord, UnreadRow};

/// Maximum number of experiments in one Pareto front.
const MAX_POINTS: usize = 1000;
/// Maximum number of experiments read from the database at a time, and maximum size of their documents.
const PAGE_ROWS: u32 = 100;
const PAGE_BYTES: usize = 8 << 20;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct ParetoParameters {
    /// Metric of one axis; lower or higher must be better for it.
    #[param(required = true, value_type = String, example = "joules_per_output_token")]
    x: Option<String>,
    /// Metric of the other axis.
    #[param(required = true, value_type = String, example = "output_throughput")]
    y: Option<String>,
    /// Only completed experiments with this label, as `name=value`. May be repeated up to 16 times; all of the labels
    /// must match.
    #[param(value_type = Option<Vec<String>>, style = Form, explode, example = json!(["paper=fig3"]))]
    label: Vec<String>,
    /// Id of a sweep whose points are compared, instead of `label`. With repeats, each point of the sweep is one point
    /// here.
    #[param(value_type = Option<String>, format = "uuid")]
    sweep: Option<String>,
}

/// Completed experiments in terms of two metrics, and those that no other experiment beats in both.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParetoFront {
    pub x: ParetoAxis,
    pub y: ParetoAxis,
    /// The points, best in `x` first.
    pub points: Vec<ParetoPoint>,
    /// Experiments that lack one of the metrics, with the reason.
    pub left_out: Vec<LeftOut>,
    /// Notes on how far the experiments are comparable.
    pub notes: Vec<String>,
}

/// The metric of an axis.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParetoAxis {
    /// Name of the metric.
    #[schema(example = "joules_per_output_token")]
    pub metric: &'static str,
    /// Unit; empty for shares and dimensionless ratios.
    #[schema(example = "J/token")]
    pub unit: &'static str,
    /// `lower` or `higher`.
    #[schema(example = "lower")]
    pub better: &'static str,
}

/// An experiment: means over its cycles, with 95 % confidence intervals that are null below two cycles. For a sweep
/// with repeats, a point of the sweep: means over its repeats, with the id and labels of the first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParetoPoint {
    pub id: ExperimentId,
    /// The experiment's name.
    pub config_name: String,
    /// The experiment's labels.
    pub labels: BTreeMap<String, String>,
    /// Power limit in watts that was in force on all its GPUs; null if it has no GPU, the limits differ, or they are
    /// unknown.
    pub power_limit_w: Option<f64>,
    /// Number of cycles, or of repeats of a sweep's point.
    pub n: u32,
    /// Mean in the unit of `x`.
    pub x: f64,
    /// Lower end of the confidence interval of `x`.
    pub x_ci_low: Option<f64>,
    /// Upper end of the confidence interval of `x`.
    pub x_ci_high: Option<f64>,
    /// Mean in the unit of `y`.
    pub y: f64,
    /// Lower end of the confidence interval of `y`.
    pub y_ci_low: Option<f64>,
    /// Upper end of the confidence interval of `y`.
    pub y_ci_high: Option<f64>,
    /// True if no other point is as good in both metrics and better in one.
    pub on_front: bool,
    /// True if the point lies behind the front but its confidence intervals reach the front.
    pub reaches_front: bool,
}

/// An experiment that has no point.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeftOut {
    pub id: ExperimentId,
    /// The reason.
    #[schema(example = "joules_per_output_token is null")]
    pub reason: String,
}

/// Find the Pareto front of experiments
///
/// Returns the completed experiments with these labels, or the points of this sweep, and marks those that no other
/// beats in both metrics. A point behind the front is marked if its 95 % confidence intervals reach the front: it may
/// belong to the front.
#[utoipa::path(get, path = "/v1/pareto", tag = "experiments", operation_id = "getPareto",
    params(ParetoParameters),
    responses(
        (status = 200, description = "The points, with those on the front marked.", body = ParetoFront),
        (status = 400, description = "A parameter is missing or not valid, or more than 1,000 experiments carry the labels.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such sweep.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn pareto(
    AxumState(state): AxumState<AppState>,
    caller: Caller,
    RepeatableQuery(parameters): RepeatableQuery<ParetoParameters>,
) -> Result<Json<ParetoFront>, Problem> {
    let axes = (axis("x", parameters.x)?, axis("y", parameters.y)?);
    let sweep = parameters.sweep.as_deref().map(read_sweep).transpose()?;
    match (parameters.label.is_empty(), sweep) {
        (true, None) => {
            let detail = "is missing; accepted is name=value, a label of completed experiments, or `sweep` instead";
            return Err(Problem::invalid_parameter("label", detail));
        }
        (false, Some(_)) => {
            let detail = "is given together with label; accepted is one of them";
            return Err(Problem::invalid_parameter("sweep", detail));
        }
        _ => {}
    }
    let found = match sweep {
        Some(id) => {
            let record = state.resources.store.sweep(id).await?;
            let record = record.ok_or_else(|| Problem::no_sweep(id))?;
            of_sweep((&state, &caller), &record, &[axes]).await?
        }
        None => {
            let labels = parameters.label.iter().map(|label| read_label(label));
            let labels = labels.collect::<Result<_, _>>()?;
            let query = ListQuery { labels, ..completed() };
            read((&state, &caller), query, Reading::of(&[axes], None)).await?
        }
    };
    found.into_iter().next().map(Json).ok_or_else(Problem::internal)
}

/// Returns the Pareto front of a sweep's points for each pair of metrics.
///
/// # Errors
/// Returns a [`Problem`] if the database fails.
pub async fn of_sweep(
    asked_by: (&AppState, &Caller),
    sweep: &SweepRecord,
    axes: &[Axes],
) -> Result<Vec<ParetoFront>, Problem> {
    let query = ListQuery {
        sweep: Some(sweep.id),
        ..completed()
    };
    let reading = Reading::of_sweep(asked_by.0, sweep, axes).await?;
    read(asked_by, query, reading).await
}

/// Returns the query for completed experiments.
fn completed() -> ListQuery {
    ListQuery {
        state: Some(State::Completed),
        limit: PAGE_ROWS,
        ..ListQuery::default()
    }
}

/// The metrics of the two axes.
pub type Axes = (&'static Metric, &'static Metric);

/// Reads the metric of an axis.
fn axis(name: &str, value: Option<String>) -> Result<&'static Metric, Problem> {
    let refuse = |detail: String| Problem::invalid_parameter(name, detail);
    let value = value.ok_or_else(|| refuse("is missing; accepted is the name of a metric".to_owned()))?;
    let metric = metric_named(&value).map_err(refuse)?;
    if metric.better == Better::Neither {
        let detail = "names a metric for which neither lower nor higher is better; accepted is one with `better` lower or higher in GET /v1/metrics";
        return Err(refuse(detail.to_owned()));
    }
    Ok(metric)
}

/// The fields of a point that are not metrics.
#[derive(Clone)]
struct Shown {
    id: ExperimentId,
    config_name: String,
    labels: BTreeMap<String, String>,
    power_limit_w: Option<f64>,
}

impl Shown {
    fn of(record: &Record, report: Option<&Report>) -> Self {
        Self {
            id: record.id,
            config_name: record.spec.config_name.clone(),
            labels: record.spec.labels.clone(),
            power_limit_w: report.and_then(|report| report.power_limit_w),
        }
    }
}

/// The experiments read so far.
pub struct Reading {
    planes: Vec<Plane>,
    /// The point of each experiment, if repeats are combined.
    points: Option<Points>,
    /// Repeats of each point, in the order in which they are listed, the last first.
    of_points: BTreeMap<u32, Vec<(Shown, MeasuredResult)>>,
}

/// The candidates for one pair of metrics, and the experiments that lack one.
struct Plane {
    axes: Axes,
    shown: Vec<Shown>,
    candidates: Vec<ParetoCandidate>,
    left_out: Vec<LeftOut>,
}

/// The point of a sweep that each experiment repeats; the first one if there are several.
type Points = HashMap<ExperimentId, u32>;

/// Reads the point of each experiment of a sweep.
async fn points_of(state: &AppState, sweep: ExperimentId) -> Result<Points, Problem> {
    let mut points = Points::new();
    for run in state.resources.store.sweep_runs(sweep).await? {
        points.entry(run.experiment).or_insert(run.placement.point);
    }
    Ok(points)
}

/// Reads the experiments and returns the front of each pair of metrics.
async fn read(
    (state, caller): (&AppState, &Caller),
    mut query: ListQuery,
    mut reading: Reading,
) -> Result<Vec<ParetoFront>, Problem> {
    let store = state.resources.store.on_behalf_of(&caller.held_as());
    loop {
        let page = store.unread_page(&query, PAGE_BYTES).await?;
        let (rows, caller) = (page.rows, caller.clone());
        // Parsing a page takes too long for a thread that serves other requests.
        let read = tokio::task::spawn_blocking(move || {
            for row in rows {
                reading.take(&row, &caller)?;
            }
            Ok::<_, StoreError>(reading)
        });
        reading = read.await.map_err(|_| Problem::internal())??;
        if reading.planes.iter().any(|plane| plane.len() > MAX_POINTS) {
            let detail = format!(
                "is a label of more than {MAX_POINTS} completed experiments; accepted are labels that at most {MAX_POINTS} have together"
            );
            return Err(Problem::invalid_parameter("label", detail));
        }
        let Some(next) = page.next else {
            return Ok(reading.answers());
        };
        query.after = Some(next);
    }
}

impl Reading {
    /// Returns an empty reading of a sweep's completed experiments.
    ///
    /// # Errors
    /// Returns a [`Problem`] if the database fails.
    pub async fn of_sweep(state: &AppState, sweep: &SweepRecord, axes: &[Axes]) -> Result<Self, Problem> {
        let points = match sweep.request.repeats {
            0 | 1 => None,
            _ => Some(points_of(state, sweep.id).await?),
        };
        Ok(Self::of(axes, points))
    }

    fn of(axes: &[Axes], points: Option<Points>) -> Self {
        let plane = |axes: &Axes| Plane {
            axes: *axes,
            shown: Vec::new(),
            candidates: Vec::new(),
            left_out: Vec::new(),
        };
        Self {
            planes: axes.iter().map(plane).collect(),
            points,
            of_points: BTreeMap::new(),
        }
    }

    /// Adds an experiment.
    fn take(&mut self, row: &UnreadRow, caller: &Caller) -> Result<(), StoreError> {
        let (record, report) = row.read()?;
        self.add(record, report, caller);
        Ok(())
    }

    /// Adds an experiment with its result. They are added in the order in which they are listed, the last first.
    pub fn add(&mut self, record: Record, report: Option<Report>, caller: &Caller) {
        let shown = Shown::of(&record, report.as_ref());
        let point = self.points.as_ref().map(|points| points.get(&record.id).copied());
        let result = report.map(|report| measured(record, report, caller));
        match (point, result) {
            (None, result) => {
                for plane in &mut self.planes {
                    let candidate = match &result {
                        Some(result) => ParetoCandidate::new(result, plane.axes),
                        None => Err("it has no results".to_owned()),
                    };
                    plane.add(shown.clone(), candidate);
                }
            }
            (Some(Some(point)), Some(result)) => self.of_points.entry(point).or_default().push((shown, result)),
            (Some(_), _) => {}
        }
    }

    /// Combines the repeats of each point of a sweep, and returns the fronts.
    pub fn answers(mut self) -> Vec<ParetoFront> {
        for (_, mut repeats) in std::mem::take(&mut self.of_points) {
            repeats.reverse();
            let (shown, results): (Vec<_>, Vec<_>) = repeats.into_iter().unzip();
            let Some(shown) = shown.into_iter().next() else {
                continue;
            };
            for plane in &mut self.planes {
                let candidate = ParetoCandidate::of_repeats(&results, plane.axes);
                plane.add(shown.clone(), candidate);
            }
        }
        self.planes.into_iter().map(Plane::answer).collect()
    }
}

impl Plane {
    fn len(&self) -> usize {
        self.candidates.len() + self.left_out.len()
    }

    fn add(&mut self, shown: Shown, candidate: Result<ParetoCandidate, String>) {
        match candidate {
            Ok(candidate) => {
                self.candidates.push(candidate);
                self.shown.push(shown);
            }
            Err(reason) => self.left_out.push(LeftOut { id: shown.id, reason }),
        }
    }

    /// Returns the front.
    fn answer(self) -> ParetoFront {
        let axes = self.axes;
        let (places, notes) = standings(&self.candidates, axes);
        let mut points: Vec<_> = places
            .into_iter()
            .zip(self.shown)
            .map(|(point, shown)| ParetoPoint {
                id: shown.id,
                config_name: shown.config_name,
                labels: shown.labels,
                power_limit_w: shown.power_limit_w,
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
