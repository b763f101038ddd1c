//! `GET /v1/events`.

use axum::{extract::State as AxumState, http::HeaderMap, response::Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::access::Caller;
use super::experiments::filter::{read_label, read_state};
use super::follow::{EventFilter, Follower, Scope, last_event_id};
use super::{problem::Problem, repeatable_query::RepeatableQuery, state::AppState};
use joulemark_experiment::State;

/// Filters of the stream, which all apply. `state` and `label` may be repeated: any of the states, and all of the
/// labels.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct EventParameters {
    /// Only events of experiments that enter this state. May be repeated up to 16 times; any of the states matches.
    #[param(value_type = Option<Vec<State>>, style = Form, explode)]
    state: Vec<String>,
    /// Only experiments of this user.
    user: Option<String>,
    /// Only experiments with this label, as `name=value`. May be repeated up to 16 times; all of the labels must match.
    #[param(value_type = Option<Vec<String>>, style = Form, explode, example = json!(["team=nlp"]))]
    label: Vec<String>,
}

/// Follow all experiments
///
/// A stream of the events of all experiments, in the format of `followExperiment`. It does not end when an experiment
/// does. Without `Last-Event-ID` it begins with new events; with it, with the events after that one. A stream filtered
/// by user or label has no `progress` events.
#[utoipa::path(get, path = "/v1/events", tag = "experiments", operation_id = "followExperiments",
    params(EventParameters,
        ("Last-Event-ID" = Option<u64>, Header, description = "The id of the last event that the client has.")),
    responses(
        (status = 200, description = "The events.", content_type = "text/event-stream", body = String),
        (status = 400, description = "A parameter, or Last-Event-ID, is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or too many streams are open.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn events(
    AxumState(state): AxumState<AppState>,
    RepeatableQuery(parameters): RepeatableQuery<EventParameters>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let filter = parameters.filter()?;
    let after = last_event_id(&headers)?;
    let permit = state.streams.take(&caller)?;
    let listener = state.resources.feed.listen_to_all();
    let begins_at = listener.begins_at();
    let after = match after {
        None => begins_at,
        Some(after) if after <= begins_at => after,
        // The event is newer than this server's feed, or its id belongs to another database.
        Some(after) => after.min(state.resources.store.newest_transition().await?),
    };
    Ok(Follower::new(state, (Scope::All(filter), listener), after, permit).into_response())
}

impl EventParameters {
    fn filter(self) -> Result<EventFilter, Problem> {
        Ok(EventFilter {
            states: self
                .state
                .iter()
                .map(|state| read_state(state))
                .collect::<Result<_, _>>()?,
            user: self.user,
            labels: self
                .label
                .iter()
                .map(|label| read_label(label))
                .collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::repeatable_query;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<EventFilter, Problem> {
        let owned = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        repeatable_query::read::<EventParameters>(owned.collect())?.filter()
    }

    #[test]
    fn states_and_labels_may_be_repeated() {
        let filter = read_pairs(&[("state", "failed"), ("label", "a=b=c"), ("state", "completed")]).unwrap();
        assert_eq!(filter.states, [State::Failed, State::Completed]);
        assert_eq!(filter.labels, [("a".to_owned(), "b=c".to_owned())]);
    }

    #[test]
    fn each_bad_parameter_is_named_with_what_is_accepted() {
        for (pairs, accepted) in [
            (&[("state", "asleep")][..], "queued, starting"),
            (&[("label", "team")], "name=value"),
            (&[("page", "2")], "state, user, label"),
            (&[("user", "a"), ("user", "b")], "accepted is one"),
        ] {
            let problem = read_pairs(pairs).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (400, pairs[0].0));
            assert!(problem.detail.contains(accepted), "{}", problem.detail);
        }
    }
}
