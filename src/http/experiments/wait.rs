//! The parameter `wait`: answers that come when an experiment is finished.

use std::time::Duration;

use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::{access::Caller, concurrency_limit::Slot, fields::Fields, problem::Problem, state::AppState};
use joulemark_experiment::ExperimentId;
use joulemark_measurement::quoted;
use joulemark_store::Record;

/// Maximum wait in seconds; a client that wants to wait longer repeats the request.
const MAX_SEC: u32 = 300;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReadParameters {
    /// Maximum time in seconds to wait for the experiment to finish, 0 to 300; default 0. The answer comes when it is
    /// finished, when the time is up, or when the server stops, and shows the experiment at that time.
    #[param(minimum = 0, maximum = 300, value_type = Option<u32>)]
    wait: Option<String>,
    /// Only these fields: up to 256 names, separated by commas, with dots for nested fields, as in
    /// `state,progress.phase`, or `energy.total_energy_j,efficiency` of results.
    #[param(example = "id", min_length = 1)]
    fields: Option<String>,
}

impl ReadParameters {
    /// Reads the parameter `fields`, for an answer with this schema.
    pub fn fields(&self, schema: &str) -> Result<Fields, Problem> {
        let fields = self.fields.as_deref();
        fields.map_or(Ok(Fields::default()), |fields| Fields::read(fields, schema))
    }

    /// Reads the parameter `wait`.
    fn duration(&self) -> Result<Duration, Problem> {
        let Some(text) = &self.wait else {
            return Ok(Duration::ZERO);
        };
        let sec = text.parse().ok().filter(|sec| *sec <= MAX_SEC);
        let sec: u32 = sec.ok_or_else(|| {
            let detail = format!(
                "is {text}; accepted is a whole number of seconds from 0 to {MAX_SEC}",
                text = quoted(&text)
            );
            Problem::invalid_parameter("wait", detail)
        })?;
        Ok(Duration::from_secs(u64::from(sec)))
    }
}

/// Returns the experiment when it is finished, or as it is when the time is up.
pub async fn wait(
    state: &AppState,
    id: ExperimentId,
    parameters: &ReadParameters,
    (caller, slot): (&Caller, &Slot),
) -> Result<Record, Problem> {
    let max_wait = parameters.duration()?;
    if max_wait.is_zero() {
        return super::find(&state.resources.store, id).await;
    }
    // Created before the database is read, so that the end is not missed in between.
    let mut listener = state.resources.feed.listen_to(id);
    let record = super::find(&state.resources.store, id).await?;
    if record.state.is_finished() {
        return Ok(record);
    }
    slot.wait_for(max_wait, state.streams.take(caller)?);
    // The record may hold megabytes of prompts.
    drop(record);
    let mut seen = listener.begins_at();
    let finished = async {
        loop {
            listener.changed().await;
            match listener.hear(seen) {
                Some(heard) if heard.moves.iter().any(|transition| transition.state.is_finished()) => return,
                Some(heard) => seen = heard.moves.last().map_or(seen, |transition| transition.seq),
                // Events were missed, so the state must be read again.
                None => return,
            }
        }
    };
    tokio::select! {
        () = finished => {}
        () = tokio::time::sleep(max_wait) => {}
        () = state.stopping.cancelled() => {}
    }
    super::find(&state.resources.store, id).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Duration, Problem> {
        let wait = Some(text.to_owned());
        let fields = None;
        ReadParameters { wait, fields }.duration()
    }

    #[test]
    fn a_wait_is_a_whole_number_of_seconds_within_bounds() {
        assert_eq!(read("0"), Ok(Duration::ZERO));
        assert_eq!(read("300"), Ok(Duration::from_secs(300)));
        for text in ["301", "-1", "1.5", "", "for ever", "99999999999"] {
            let problem = read(text).unwrap_err();
            assert_eq!(
                (problem.status, problem.errors[0].pointer.as_str()),
                (400, "wait"),
                "{text}"
            );
            assert!(problem.detail.contains("0 to 300"), "{}", problem.detail);
        }
    }
}
