//! `GET /v1/experiments`.

use std::collections::HashMap;

use axum::{Json, extract::State as AxumState, response::IntoResponse as _, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::filter::{FilterParameters, Filtered};
use super::view::Experiment;
use crate::http::conditional::{Condition, EntityTag, Strength, answer};
use crate::http::fields::Fields;
use crate::http::page::{DEFAULT_LIMIT, read_cursor, read_limit};
use crate::http::repeatable_query::RepeatableQuery;
use crate::http::{access::Caller, problem::Problem, state::AppState};
use joulemark_experiment::{ExperimentId, State};
use joulemark_store::{Cursor, ListQuery, Record, Version};

/// Maximum size of the documents on a page: 500 experiments with their own prompts could take gigabytes.
const MAX_BYTES: usize = 8 << 20;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParameters {
    /// Maximum number of experiments on a page, 1 to 500; default 50. A page ends earlier at 8 MiB.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    /// The `next_cursor` of the previous page, which must have the same order.
    cursor: Option<String>,
    /// Only these fields of each item: up to 256 names, separated by commas, with dots for nested fields, as in
    /// `id,state,decoder.seed`.
    #[param(example = "id,state,model_name,decoder.seed", min_length = 1)]
    fields: Option<String>,
}

/// A page of experiments.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExperimentPage {
    /// The experiments of this page.
    pub items: Vec<Experiment>,
    /// Value of `cursor` for the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// List experiments
///
/// In pages, newest first unless `sort` says otherwise. Each experiment is on one page only, even if others are
/// submitted or finish in the meantime.
#[utoipa::path(get, path = "/v1/experiments", tag = "experiments", operation_id = "listExperiments",
    params(PageParameters, FilterParameters,
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of an answer that the client has.")),
    responses(
        (status = 200, description = "A page of experiments; with `fields`, only those fields of each.", body = ExperimentPage,
            headers(("ETag" = String, description = "The entity tag of the page."))),
        (status = 304, description = "The page still has the tag in `If-None-Match`."),
        (status = 400, description = "A parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn list(
    AxumState(state): AxumState<AppState>,
    caller: Caller,
    condition: Condition,
    RepeatableQuery(parameters): RepeatableQuery<Filtered<PageParameters>>,
) -> Result<Response, Problem> {
    let (query, fields) = read(parameters)?;
    let store = state.resources.store.on_behalf_of(&caller.held_as());
    let listed = store.list(&query, MAX_BYTES).await?;
    let last = listed.records.last().filter(|_| listed.more);
    let next_cursor = last.map(|record| Cursor::at(record, query.order).to_string());
    let positions = positions(&state, &listed.records).await;
    let mut versions = Vec::new();
    let items = listed.records.into_iter().map(|record| {
        let progress = state.scheduler.progress(record.id);
        let (id, version) = (record.id, Version::from(&record));
        let shown = Experiment::new(record, progress, &caller);
        let shown = Experiment {
            queue_position: positions.get(&id).copied().filter(|_| version.state == State::Queued),
            ..shown
        };
        versions.push(json!([
            id,
            version.attempt,
            version.updated_at,
            shown.progress,
            shown.queue_position,
            shown.prompts_withheld
        ]));
        shown
    });
    let items = items.collect::<Vec<_>>();
    let versions = json!([versions, next_cursor]).to_string();
    let tag = EntityTag::new(Strength::Weak, &["list", &versions, &format!("{fields:?}")]);
    let page = ExperimentPage { items, next_cursor };
    answer(&tag, &condition, || {
        if fields.are_all() {
            return Ok(Json(page).into_response());
        }
        let items = fields.select(&page.items)?;
        Ok(Json(json!({"items": items, "next_cursor": page.next_cursor})).into_response())
    })
}

/// Returns the queue positions of the queued experiments; empty without a query if none is queued.
async fn positions(state: &AppState, records: &[Record]) -> HashMap<ExperimentId, u64> {
    if records.iter().all(|record| record.state != State::Queued) {
        return HashMap::new();
    }
    let positions = state.scheduler.positions().await;
    let positions = positions.inspect_err(|error| tracing::warn!(%error, "the queue cannot be read"));
    positions.unwrap_or_default()
}

/// Returns the query for the store, and the fields to show.
///
/// # Errors
/// Returns a [`Problem`] that names a parameter which cannot be read.
pub fn read(Filtered { own, filter }: Filtered<PageParameters>) -> Result<(ListQuery, Fields), Problem> {
    let limit = own.limit.as_deref().map_or(Ok(DEFAULT_LIMIT), read_limit)?;
    let after = own.cursor.as_deref().map(read_cursor::<Cursor>).transpose()?;
    let fields = own.fields.as_deref().map(|fields| Fields::read(fields, "Experiment"));
    let fields = fields.transpose()?.unwrap_or_default();
    let query = filter.query()?;
    if after.is_some_and(|cursor| !cursor.is_of(query.order)) {
        let detail = "is of a list with another sort; accepted is the next_cursor of a page in the same order";
        return Err(Problem::invalid_parameter("cursor", detail));
    }
    Ok((ListQuery { limit, after, ..query }, fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::repeatable_query;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<(ListQuery, Fields), Problem> {
        let pairs = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        read(repeatable_query::read(pairs.collect())?)
    }

    #[test]
    fn a_cursor_is_valid_only_in_its_own_order() {
        let id = ExperimentId::generate().to_string();
        assert!(read_pairs(&[("cursor", &id)]).is_ok());
        assert!(read_pairs(&[("cursor", &id), ("sort", "created_at")]).is_ok());
        let by_finish = format!("1.{id}");
        assert!(read_pairs(&[("cursor", &by_finish), ("sort", "finished_at")]).is_ok());
        for pairs in [
            [("cursor", &id), ("sort", &"finished_at".to_owned())],
            [("cursor", &by_finish), ("state", &"queued".to_owned())],
        ] {
            let problem = read_pairs(&pairs.map(|(name, value)| (name, value.as_str()))).unwrap_err();
            assert!(problem.detail.contains("another sort"), "{}", problem.detail);
        }
    }

    #[test]
    fn each_bad_parameter_is_named_with_what_is_accepted() {
        for (name, value, accepted) in [
            ("limit", "0", "1 to 500"),
            ("cursor", "x", "next_cursor"),
            ("fields", "colour", "created_at"),
            ("state", "asleep", "queued, starting"),
            ("page", "2", "created_before"),
        ] {
            let problem = read_pairs(&[(name, value)]).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (400, name));
            assert!(problem.detail.contains(accepted), "{}", problem.detail);
        }
        let twice = read_pairs(&[("state", "queued"), ("state", "failed")]).unwrap_err();
        assert!(twice.detail.contains("twice"), "{}", twice.detail);
        assert!(read_pairs(&[("label", "a=b"), ("label", "c=d")]).is_ok());
    }
}
