//! The list of sweeps.

use askama::Template;
use axum::{Json, extract::State as AxumState, http::StatusCode, response::Response};

use super::html::page;
use super::layout::Page;
use super::number;
use super::sweep_words as words;
use crate::http::problem::Problem;
use crate::http::repeatable_query::RepeatableQuery;
use crate::http::state::AppState;
use crate::http::sweeps::list::{SweepPageParameters, list};
use crate::http::sweeps::view::SweepSummary;

/// One page of the list, newest first.
#[derive(Template)]
#[template(path = "sweeps.html")]
struct Sweeps {
    page: Page,
    items: Vec<SweepSummary>,
    /// Cursor of the next page; `None` on the last one.
    next: Option<String>,
}

/// Lists sweeps page by page.
pub async fn sweeps(
    state: AxumState<AppState>,
    parameters: RepeatableQuery<SweepPageParameters>,
    shown_in: Page,
) -> Result<Response, Problem> {
    let Json(listed) = list(state, parameters).await?;
    let view = Sweeps {
        page: shown_in,
        items: listed.items,
        next: listed.next_cursor,
    };
    page(StatusCode::OK, &view)
}
