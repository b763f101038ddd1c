//! `GET /v1/experiments/{id}`.

use axum::{extract::State as AxumState, response::Response};
use serde_json::json;

use super::finished_tag;
use super::outlook::Outlook;
use super::view::Experiment;
use super::wait::{ReadParameters, wait};
use crate::http::access::Caller;
use crate::http::conditional::{Condition, EntityTag, Strength, answer};
use crate::http::extract::IdPath;
use crate::http::repeatable_query::RepeatableQuery;
use crate::http::{concurrency_limit::Slot, problem::Problem, state::AppState};
use joulemark_store::Version;

/// Show an experiment
///
/// With `wait` the answer comes when the experiment is finished or the time is up. With `If-None-Match` polling is
/// cheap: once finished, only its labels and its callback change.
#[utoipa::path(get, path = "/v1/experiments/{id}", tag = "experiments", operation_id = "getExperiment",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id"), ReadParameters,
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of an answer that the client has.")),
    responses(
        (status = 200, description = "The experiment and its progress; with `fields`, only those fields.", body = Experiment,
            headers(("ETag" = String, description = "The entity tag; strong once the experiment is finished."))),
        (status = 304, description = "The experiment still has the tag in `If-None-Match`."),
        (status = 400, description = "The id is not a UUID, or a parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or too many requests wait.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn show(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    RepeatableQuery(parameters): RepeatableQuery<ReadParameters>,
    slot: Slot,
    caller: Caller,
    condition: Condition,
) -> Result<Response, Problem> {
    let fields = parameters.fields("Experiment")?;
    let record = wait(&state, id, &parameters, (&caller, &slot)).await?;
    let callback = super::callback_of(&state, &record, &caller).await?;
    let version = Version::from(&record);
    let outlook = Outlook::of(&state, (id, record.state), &record.spec).await;
    let shown = Experiment::new(record, state.scheduler.progress(id), &caller);
    let shown = outlook.beside(Experiment { callback, ..shown });
    // The callback is delivered after the end, so it is part of the tag.
    let wanted = format!("{fields:?} {}", json!(shown.callback));
    let tag = if version.state.is_finished() {
        finished_tag(id, &version, &caller, &["show", &wanted])
    } else {
        let now = json!([
            id,
            version.attempt,
            version.updated_at,
            shown.progress,
            shown.waiting_for,
            shown.queue_position,
            shown.queue_wait,
            shown.duration_estimate,
        ]);
        let withheld = format!("{:?}", shown.prompts_withheld);
        EntityTag::new(Strength::Weak, &["show", &now.to_string(), &withheld, &wanted])
    };
    answer(&tag, &condition, || fields.json(&shown))
}
