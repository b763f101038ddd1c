use std::collections::HashSet;

use axum::{Json, extract::State as AxumState};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::view::Experiment;
use crate::experiment::{ExperimentId, State};
use crate::http::{access::Caller, extract::StrictQuery, problem::Problem, state::AppState};
use crate::store::ListQuery;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 500;
/// Of the documents on a page: 500 experiments with prompts of their own could come to gigabytes.
const MOST_BYTES: usize = 8 << 20;

/// Together they narrow the list; `label` may be repeated, and all must hold.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "for the description; `read` takes them one by one, since a label may be repeated"
)]
pub struct ListParameters {
    /// Experiments on a page, 1 to 500; default 50. A page of more than 8 MiB ends earlier.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only experiments in this state.
    state: Option<State>,
    /// Only experiments with this `model_name`.
    model: Option<String>,
    /// Only experiments of this user.
    user: Option<String>,
    /// Only experiments that carry this label, as `name=value`.
    #[param(example = "team=nlp")]
    label: Option<String>,
    /// Only experiments accepted at this time (RFC 3339) or later.
    #[param(value_type = Option<String>, format = "date-time")]
    created_after: Option<Timestamp>,
    /// Only experiments accepted before this time (RFC 3339).
    #[param(value_type = Option<String>, format = "date-time")]
    created_before: Option<Timestamp>,
}

/// A page of experiments, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExperimentPage {
    pub items: Vec<Experiment>,
    /// What to pass as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// List experiments, newest first
#[utoipa::path(get, path = "/v1/experiments", tag = "experiments", operation_id = "listExperiments",
    params(ListParameters),
    responses(
        (status = 200, description = "A page of experiments.", body = ExperimentPage),
        (status = 400, description = "A parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn list(
    AxumState(state): AxumState<AppState>,
    caller: Caller,
    StrictQuery(parameters): StrictQuery<Vec<(String, String)>>,
) -> Result<Json<ExperimentPage>, Problem> {
    let query = read(parameters)?;
    let listed = state.store.list(&query, MOST_BYTES).await?;
    let last = listed.records.last().filter(|_| listed.more);
    let next_cursor = last.map(|record| record.id.to_string());
    let items = listed.records.into_iter().map(|record| {
        let progress = state.scheduler.progress(record.id);
        Experiment::new(record, progress, &caller)
    });
    Ok(Json(ExperimentPage {
        items: items.collect(),
        next_cursor,
    }))
}

fn read(parameters: Vec<(String, String)>) -> Result<ListQuery, Problem> {
    let mut query = ListQuery {
        limit: DEFAULT_LIMIT,
        ..ListQuery::default()
    };
    let mut seen = HashSet::new();
    for (name, value) in parameters {
        let refuse = |accepted: &str| Problem::invalid_parameter(&name, format!("is {value:?}; accepted {accepted}"));
        if name != "label" && !seen.insert(name.clone()) {
            return Err(Problem::invalid_parameter(&name, "is there twice; accepted is one"));
        }
        match name.as_str() {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                query.limit = limit.ok_or_else(|| refuse(&format!("are 1 to {MAX_LIMIT}")))?;
            }
            "cursor" => {
                let cursor = value.parse().map_err(|_| refuse("is a page's next_cursor"))?;
                query.before = query.before.into_iter().chain([cursor]).min();
            }
            "state" => {
                let states = State::ALL.map(State::as_str).join(", ");
                query.state = Some(value.parse().map_err(|_| refuse(&format!("are {states}")))?);
            }
            "model" => query.model_name = Some(value),
            "user" => query.user_name = Some(value),
            "label" => {
                let pair = value.split_once('=').filter(|(label, _)| !label.is_empty());
                let (label, value) = pair.ok_or_else(|| refuse("is name=value"))?;
                query.labels.push((label.to_owned(), value.to_owned()));
            }
            "created_after" => query.from = Some(first_at(&value).ok_or_else(|| refuse(A_TIME))?),
            "created_before" => {
                let time = first_at(&value).ok_or_else(|| refuse(A_TIME))?;
                query.before = query.before.into_iter().chain([time]).min();
            }
            _ => {
                let accepted =
                    "is unknown; accepted are limit, cursor, state, model, user, label, created_after, created_before";
                return Err(Problem::invalid_parameter(&name, accepted));
            }
        }
    }
    Ok(query)
}

const A_TIME: &str = "is a time as RFC 3339 writes it, such as 2026-01-31T12:00:00Z, a + in it written %2B";

/// An id says when it was made, so that a range of times is a range of ids.
fn first_at(text: &str) -> Option<ExperimentId> {
    text.parse().ok().map(ExperimentId::first_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<ListQuery, Problem> {
        read(
            pairs
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    #[test]
    fn labels_add_up_and_a_value_may_hold_an_equals_sign() {
        let query = read_pairs(&[("label", "team=a"), ("label", "run=x=1"), ("model", "m")]).unwrap();
        let labels = [("team", "a"), ("run", "x=1")].map(|(label, value)| (label.to_owned(), value.to_owned()));
        assert_eq!(query.labels, labels);
        assert_eq!((query.model_name.as_deref(), query.limit), (Some("m"), DEFAULT_LIMIT));
    }

    #[test]
    fn the_earlier_of_cursor_and_time_holds_in_either_order() {
        let (cursor, time) = (ExperimentId::generate().to_string(), "2020-01-01T00:00:00Z");
        let one = read_pairs(&[("cursor", &cursor), ("created_before", time)]).unwrap();
        let other = read_pairs(&[("created_before", time), ("cursor", &cursor)]).unwrap();
        assert_eq!(one, other);
        assert!(one.before.is_some_and(|before| before.to_string() < cursor));
    }

    #[test]
    fn each_bad_parameter_is_named_with_what_is_accepted() {
        for (name, value, accepted) in [
            ("limit", "0", "1 to 500"),
            ("limit", "many", "1 to 500"),
            ("cursor", "x", "next_cursor"),
            ("state", "asleep", "queued, starting"),
            ("label", "team", "name=value"),
            ("label", "=a", "name=value"),
            ("created_after", "yesterday", "RFC 3339"),
            ("created_before", "2026-01-31", "RFC 3339"),
            ("page", "2", "created_before"),
        ] {
            let problem = read_pairs(&[(name, value)]).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (400, name));
            assert!(problem.detail.contains(accepted), "{}", problem.detail);
        }
        let twice = read_pairs(&[("state", "queued"), ("state", "failed")]).unwrap_err();
        assert!(twice.detail.contains("twice"), "{}", twice.detail);
    }
}
