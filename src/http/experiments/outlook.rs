//! What is predicted for an unfinished experiment.

use super::view::Experiment;
use crate::http::state::AppState;
use crate::scheduler::{QueueWait, Standing};
use joulemark_experiment::{DurationEstimate, ExperimentId, Spec, State};

/// Queue position and expected duration of an unfinished experiment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    queue_position: Option<u64>,
    queue_wait: Option<QueueWait>,
    waiting_for: Option<String>,
    duration_estimate: Option<DurationEstimate>,
}

impl Outlook {
    /// Returns the present outlook. Its fields are `None` if the database fails, since the experiment itself can still
    /// be shown.
    pub async fn of(state: &AppState, (id, stands): (ExperimentId, State), spec: &Spec) -> Self {
        let scheduler = &state.scheduler;
        let standing = match stands {
            State::Queued => scheduler.standing(id, spec).await,
            _ => return Self::without_standing(scheduler.duration_estimate(id, stands, spec).await),
        };
        let standing = standing
            .inspect_err(|error| tracing::warn!(%error, "the queue cannot be read"))
            .ok();
        let waiting_for = standing.as_ref().and_then(Standing::why_none_can_run);
        let (queue_position, queue_wait) = standing.map(|standing| (standing.position, standing.wait)).unzip();
        Self {
            queue_position,
            queue_wait,
            waiting_for,
            duration_estimate: scheduler.duration_estimate(id, stands, spec).await,
        }
    }

    fn without_standing(duration_estimate: Option<DurationEstimate>) -> Self {
        Self {
            duration_estimate,
            ..Self::default()
        }
    }

    /// Adds the outlook to an experiment.
    pub fn beside(self, experiment: Experiment) -> Experiment {
        Experiment {
            queue_position: self.queue_position,
            queue_wait: self.queue_wait,
            waiting_for: self.waiting_for,
            duration_estimate: self.duration_estimate,
            ..experiment
        }
    }
}
