//! Follows an experiment by its event stream, or by polling where no stream gets through.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokio::time::timeout;

use super::event_stream::{Event, EventReader};
use super::{ClientError, Document, Server};
use joulemark_experiment::{ExperimentId, State};

/// Timeout for the first bytes of a stream, which a server sends at once. A proxy that takes longer buffers the stream.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of consecutive streams without an event before polling is used instead.
const MAX_EMPTY_STREAMS: u32 = 3;
/// Pause between two streams, as the server's `retry` field sets it.
const PAUSE_BETWEEN_STREAMS: Duration = Duration::from_secs(1);
/// Duration of one long poll when there is no stream; progress is at most that old.
const POLL_SEC: u32 = 2;

/// Progress of a running experiment; what is unknown is `None`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Progress {
    pub phase: Option<String>,
    pub cycle: Option<u32>,
    pub num_cycles: Option<u32>,
    pub generated_tokens: Option<u64>,
    pub tokens_per_second: Option<f64>,
    pub power_w: Option<f64>,
    pub elapsed_sec: Option<f64>,
    pub eta_sec: Option<f64>,
}

/// A change of an experiment that is followed.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    State(State),
    Progress(Progress),
}

enum Ended {
    Finished(State),
    /// The stream was closed or broke; it can be resumed.
    Interrupted {
        has_events: bool,
        error: Option<ClientError>,
    },
    /// No event stream gets through.
    Unfit,
}

#[derive(Deserialize)]
struct StateData {
    state: State,
    #[serde(rename = "final")]
    is_final: bool,
}

impl Server {
    /// Calls `each` with every change until the experiment has finished; returns its final state. Reads the event
    /// stream, resumes it after a failure, and polls when no stream gets through.
    ///
    /// # Errors
    /// Returns a [`ClientError`] when the server remains unreachable or rejects the request.
    pub async fn follow(&self, id: ExperimentId, mut each: impl FnMut(Update)) -> Result<State, ClientError> {
        let mut last_id = String::new();
        let mut retries = self.retries();
        let mut empty_streams = 0;
        loop {
            let ended = match self.stream(id, &mut last_id, &mut each).await {
                Ok(ended) => ended,
                Err(error) if error.is_unknown_route() => Ended::Unfit,
                Err(error) => {
                    self.pause_after(error, &mut retries).await?;
                    continue;
                }
            };
            match ended {
                Ended::Finished(state) => return Ok(state),
                Ended::Unfit => return self.poll(id, each).await,
                Ended::Interrupted { has_events, error } => {
                    if has_events {
                        empty_streams = 0;
                        retries.reset();
                    } else {
                        empty_streams += 1;
                    }
                    if empty_streams == MAX_EMPTY_STREAMS {
                        return self.poll(id, each).await;
                    }
                    match error {
                        Some(error) => self.pause_after(error, &mut retries).await?,
                        None => tokio::time::sleep(PAUSE_BETWEEN_STREAMS).await,
                    }
                }
            }
        }
    }

    async fn stream(
        &self,
        id: ExperimentId,
        last_id: &mut String,
        each: &mut impl FnMut(Update),
    ) -> Result<Ended, ClientError> {
        let url = self.address.at(&["v1", "experiments", &id.to_string(), "events"], &[]);
        let mut request = self.http.get(url).header(ACCEPT, "text/event-stream");
        if !last_id.is_empty() {
            request = request.header("Last-Event-ID", last_id.as_str());
        }
        // A buffering proxy holds back the response's head as well.
        let Ok(response) = timeout(FIRST_BYTES_TIMEOUT, self.open_once(request)).await else {
            return Ok(Ended::Unfit);
        };
        let mut response = response?;
        if response.status() == StatusCode::NO_CONTENT {
            let shown = self.show(id).await?;
            return Ok(shown.state().map_or(Ended::Unfit, Ended::Finished));
        }
        if !is_event_stream(&response) {
            return Ok(Ended::Unfit);
        }
        let mut reader = EventReader::default();
        let mut has_events = false;
        let mut next = timeout(FIRST_BYTES_TIMEOUT, response.chunk()).await;
        loop {
            let bytes = match next {
                Err(_) => return Ok(Ended::Unfit),
                Ok(Err(error)) => {
                    let error = Some(self.without_answer(&error));
                    return Ok(Ended::Interrupted { has_events, error });
                }
                Ok(Ok(None)) => {
                    return Ok(Ended::Interrupted {
                        has_events,
                        error: None,
                    });
                }
                Ok(Ok(Some(bytes))) => bytes,
            };
            for event in reader.read(&bytes) {
                has_events = true;
                if let Some(state) = handle(&event, last_id, each) {
                    return Ok(Ended::Finished(state));
                }
            }
            next = Ok(response.chunk().await);
        }
    }

    async fn poll(&self, id: ExperimentId, mut each: impl FnMut(Update)) -> Result<State, ClientError> {
        let query = [("wait".to_owned(), POLL_SEC.to_string())];
        let mut known = None;
        loop {
            let shown = self.get(&["v1", "experiments", &id.to_string()], &query).await?;
            let Some(state) = shown.state() else {
                return Err(self.unknown_state(&shown));
            };
            if known.replace(state) != Some(state) {
                each(Update::State(state));
            }
            if state.is_finished() {
                return Ok(state);
            }
            if let Ok(progress) = Progress::deserialize(&shown.value["progress"]) {
                each(Update::Progress(progress));
            }
        }
    }

    fn unknown_state(&self, shown: &Document) -> ClientError {
        ClientError::Foreign {
            server: self.address.to_string(),
            what: format!("this version does not know the state {}", shown.value["state"]),
        }
    }
}

fn is_event_stream(response: &Response) -> bool {
    let content_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// Handles one event; returns the state if it is the final one. Ignores unknown events.
fn handle(event: &Event, last_id: &mut String, each: &mut impl FnMut(Update)) -> Option<State> {
    event.id.clone_into(last_id);
    match event.name.as_str() {
        "state" => {
            let data = serde_json::from_str::<StateData>(&event.data).ok()?;
            each(Update::State(data.state));
            data.is_final.then_some(data.state)
        }
        "progress" => {
            let progress = serde_json::from_str(&event.data).ok()?;
            each(Update::Progress(progress));
            None
        }
        _ => None,
    }
}
