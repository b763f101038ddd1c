//! The list of experiments.

use askama::Template;
use axum::{
    extract::{Query, State as AxumState},
    http::StatusCode,
    response::Response,
};

use super::html::page;
use super::layout::Page;
use super::number;
use crate::http::access::Caller;
use crate::http::experiments::filter::Filtered;
use crate::http::experiments::list::{self, PageParameters};
use crate::http::problem::Problem;
use crate::http::repeatable_query;
use crate::http::state::AppState;
use joulemark_experiment::State;
use joulemark_store::{Cursor, Record};

const MAX_BYTES: usize = 8 << 20;

/// Sort orders and their labels.
const SORTS: [(&str, &str); 4] = [
    ("-created_at", "newest first"),
    ("created_at", "oldest first"),
    ("-finished_at", "latest finish first"),
    ("finished_at", "earliest finish first"),
];

/// Parameters that have a field in the form.
const FIELDS: [&str; 8] = [
    "state",
    "model",
    "engine",
    "user",
    "label",
    "created_after",
    "created_before",
    "sort",
];

/// One page of the filtered list.
#[derive(Template)]
#[template(path = "experiments.html")]
struct Experiments {
    page: Page,
    asked: Asked,
    records: Vec<Record>,
    /// Query of the next page; `None` on the last one.
    next: Option<String>,
    sorts: [(&'static str, &'static str); 4],
    states: [State; 8],
}

impl Experiments {
    /// Returns whether an experiment in this state may have results; a cancelled one may have finished cycles.
    fn may_have_results(&self, state: &State) -> bool {
        matches!(state, State::Completed | State::Cancelled)
    }
}

/// Filter as given in the query: it fills the form and is carried on by links.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn value(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(asked, _)| asked == name);
        found.map_or("", |(_, value)| value)
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.value(name) == value
    }

    fn labels(&self) -> String {
        let labels = self.0.iter().filter(|(name, _)| name == "label");
        labels.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Returns the parameters that have no field in the form.
    fn without_field(&self) -> impl Iterator<Item = &(String, String)> {
        let has_field = |name: &str| FIELDS.contains(&name) || name == "cursor";
        self.0.iter().filter(move |(name, _)| !has_field(name))
    }

    /// Returns the query of the page that starts at `cursor`.
    fn query_from(&self, cursor: &Cursor) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(name, _)| name != "cursor"));
        query.append_pair("cursor", &cursor.to_string()).finish()
    }
}

/// Lists the experiments that the query selects. The query is the API's, except that empty parameters are ignored,
/// labels may be separated by commas, and a day means its beginning in UTC.
pub async fn experiments(
    AxumState(state): AxumState<AppState>,
    Query(pairs): Query<Vec<(String, String)>>,
    caller: Caller,
    shown_in: Page,
) -> Result<Response, Problem> {
    let asked = Asked(pairs.into_iter().flat_map(tidied).collect());
    let parameters = repeatable_query::read::<Filtered<PageParameters>>(asked.0.clone())?;
    let (query, _) = list::read(parameters)?;
    let store = state.resources.store.on_behalf_of(&caller.held_as());
    let listed = store.list(&query, MAX_BYTES).await?;
    let last = listed.records.last().filter(|_| listed.more);
    let next = last.map(|record| asked.query_from(&Cursor::at(record, query.order)));
    let view = Experiments {
        page: shown_in,
        records: listed.records,
        next,
        asked,
        sorts: SORTS,
        states: State::ALL,
    };
    page(StatusCode::OK, &view)
}

/// Converts a field of the form to parameters of the API; returns none for an empty field.
fn tidied((name, value): (String, String)) -> Vec<(String, String)> {
    let value = value.trim();
    let is_day = value.len() == 10 && value.parse::<jiff::civil::Date>().is_ok();
    match name.as_str() {
        _ if value.is_empty() => Vec::new(),
        "label" => {
            let labels: Vec<_> = value
                .split(',')
                .map(str::trim)
                .filter(|label| !label.is_empty())
                .collect();
            // A label's value may contain a comma.
            match labels.iter().all(|label| label.contains('=')) {
                true => labels
                    .into_iter()
                    .map(|label| (name.clone(), label.to_owned()))
                    .collect(),
                false => vec![(name, value.to_owned())],
            }
        }
        "created_after" | "created_before" if is_day => vec![(name, format!("{value}T00:00:00Z"))],
        _ => vec![(name, value.to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_are_dropped_labels_are_split_and_days_become_times() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(tidied(pair("state", " ")), []);
        assert_eq!(tidied(pair("label", "note=a,b")), [pair("label", "note=a,b")]);
        assert_eq!(
            tidied(pair("label", "team=nlp, run=2,")),
            [pair("label", "team=nlp"), pair("label", "run=2")]
        );
        assert_eq!(
            tidied(pair("created_after", "2026-01-31")),
            [pair("created_after", "2026-01-31T00:00:00Z")]
        );
        assert_eq!(tidied(pair("model", " a ")), [pair("model", "a")]);
    }
}
