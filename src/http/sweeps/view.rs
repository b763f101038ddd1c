//! Sweeps as the API shows them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::curve::SweepCurve;
use super::warnings::SweepWarning;
use crate::http::state::AppState;
use joulemark_experiment::sweep::{FigureOverRepeats, Goal, SearchAnswer, SearchState, SweepMode, SweepOrder};
use joulemark_experiment::{ExperimentId, State};
use joulemark_store::{SweepRecord, SweepRun};

/// State of a sweep.
///
/// - `running`: some of its experiments are queued or running, or its search continues
/// - `finished`: all of its experiments have ended
/// - `cancelled`: it was cancelled, and none of its experiments is queued or running
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SweepState {
    Running,
    Finished,
    Cancelled,
}

/// Numbers of a sweep's experiments by state. An experiment that points share counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct SweepProgress {
    /// Experiments that were created so far; a search creates more as it continues.
    pub experiments: u64,
    /// Experiments that are queued.
    pub queued: u64,
    /// Experiments that have started and not finished.
    pub running: u64,
    /// Experiments with results.
    pub completed: u64,
    /// Experiments that failed.
    pub failed: u64,
    /// Experiments that were cancelled.
    pub cancelled: u64,
}

/// Basis of an estimate: finished runs of this sweep (`finished_runs`), or past runs of the model (`past_runs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EtaMethod {
    FinishedRuns,
    PastRuns,
}

/// An estimate of the remaining time, as if its experiments ran one after the other and nothing else ran. Experiments
/// that a search may still create are not included.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SweepEta {
    /// Seconds from now; null without an estimate.
    pub left_sec: Option<f64>,
    /// Basis of the estimate; null without one, and if nothing is left to run.
    pub method: Option<EtaMethod>,
    /// Reason why there is no estimate; null if there is one.
    pub reason: Option<String>,
}

/// A point as a row: the values of its axes, and metrics over its repeats.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SweepRow {
    /// The point's number, from 0.
    pub point: u32,
    /// Value of each axis.
    pub values: Map<String, Value>,
    /// The experiments of its repeats, in order; equal points share them. Empty if a search did not try the point.
    pub experiments: Vec<ExperimentId>,
    /// Number of completed experiments.
    pub completed: u32,
    /// Each metric over the completed repeats.
    pub metrics: BTreeMap<String, SweepFigure>,
}

/// A metric of a point, over its completed repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct SweepFigure {
    /// Number of completed repeats with a known value.
    pub n: u32,
    /// Mean over the repeats, in the metric's unit; null if no value is known.
    pub mean: Option<f64>,
    /// Lower end of the mean's 95 % confidence interval over repeats; null below two repeats.
    pub ci_low: Option<f64>,
    /// Upper end of the confidence interval.
    pub ci_high: Option<f64>,
}

impl From<FigureOverRepeats> for SweepFigure {
    fn from(figure: FigureOverRepeats) -> Self {
        Self {
            n: figure.n,
            mean: Some(figure.mean),
            ci_low: figure.ci_low,
            ci_high: figure.ci_high,
        }
    }
}

/// A sweep in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct SweepSummary {
    pub id: ExperimentId,
    pub state: SweepState,
    /// Time of acceptance, RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: jiff::Timestamp,
    /// Time of cancellation; null if it was not cancelled.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub cancelled_at: Option<jiff::Timestamp>,
    /// Authenticated user who submitted it; null on a server without authentication.
    pub submitter: Option<String>,
    /// The varied fields with their values. For prompts only their number is shown; the experiments contain them.
    #[schema(value_type = std::collections::BTreeMap<String, Vec<Value>>)]
    pub axes: Map<String, Value>,
    pub mode: SweepMode,
    pub order: SweepOrder,
    /// Number of runs of each point.
    pub repeats: u32,
    /// Seed of the order `random`.
    pub seed: u64,
    /// The goal of the search; null if all points are run.
    pub goal: Option<Goal>,
    /// Number of points that the axes make.
    pub points: u32,
    pub progress: SweepProgress,
}

/// A sweep with its table.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sweep {
    #[serde(flatten)]
    pub summary: SweepSummary,
    /// X-Request-Id of the submission, as in the server's log.
    pub request_id: Option<String>,
    pub eta: SweepEta,
    /// The table, with one row per point.
    pub table: Vec<SweepRow>,
    /// The table's metrics as functions of the axis; null unless there is exactly one axis, whose values are numbers.
    pub curve: Option<SweepCurve>,
    /// Warnings of the completed experiments' results, one entry for each code, those of most experiments first;
    /// without `metric_unknown`. Null in the answers to a submission and a cancellation, which read no results.
    pub warnings: Option<Vec<SweepWarning>>,
    /// The search for the goal, with everything that it tried; null without a goal.
    pub search: Option<SearchAnswer>,
}

impl SweepProgress {
    fn add(&mut self, state: State, count: u64) {
        self.experiments += count;
        match state {
            State::Queued => self.queued += count,
            State::Completed => self.completed += count,
            State::Failed => self.failed += count,
            State::Cancelled => self.cancelled += count,
            _ => self.running += count,
        }
    }

    /// Returns the progress from the numbers of experiments by state.
    pub fn of_counts(counts: &BTreeMap<State, u64>) -> Self {
        let mut progress = Self::default();
        counts.iter().for_each(|(state, count)| progress.add(*state, *count));
        progress
    }

    /// Returns the progress from the runs; an experiment of several points counts once.
    fn of_runs(runs: &[SweepRun]) -> Self {
        let once: BTreeMap<ExperimentId, State> = runs.iter().map(|run| (run.experiment, run.state)).collect();
        let mut progress = Self::default();
        once.into_values().for_each(|state| progress.add(state, 1));
        progress
    }
}

impl SweepSummary {
    pub fn new(record: SweepRecord, progress: SweepProgress) -> Self {
        let is_searching = record
            .search
            .is_some_and(|search| search.state == SearchState::Searching);
        let state = match (progress.queued + progress.running, record.cancelled_at) {
            (0, Some(_)) => SweepState::Cancelled,
            (0, None) if !is_searching => SweepState::Finished,
            _ => SweepState::Running,
        };
        Self {
            id: record.id,
            state,
            created_at: record.created_at,
            cancelled_at: record.cancelled_at,
            submitter: record.submitter,
            points: record.request.point_count() as u32,
            axes: record.request.axes,
            mode: record.request.mode,
            order: record.request.order,
            repeats: record.request.repeats,
            seed: record.request.seed,
            goal: record.request.goal,
            progress,
        }
    }
}

impl Sweep {
    /// Returns a sweep, with a table that has no metrics yet.
    pub async fn new(state: &AppState, record: SweepRecord, runs: Vec<SweepRun>) -> Self {
        let progress = SweepProgress::of_runs(&runs);
        Self {
            eta: eta(state, &progress, &runs).await,
            table: rows(&record, &runs),
            curve: None,
            warnings: None,
            search: record.search.clone(),
            request_id: record.request_id.clone(),
            summary: SweepSummary::new(record, progress),
        }
    }
}

/// Returns the table without metrics.
fn rows(record: &SweepRecord, runs: &[SweepRun]) -> Vec<SweepRow> {
    let row = |point: joulemark_experiment::sweep::Point| {
        let own = runs.iter().filter(|run| run.placement.point == point.index);
        SweepRow {
            point: point.index,
            values: point.values,
            completed: own.clone().filter(|run| run.state == State::Completed).count() as u32,
            experiments: own.map(|run| run.experiment).collect(),
            metrics: BTreeMap::new(),
        }
    };
    record.request.points().into_iter().map(row).collect()
}

/// Estimates the remaining time.
async fn eta(state: &AppState, progress: &SweepProgress, runs: &[SweepRun]) -> SweepEta {
    let left = progress.queued + progress.running;
    let took: Vec<f64> = runs
        .iter()
        .filter(|run| run.state == State::Completed)
        .filter_map(|run| run.took_sec)
        .collect();
    if left == 0 || !took.is_empty() {
        let each = took.iter().sum::<f64>() / took.len().max(1) as f64;
        return SweepEta {
            left_sec: Some(if left == 0 { 0.0 } else { each * left as f64 }),
            method: (left > 0).then_some(EtaMethod::FinishedRuns),
            reason: None,
        };
    }
    let next = runs.iter().find(|run| !run.state.is_finished());
    let record = match next {
        Some(run) => state.resources.store.get(run.experiment).await.ok().flatten(),
        None => None,
    };
    let estimate = match record {
        Some(record) => {
            state
                .scheduler
                .duration_estimate(record.id, record.state, &record.spec)
                .await
        }
        None => None,
    };
    let each = estimate.as_ref().and_then(|estimate| estimate.duration_sec);
    SweepEta {
        left_sec: each.map(|each| each * left as f64),
        method: each.map(|_| EtaMethod::PastRuns),
        reason: match each {
            Some(_) => None,
            None => Some(
                estimate
                    .and_then(|estimate| estimate.reason)
                    .unwrap_or_else(|| "none of its runs has completed yet".to_owned()),
            ),
        },
    }
}
