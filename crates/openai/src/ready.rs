use std::time::Duration;

use hyper::StatusCode;
use thiserror::Error;

use crate::client::{Client, status_text};

/// A page that every server has once its model is loaded.
const MODELS: &str = "/v1/models";
const BETWEEN_POLLS: Duration = Duration::from_millis(100);
/// Timeout of one answer. A server that is loading may accept a connection without answering.
const POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// The error for a server that is not ready in time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path} was not answered with 200 within {} s; last: {last}", timeout.as_secs_f64())]
pub struct NotReady {
    pub path: String,
    pub timeout: Duration,
    /// The last answer, or why there was none.
    pub last: String,
}

/// Waits until the server answers its health page with status 200; without `health_path`, its list of models.
///
/// # Errors
/// Returns [`NotReady`] with the last answer after `timeout`.
pub async fn ready(client: &Client, health_path: Option<&str>, timeout: Duration) -> Result<(), NotReady> {
    let path = health_path.unwrap_or(MODELS);
    let mut last = format!("no answer within {} s", POLL_TIMEOUT.min(timeout).as_secs_f64());
    let is_ready = tokio::time::timeout(timeout, async {
        loop {
            match client.page(path, POLL_TIMEOUT).await {
                Ok((StatusCode::OK, _, _)) => return,
                Ok((status, _, page)) => last = status_text(status, &page),
                Err(failure) => last = failure.to_string(),
            }
            tokio::time::sleep(BETWEEN_POLLS).await;
        }
    });
    is_ready.await.map_err(|_| NotReady {
        path: path.to_owned(),
        timeout,
        last,
    })
}
