//! The results that are compared.

use serde_json::Value;

use super::differences::{Settings, settings};
use crate::compared::{Named, letter};
use crate::http::access::Caller;
use crate::http::experiments::manifest::Manifest;
use crate::http::pages::sweep::point_address;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_experiment::{ExperimentId, Prompts, State};
use joulemark_store::Store;

/// A compared result, as the page shows it.
pub struct Shown {
    /// Its letter in the comparison.
    pub letter: String,
    /// ID as given in the query.
    pub id: String,
    pub name: String,
    /// The experiment; for a point of a sweep, its first completed repeat.
    pub experiment: ExperimentId,
    /// The sweep and the number of the point, if the result is one.
    pub point: Option<(ExperimentId, u32)>,
    pub model: String,
    pub engine: String,
    pub host: String,
    /// Settings of the result.
    pub settings: Settings,
}

impl Shown {
    /// Returns its name in charts.
    pub fn label(&self) -> String {
        format!("{} {}", self.letter, self.name)
    }

    /// Returns the address of its page, relative to the root.
    pub fn address(&self) -> String {
        match self.point {
            Some((sweep, point)) => format!("sweeps/{}", point_address(sweep, point)),
            None => format!("experiments/{}", self.experiment),
        }
    }
}

/// Reads the results one after the other, since each may be megabytes of which little is kept. Skips results that no
/// longer exist.
///
/// # Errors
/// Returns a [`Problem`] when the database fails.
pub async fn sources((state, caller): (&AppState, &Caller), ids: &[String]) -> Result<Vec<Shown>, Problem> {
    let mut all = Vec::new();
    for (place, id) in ids.iter().enumerate() {
        let Ok(named) = id.parse::<Named>() else { continue };
        all.extend(source((state, caller), named, letter(place)).await?);
    }
    Ok(all)
}

async fn source((state, caller): (&AppState, &Caller), named: Named, letter: String) -> Result<Option<Shown>, Problem> {
    let store = &state.resources.store;
    let (experiment, point) = match named {
        Named::Experiment(id) => (Some(id), None),
        Named::Point(sweep, point) => (first_repeat(store, sweep, point).await?, Some((sweep, point))),
    };
    let Some(experiment) = experiment else { return Ok(None) };
    let (Some(record), Some(report)) = (store.get(experiment).await?, store.report(experiment).await?) else {
        return Ok(None);
    };
    let mut manifest = Manifest::new(record, report, caller);
    // Prompts are compared by their hash; the texts may be megabytes.
    if matches!(manifest.experiment.prompts, Prompts::Texts(_)) {
        manifest.experiment.prompts = Prompts::Texts(Vec::new());
    }
    manifest.experiment.prompt_lines.clear();
    let document = serde_json::to_value(&manifest).unwrap_or(Value::Null);
    Ok(Some(Shown {
        letter,
        id: named.to_string(),
        name: match point {
            Some((_, point)) => format!("point {point}: {}", manifest.experiment.config_name),
            None => manifest.experiment.config_name.clone(),
        },
        experiment,
        point,
        model: manifest.experiment.model_name.clone(),
        engine: manifest.experiment.engine.clone(),
        host: manifest.machine.hostname.clone(),
        settings: settings(&document),
    }))
}

async fn first_repeat(store: &Store, sweep: ExperimentId, point: u32) -> Result<Option<ExperimentId>, Problem> {
    let runs = store.sweep_runs(sweep).await?;
    let of_point = runs
        .iter()
        .find(|run| run.placement.point == point && run.state == State::Completed);
    Ok(of_point.map(|run| run.experiment))
}
