//! The events of a stream and their JSON.

use axum::response::sse::Event;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::progress::{Progress, Snapshot};
use joulemark_experiment::{ExperimentId, State, Transition};

/// `data` of a `state` event: an experiment has entered a state.
#[derive(Debug, Serialize, ToSchema)]
pub struct StateEvent {
    pub id: ExperimentId,
    pub state: State,
    /// True if the experiment is finished; nothing more will happen to it.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Number of times it had been started.
    pub attempt: u32,
    /// Time at which it entered the state, RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub at: Timestamp,
}

/// `data` of a `progress` event: the progress of an experiment that runs on the server that answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressEvent<'a> {
    pub id: ExperimentId,
    pub state: State,
    #[serde(flatten)]
    #[schema(inline)]
    pub progress: &'a Progress,
}

/// Returns the event of a change of state.
pub fn of_transition(transition: &Transition) -> Event {
    let data = StateEvent {
        id: transition.id,
        state: transition.state,
        is_final: transition.state.is_finished(),
        attempt: transition.attempt,
        at: transition.at,
    };
    with_data("state", &data)
}

/// Returns the event of a progress report.
pub fn of_progress(snapshot: &Snapshot) -> Event {
    let data = ProgressEvent {
        id: snapshot.id,
        state: snapshot.progress.phase.state(),
        progress: &snapshot.progress,
    };
    with_data("progress", &data)
}

fn with_data(name: &str, data: &impl Serialize) -> Event {
    let event = Event::default().event(name);
    event.json_data(data).unwrap_or_else(|error| {
        tracing::error!(%error, "an event cannot be serialized");
        Event::default().comment("an event could not be serialized")
    })
}
