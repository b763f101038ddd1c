//! The page of an experiment: its progress, and its results once it is finished.

mod bands;
mod certainty;
pub mod checks;
mod cycles;
mod energy;
mod figure;
mod footprint;
pub mod found;
mod headline;
pub mod identity;
mod latency;
mod outlook;
mod power;
mod ranks;
mod raw;
mod requests;
mod roofline;
pub mod sections;
mod series;
pub mod setup;

use askama::Template;
use axum::{
    extract::State as AxumState,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};

use super::html::page;
use super::layout::Page;
use crate::http::access::Caller;
use crate::http::experiments::cancel::cancelled;
use crate::http::extract::IdPath;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_experiment::{ExperimentId, State};

use checks::Checks;
use found::Found;
use identity::Identity;
use outlook::Outlook;
use power::Power;
use sections::Sections;
use setup::Setup;

/// Page of an experiment.
#[derive(Template)]
#[template(path = "experiment.html")]
struct View {
    page: Page,
    id: ExperimentId,
    name: String,
    state: State,
    is_finished: bool,
    has_results: bool,
    has_series: bool,
    has_raw: bool,
    may_cancel: bool,
    sweep: Option<ExperimentId>,
    identity: Identity,
    outlook: Option<Outlook>,
    /// Sections of the result; `None` without one.
    sections: Option<Sections>,
    /// Warnings of the submission, if there is no result.
    checks: Option<Checks>,
    /// Power over time, if there is no result.
    power: Option<Power>,
    setup: Setup,
}

/// Shows an experiment in any state.
pub async fn experiment(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    caller: Caller,
    shown_in: Page,
) -> Result<Response, Problem> {
    let found = Found::read(&state, id, &caller).await?;
    // Drawing hours of samples and thousands of requests takes a while.
    let drawn = tokio::task::spawn_blocking(move || page(StatusCode::OK, &View::new(&found, shown_in)?)).await;
    drawn.map_err(|error| {
        tracing::error!(%error, "the page of an experiment cannot be rendered");
        Problem::internal()
    })?
}

impl View {
    fn new(found: &Found, shown_in: Page) -> Result<Self, Problem> {
        let experiment = &found.experiment;
        let result = found.result.as_ref();
        let is_without = result.is_none();
        let had_devices = experiment.started_at.is_some();
        Ok(Self {
            id: experiment.id,
            name: experiment.spec.config_name.clone(),
            state: experiment.state,
            is_finished: experiment.state.is_finished(),
            has_results: result.is_some(),
            has_series: found.series.is_ok(),
            has_raw: result.is_some_and(|result| result.raw.dropped_at.is_none()),
            may_cancel: found.may_cancel,
            sweep: found.sweep,
            identity: Identity::of(experiment, found.sweep),
            outlook: Outlook::of(experiment),
            sections: found.sections(&format!("{}figures#", shown_in.root)),
            checks: is_without
                .then(|| Checks::of_submission(&experiment.warnings))
                .filter(|checks| !checks.is_empty()),
            power: (is_without && had_devices).then(|| Power::new(found.series.as_ref(), None)),
            setup: found.setup(shown_in.has_keys, Some(shown_in.root.clone()))?,
            page: shown_in,
        })
    }
}

/// Cancels an experiment and redirects to its page.
pub async fn cancel(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    caller: Caller,
) -> Result<Response, Problem> {
    cancelled(&state, id, &caller).await?;
    Ok(Redirect::to(&format!("../{id}")).into_response())
}
