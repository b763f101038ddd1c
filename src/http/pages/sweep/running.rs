//! The running experiments of a sweep.

use crate::http::access::Caller;
use crate::http::pages::number;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::progress::Progress;
use joulemark_experiment::ExperimentId;
use joulemark_store::SweepRecord;

/// A running experiment of a sweep.
pub struct RunningExperiment {
    pub experiment: ExperimentId,
    pub point: u32,
    pub repeat: u32,
    pub state: &'static str,
    /// Progress; `None` on another node.
    progress: Option<Progress>,
}

impl RunningExperiment {
    /// Returns the state, with the cycle if known.
    pub fn phase(&self) -> String {
        let state = self.state.replace('_', " ");
        let cycle = self
            .progress
            .as_ref()
            .and_then(|progress| Some((progress.cycle?, progress.num_cycles)));
        match cycle {
            Some((cycle, of)) => format!("{state}, cycle {} of {of}", cycle + 1),
            None => state,
        }
    }

    /// Returns the current token rate as text.
    pub fn tokens_per_second(&self) -> String {
        let tokens = self.progress.as_ref().and_then(|progress| progress.tokens_per_second);
        tokens.map_or_else(|| "–".to_owned(), number::plain)
    }

    /// Returns the current power as text.
    pub fn power(&self) -> String {
        let power_w = self.progress.as_ref().and_then(|progress| progress.power_w);
        power_w.map_or_else(
            || number::UNKNOWN.to_owned(),
            |power_w| format!("{} W", number::plain(power_w)),
        )
    }
}

/// Returns the running experiments.
///
/// # Errors
/// Returns a [`Problem`] when the database fails.
pub async fn running_experiments(
    (state, _): (&AppState, &Caller),
    sweep: &SweepRecord,
) -> Result<Vec<RunningExperiment>, Problem> {
    let runs = state.resources.store.sweep_runs(sweep.id).await?;
    let running = runs.into_iter().filter(|run| run.state.is_running());
    let shown = running.map(|run| RunningExperiment {
        experiment: run.experiment,
        point: run.placement.point,
        repeat: run.placement.repeat,
        state: run.state.as_str(),
        progress: state.scheduler.progress(run.experiment),
    });
    Ok(shown.collect())
}
