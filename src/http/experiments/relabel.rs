//! `PATCH /v1/experiments/{id}/labels`.

use axum::{Json, extract::State as AxumState, http::HeaderMap};

use super::view::Experiment;
use crate::http::body::{self, WholeBody};
use crate::http::{access::Caller, extract::IdPath, problem::Problem, repeatable_query::NoQuery, state::AppState};
use joulemark_experiment::access::{Action, AuditEntry};
use joulemark_experiment::{FieldProblem, LabelChanges, MAX_LABELS};
use joulemark_measurement::clock;
use joulemark_store::Relabelled;

/// Change an experiment's labels
///
/// Works in any state, also after the end: lists, exports, results and filters of events use the present labels. A text
/// sets a label, null removes it, and labels that are not named stay. Submitters may change their own experiments,
/// admins all.
#[utoipa::path(patch, path = "/v1/experiments/{id}/labels", tag = "experiments", operation_id = "changeLabels",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id")),
    request_body(content = LabelChanges, content_type = "application/json",
        description = "The labels to change. `application/merge-patch+json` is read in the same way."),
    responses(
        (status = 200, description = "The experiment with its new labels.", body = Experiment),
        (status = 400, description = "The id is not a UUID, or the body cannot be read.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A label is not valid, or there would be too many.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn relabel(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    _: NoQuery,
    caller: Caller,
    headers: HeaderMap,
    WholeBody(bytes): WholeBody,
) -> Result<Json<Experiment>, Problem> {
    let document = body::read_merge_patch(&headers, &bytes)?;
    let changes = LabelChanges::read(&document).map_err(Problem::invalid_labels)?;
    let store = &state.resources.store;
    let Some(version) = store.version(id).await? else {
        return Err(Problem::no_experiment(id));
    };
    if !caller.may_change(version.submitter.as_deref()) {
        return Err(Problem::not_yours());
    }
    let entry = AuditEntry::new(Action::Relabel, id, &caller.actor(), clock::wall_now());
    match store.relabel(id, &changes, &entry).await? {
        Relabelled::Done => {
            let record = super::find(store, id).await?;
            let callback = super::callback_of(&state, &record, &caller).await?;
            let shown = Experiment::new(record, state.scheduler.progress(id), &caller);
            Ok(Json(Experiment { callback, ..shown }))
        }
        Relabelled::TooMany(count) => {
            let detail = format!("would have {count} labels; accepted are at most {MAX_LABELS}");
            Err(Problem::invalid_labels(vec![FieldProblem::new("", detail)]))
        }
        Relabelled::NotFound => Err(Problem::no_experiment(id)),
    }
}
