//! Compares results side by side, or offers experiments to compare.

mod asked;
mod differences;
mod forests;
mod power;
mod rows;
mod sources;

use askama::Template;
use axum::{
    extract::{Query, State as AxumState},
    http::StatusCode,
    response::Response,
};
use joulemark_charts::Svg;

use self::asked::Asked;
use self::differences::{Differences, differing};
use self::forests::forests;
use self::power::{Power, power};
use self::rows::{LeftOut, Note, Row, left_out, notes, rows};
use self::sources::{Shown, sources};
use super::html::page;
use super::layout::Page;
use super::metric_choice::{MetricChoices, metric_choices};
use super::number;
use crate::http::access::Caller;
use crate::http::experiments::compare::answer;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_experiment::comparison::ComparisonAnswer;
use joulemark_experiment::{FieldProblem, State};
use joulemark_store::{ListOrder, ListQuery, Record};

/// Number of finished experiments that are offered.
const CHOICES: u32 = 25;
const MAX_BYTES: usize = 8 << 20;

/// Page with a comparison, or with the form for one.
#[derive(Template)]
#[template(path = "compare.html")]
struct Compare {
    page: Page,
    asked: Asked,
    problems: Vec<FieldProblem>,
    metrics: MetricChoices,
    /// Experiments that are offered; empty when a comparison is shown.
    choices: Vec<Record>,
    compared: Option<Compared>,
}

/// A comparison as the page shows it.
struct Compared {
    results: Vec<Shown>,
    forests: Vec<Svg>,
    rows: Vec<Row>,
    left_out: Vec<LeftOut>,
    notes: Vec<Note>,
    power: Power,
    differences: Differences,
}

impl Compare {
    /// Returns the problems of one field of the form.
    fn problems_of(&self, field: &str) -> Vec<String> {
        asked::problems_of(&self.asked, &self.problems, field)
    }

    /// Returns the requested IDs that have no checkbox.
    fn other_ids(&self) -> String {
        let is_choice = |id: &str| self.choices.iter().any(|record| record.id.to_string() == id);
        let others = self.asked.ids.iter().map(String::as_str);
        others.filter(|id| !is_choice(id)).collect::<Vec<_>>().join(", ")
    }
}

/// Compares the results that the query names; with fewer than two, shows the form.
pub async fn compare(
    AxumState(state): AxumState<AppState>,
    Query(pairs): Query<Vec<(String, String)>>,
    caller: Caller,
    shown_in: Page,
) -> Result<Response, Problem> {
    let asked = Asked::read(pairs)?;
    let answered = match asked.ids.len() {
        0 | 1 => None,
        _ => Some(answer((&state, &caller), &asked.document()).await?),
    };
    let (compared, problems) = match answered {
        None => (None, Vec::new()),
        Some(Err(problems)) => (None, problems),
        Some(Ok(answer)) => (Some(compared((&state, &caller), &asked, &answer).await?), Vec::new()),
    };
    let status = match problems.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let view = Compare {
        choices: match compared {
            Some(_) => Vec::new(),
            None => finished(&state, &caller).await?,
        },
        metrics: metric_choices(&asked.metrics),
        page: shown_in,
        asked,
        problems,
        compared,
    };
    page(status, &view)
}

async fn finished(state: &AppState, caller: &Caller) -> Result<Vec<Record>, Problem> {
    let query = ListQuery {
        state: Some(State::Completed),
        order: ListOrder::LastFinishedFirst,
        limit: CHOICES,
        ..ListQuery::default()
    };
    let store = state.resources.store.on_behalf_of(&caller.held_as());
    Ok(store.list(&query, MAX_BYTES).await?.records)
}

async fn compared(
    (state, caller): (&AppState, &Caller),
    asked: &Asked,
    answer: &ComparisonAnswer,
) -> Result<Compared, Problem> {
    let results = sources((state, caller), &asked.ids).await?;
    let settings: Vec<_> = results.iter().map(|result| &result.settings).collect();
    Ok(Compared {
        forests: forests(answer, &results),
        rows: rows(answer, &results),
        left_out: left_out(answer, &results),
        notes: notes(answer, &results),
        power: power((state, caller), &results).await?,
        differences: differing(&settings),
        results,
    })
}
