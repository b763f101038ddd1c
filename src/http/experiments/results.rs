//! `GET /v1/experiments/{id}/results`.

use axum::{extract::State as AxumState, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::finished_tag;
use super::view::{shown, shown_dropped, shown_failure, shown_report};
use super::wait::{ReadParameters, wait};
use crate::http::access::Caller;
use crate::http::conditional::{Condition, answer, not_modified};
use crate::http::extract::IdPath;
use crate::http::repeatable_query::RepeatableQuery;
use crate::http::{concurrency_limit::Slot, problem::Problem, state::AppState};
use joulemark_analysis::complete_report;
use joulemark_experiment::report::Report;
use joulemark_experiment::{DroppedPrompts, ExperimentId, Spec, State};
use joulemark_store::Version;

/// Results of an experiment: the aggregate, efficiency, and what is needed to cite or repeat it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Results {
    pub id: ExperimentId,
    /// True if the experiment was cancelled; the figures then cover the finished cycles, which `cycles` lists.
    pub partial: bool,
    #[serde(flatten)]
    pub report: Report,
    /// The experiment as it was run, with defaults filled in.
    pub experiment: Spec,
    /// Number of prompts that `experiment.prompts` or `experiment.prompt_lines` omits because the caller may not read
    /// them; null if none is omitted.
    pub prompts_withheld: Option<u32>,
    /// Description of `experiment.prompts` if this server has deleted them (prompt_retention_days); null otherwise.
    pub prompts_dropped: Option<DroppedPrompts>,
}

/// Read a completed experiment's results
///
/// For a cancelled experiment the figures cover the cycles that were finished, marked `partial`.
///
/// With `wait` the answer comes when the experiment is finished or the time is up. Results never change, except for the
/// labels of their experiment and for deleted prompts: with `If-None-Match` they are read only once.
#[utoipa::path(get, path = "/v1/experiments/{id}/results", tag = "experiments", operation_id = "getResults",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id"), ReadParameters,
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of an answer that the client has.")),
    responses(
        (status = 200, description = "Aggregate, efficiency and checks; with `fields`, only those fields.", body = Results,
            headers(("ETag" = String, description = "The entity tag, which is strong."))),
        (status = 304, description = "The results still have the tag in `If-None-Match`."),
        (status = 400, description = "The id is not a UUID, or a parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has no results; `state` is its present state.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or too many requests wait.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn results(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    RepeatableQuery(parameters): RepeatableQuery<ReadParameters>,
    slot: Slot,
    caller: Caller,
    condition: Condition,
) -> Result<Response, Problem> {
    let fields = parameters.fields("Results")?;
    let tag_of = |version: &Version| finished_tag(id, version, &caller, &["results", &format!("{fields:?}")]);
    // A client that has the answer causes no read of the report, nor of megabytes of prompts.
    if let Some(version) = state.resources.store.version(id).await?
        && matches!(version.state, State::Completed | State::Cancelled)
        && condition.is_met_by(&tag_of(&version))
    {
        return Ok(not_modified(&tag_of(&version)));
    }
    let record = wait(&state, id, &parameters, (&caller, &slot)).await?;
    let Some(mut report) = state.resources.store.report(id).await? else {
        return Err(Problem::not_completed(record.state, shown_failure(&record, &caller)));
    };
    complete_report(&mut report);
    let tag = tag_of(&Version::from(&record));
    let report = shown_report(report, &record, &caller);
    let prompts_dropped = shown_dropped(&record, &caller);
    let (experiment, prompts_withheld) = shown(record.spec, record.submitter.as_deref(), &caller);
    let results = Results {
        id,
        partial: record.state == State::Cancelled,
        report,
        experiment,
        prompts_withheld,
        prompts_dropped,
    };
    answer(&tag, &condition, || fields.json(&results))
}
