//! Reads everything that the page of an experiment shows and its caller may see.

use super::raw::Raw;
use super::sections::{Measured, Sections};
use super::series;
use super::setup::{Given, Setup};
use crate::http::access::Caller;
use crate::http::device_lines::Series;
use crate::http::experiments;
use crate::http::experiments::manifest::Manifest;
use crate::http::experiments::outlook::Outlook;
use crate::http::experiments::view::{Experiment, shown_report};
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_analysis::complete_report;
use joulemark_experiment::report::Report;
use joulemark_experiment::{ExperimentId, State};
use joulemark_store::Record;

/// Everything that the page of an experiment shows.
pub struct Found {
    pub experiment: Experiment,
    pub result: Option<FoundResult>,
    /// Power over time, or why there is none.
    pub series: Result<Series, String>,
    pub sweep: Option<ExperimentId>,
    pub may_cancel: bool,
}

/// A result with its raw data.
pub struct FoundResult {
    pub report: Report,
    pub raw: Raw,
    manifest: Manifest,
}

impl Found {
    /// Reads an experiment in any state.
    ///
    /// # Errors
    /// Returns a [`Problem`] when there is no such experiment, or the database fails.
    pub async fn read(state: &AppState, id: ExperimentId, caller: &Caller) -> Result<Self, Problem> {
        let store = &state.resources.store;
        let record = experiments::find(store, id).await?;
        let result = FoundResult::read(state, &record, caller).await?;
        let standing = Outlook::of(state, (id, record.state), &record.spec).await;
        let series = series::read(state, (id, &record.spec), caller).await?;
        let may_cancel = !record.state.is_finished() && caller.may_change(record.submitter.as_deref());
        let experiment = Experiment::new(record, state.scheduler.progress(id), caller);
        Ok(Self {
            experiment: standing.beside(experiment),
            result,
            series,
            sweep: store.sweep_of(id).await?.map(|sweep| sweep.id),
            may_cancel,
        })
    }

    /// Returns the sections of the result; `None` without one. `figures` is the URL of the definitions of metrics, up
    /// to the name.
    pub fn sections(&self, figures: &str) -> Option<Sections> {
        let result = self.result.as_ref()?;
        Some(Sections::new(&Measured {
            report: &result.report,
            raw: &result.raw,
            series: self.series.as_ref(),
            partial: self.experiment.state == State::Cancelled,
            figures,
        }))
    }

    /// Returns the section on the setup. It links to the API below `api`, or to nothing.
    ///
    /// # Errors
    /// Returns a [`Problem`] when a document cannot be serialized, which does not happen.
    pub fn setup(&self, has_keys: bool, api: Option<String>) -> Result<Setup, Problem> {
        let experiment = &self.experiment;
        let given = Given {
            id: experiment.id,
            spec: &experiment.spec,
            withheld: experiment.prompts_withheld,
            dropped: experiment.prompts_dropped.is_some(),
            has_keys,
            api,
        };
        let result = self.result.as_ref();
        Setup::new(&given, result.map(|result| (&result.report, &result.manifest)))
    }
}

impl FoundResult {
    async fn read(state: &AppState, record: &Record, caller: &Caller) -> Result<Option<Self>, Problem> {
        let store = &state.resources.store;
        let Some(mut report) = store.report(record.id).await? else {
            return Ok(None);
        };
        complete_report(&mut report);
        let report = shown_report(report, record, caller);
        Ok(Some(Self {
            raw: Raw::read(store, record.id).await?,
            manifest: Manifest::new(record.clone(), report.clone(), caller),
            report,
        }))
    }
}
