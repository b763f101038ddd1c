//! Admission of the experiments of a sweep.

use std::collections::HashMap;

use axum::http::StatusCode;
use sha2::{Digest as _, Sha256};

use crate::compared::metric_named;
use crate::http::access::{Caller, Origin};
use crate::http::caller_limits::refuse_priority;
use crate::http::experiments::callback;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_analysis::search::begin;
use joulemark_experiment::sweep::{Point, SWEEP_LABEL, SWEEP_POINT_LABEL, SweepRequest};
use joulemark_experiment::{Arrival, ExperimentId, FieldProblem, MAX_LABELS, MAX_PROBLEMS, Spec, Warning, parse};
use joulemark_store::{NewExperiment, NewSweep, SweepPlan};

/// The identity and the sender of a submitted sweep.
pub struct Submission<'a> {
    pub id: ExperimentId,
    pub caller: &'a Caller,
    pub origin: &'a Origin,
    pub arrival: Arrival,
}

/// An experiment that was admitted.
struct Admitted {
    spec: Spec,
    warnings: Vec<Warning>,
    callback_url: Option<String>,
}

/// Admits the experiment of every point as if it were submitted alone, and returns the sweep to be queued.
///
/// # Errors
/// Returns a [`Problem`] or field problems that name each point which is not valid, at its axis. Then no experiment is
/// accepted.
pub async fn sweep_of(
    state: &AppState,
    request: SweepRequest,
    of: &Submission<'_>,
) -> Result<Result<NewSweep, Vec<FieldProblem>>, Problem> {
    let mut problems = unknown_metrics(&request);
    // Equal specs once, and for each point the index of its spec: points that are equal with defaults filled in share
    // their experiments.
    let (mut kinds, mut kind_of_point, mut known) = (Vec::new(), Vec::new(), HashMap::new());
    for point in request.points() {
        if problems.len() >= MAX_PROBLEMS {
            break;
        }
        match admit(state, &request, &point, of).await? {
            Ok(admitted) => {
                let next = kinds.len();
                let kind = *known.entry(digest(&admitted)?).or_insert(next);
                if kind == next {
                    kinds.push((point.index, admitted));
                }
                kind_of_point.push(kind);
            }
            Err(found) => problems.extend(found.into_iter().map(|problem| request.problem_of(&point, problem))),
        }
    }
    if !problems.is_empty() {
        let mut once: Vec<FieldProblem> = Vec::new();
        for problem in problems {
            if !once.contains(&problem) {
                once.push(problem);
            }
        }
        once.truncate(MAX_PROBLEMS);
        return Ok(Err(once));
    }
    for (first_point, admitted) in &mut kinds {
        let labels = [
            (SWEEP_LABEL, of.id.to_string()),
            (SWEEP_POINT_LABEL, first_point.to_string()),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value));
        admitted.spec.labels.extend(labels);
    }
    queued(state, request, of, &kinds, &kind_of_point).map(Ok)
}

/// Creates the experiments of all points. With a goal it creates those that the search tries first, and plans for the
/// others.
fn queued(
    state: &AppState,
    request: SweepRequest,
    of: &Submission<'_>,
    kinds: &[(u32, Admitted)],
    kind_of_point: &[usize],
) -> Result<NewSweep, Problem> {
    let search = begin(&request);
    let is_first = |point: u32| search.as_ref().is_none_or(|search| search.pending.contains(&point));
    let mut new = NewSweep {
        id: of.id,
        created_at: of.id.created_at(),
        experiments: Vec::new(),
        runs: Vec::new(),
        plans: Vec::new(),
        search: None,
        request,
    };
    let mut made: HashMap<(usize, u32), usize> = HashMap::new();
    for placement in new.request.placements().into_iter().filter(|run| is_first(run.point)) {
        let kind = kind_of_point[placement.point as usize];
        let place = match made.get(&(kind, placement.repeat)) {
            Some(place) => *place,
            None => {
                new.experiments.push(experiment(state, &kinds[kind].1, of)?);
                made.insert((kind, placement.repeat), new.experiments.len() - 1);
                new.experiments.len() - 1
            }
        };
        new.runs.push((placement, place));
    }
    for (point, kind) in (0..).zip(kind_of_point).filter(|(point, _)| !is_first(*point)) {
        let admitted = &kinds[*kind].1;
        new.plans.push(SweepPlan {
            point,
            spec: admitted.spec.clone(),
            warnings: admitted.warnings.clone(),
        });
    }
    new.search = search;
    Ok(new)
}

/// Creates an experiment of the sweep.
fn experiment(state: &AppState, admitted: &Admitted, of: &Submission<'_>) -> Result<NewExperiment, Problem> {
    let id = ExperimentId::generate();
    Ok(NewExperiment {
        id,
        spec: admitted.spec.clone(),
        warnings: admitted.warnings.clone(),
        created_at: id.created_at(),
        submitted_by: of.caller.actor(),
        callback: callback::checked(state, admitted.callback_url.clone(), of.origin)?,
        arrival: of.arrival.clone(),
    })
}

/// Admits the experiment of a point.
async fn admit(
    state: &AppState,
    sweep: &SweepRequest,
    point: &Point,
    of: &Submission<'_>,
) -> Result<Result<Admitted, Vec<FieldProblem>>, Problem> {
    // The problem already points to the axis.
    let document = match sweep.document(point) {
        Ok(document) => document,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    let mut request = match parse(&document) {
        Ok(request) => request,
        Err(problems) => return Ok(Err(problems)),
    };
    if let Err(problem) = refuse_priority(state, of.caller, request.priority) {
        return Err(state.metrics.refused(problem));
    }
    let labels = request.labels.iter().flatten();
    let taken = labels
        .clone()
        .find(|(name, _)| [SWEEP_LABEL, SWEEP_POINT_LABEL].contains(&name.as_str()));
    if let Some((name, _)) = taken {
        let detail = "is a label that the sweep sets itself; accepted are others";
        return Ok(Err(vec![FieldProblem::new(format!("/labels/{name}"), detail)]));
    }
    if labels.count() + 2 > MAX_LABELS {
        let detail = format!(
            "leaves no room for the two labels of the sweep; accepted are at most {} labels",
            MAX_LABELS - 2
        );
        return Ok(Err(vec![FieldProblem::new("/labels", detail)]));
    }
    let callback_url = request.callback_url.take();
    if let Err(problem) = callback::checked(state, callback_url.clone(), of.origin) {
        return match problem.status == StatusCode::UNPROCESSABLE_ENTITY.as_u16() {
            true => Ok(Err(problem.errors)),
            false => Err(problem),
        };
    }
    // Device time counts for the authenticated user, if there is one.
    request.user = of.caller.actor().name.or(request.user);
    Ok(state.scheduler.admit(request).await.map(|(spec, warnings)| Admitted {
        spec,
        warnings,
        callback_url,
    }))
}

/// Returns a digest of everything that distinguishes two experiments.
fn digest(admitted: &Admitted) -> Result<[u8; 32], Problem> {
    let text = serde_json::to_vec(&(&admitted.spec, &admitted.callback_url)).map_err(|_| Problem::internal())?;
    Ok(Sha256::digest(text).into())
}

/// Returns a problem for each unknown metric in the goal.
fn unknown_metrics(request: &SweepRequest) -> Vec<FieldProblem> {
    let metrics = request.goal.iter().flat_map(|goal| goal.metrics());
    let unknown = metrics.filter_map(|(pointer, name)| {
        let detail = metric_named(name).err()?;
        Some(FieldProblem::new(pointer, detail))
    });
    unknown.collect()
}
