use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokio::time::timeout;

use super::event_stream::{Event, EventReader};
use super::{ClientError, Document, Server};
use joulemark_experiment::{ExperimentId, State};

/// A server sends the first line of a stream at once: later than this, a proxy keeps it to itself.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(5);
/// Streams that end without an event, one after the other, until streams are given up.
const MAX_BARREN_STREAMS: u32 = 3;
/// As the server's own `retry` has it.
const PAUSE_BETWEEN_STREAMS: Duration = Duration::from_secs(1);
/// How long one question waits for the end, where there is no stream: what it brings of progress is that old.
const POLL_SEC: u32 = 2;

/// How far a running experiment has come, as the server tells it; what is missing is unknown.
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

#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    State(State),
    Progress(Progress),
}

enum Ended {
    Finished(State),
    /// Closed or broken: ask again from there.
    Interrupted {
        heard: bool,
        error: Option<ClientError>,
    },
    /// No stream comes through.
    Unfit,
}

#[derive(Deserialize)]
struct StateData {
    state: State,
    #[serde(rename = "final")]
    is_final: bool,
}

impl Server {
    /// Tells of every change until the experiment is finished; the state that it ended in. By a stream of events, resumed
    /// where it broke off; by asking again and again where no stream comes through.
    ///
    /// # Errors
    /// [`ClientError`] when the server stays away, or refuses.
    pub async fn follow(&self, id: ExperimentId, mut each: impl FnMut(Update)) -> Result<State, ClientError> {
        let mut last_id = String::new();
        let mut patience = self.patience();
        let mut barren = 0;
        loop {
            let ended = match self.stream(id, &mut last_id, &mut each).await {
                Ok(ended) => ended,
                Err(error) if error.is_unknown_route() => Ended::Unfit,
                Err(error) => {
                    self.pause_after(error, &mut patience).await?;
                    continue;
                }
            };
            match ended {
                Ended::Finished(state) => return Ok(state),
                Ended::Unfit => return self.poll(id, each).await,
                Ended::Interrupted { heard, error } => {
                    if heard {
                        barren = 0;
                        patience.restore();
                    } else {
                        barren += 1;
                    }
                    if barren == MAX_BARREN_STREAMS {
                        return self.poll(id, each).await;
                    }
                    match error {
                        Some(error) => self.pause_after(error, &mut patience).await?,
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
        // A proxy that buffers keeps the head back as well.
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
        let mut heard = false;
        let mut next = timeout(FIRST_BYTES_TIMEOUT, response.chunk()).await;
        loop {
            let bytes = match next {
                Err(_) => return Ok(Ended::Unfit),
                Ok(Err(error)) => {
                    let error = Some(self.without_answer(&error));
                    return Ok(Ended::Interrupted { heard, error });
                }
                Ok(Ok(None)) => return Ok(Ended::Interrupted { heard, error: None }),
                Ok(Ok(Some(bytes))) => bytes,
            };
            for event in reader.read(&bytes) {
                heard = true;
                if let Some(state) = hear(&event, last_id, each) {
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
            what: format!("{} is no state that this version knows", shown.value["state"]),
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

/// The final state, when this event brings it. Events that this version does not know are passed over.
fn hear(event: &Event, last_id: &mut String, each: &mut impl FnMut(Update)) -> Option<State> {
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
