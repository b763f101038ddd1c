use std::{fmt, str::FromStr};

use jiff::Timestamp;
use joulemark_measurement::quoted;
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;
use uuid::Uuid;

/// State of the callback that reports an experiment's end.
///
/// - `waiting`: the experiment is not finished
/// - `pending`: the experiment is finished; a call, or another try, is due
/// - `delivered`: the receiver answered 2xx
/// - `failed`: given up after the last try, or because the receiver answered 410
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallbackState {
    Waiting,
    Pending,
    Delivered,
    Failed,
}

impl CallbackState {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Pending, Self::Delivered, Self::Failed];

    /// Returns the state's name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for CallbackState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error for a text that is not the state of a callback: it is damaged, or another version wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is not a state of a callback", quoted(.0))]
pub struct NotACallbackState(String);

impl FromStr for CallbackState {
    type Err = NotACallbackState;

    fn from_str(text: &str) -> Result<Self, NotACallbackState> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| NotACallbackState(text.to_owned()))
    }
}

/// The receiver of an experiment's callback, and what came of the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Callback {
    /// URL that is called.
    #[schema(example = "https://hooks.lab.example/joulemark")]
    pub url: String,
    pub state: CallbackState,
    /// Id of the delivery, in the body and in the header X-Joulemark-Delivery of every try, so that the receiver can
    /// recognise repeated ones.
    #[schema(value_type = String, format = "uuid")]
    pub delivery_id: Uuid,
    /// Number of tries so far.
    pub attempts: u32,
    /// HTTP status of the last try; null before the first one, and when there was no answer.
    #[schema(example = 204)]
    pub last_status: Option<u16>,
    /// What was wrong with the last try; null when nothing was.
    pub last_error: Option<String>,
    /// Time of the last try, RFC 3339; null before the first.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub last_attempt_at: Option<Timestamp>,
    /// When the next try is due, by the database's clock; null unless one is pending.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub next_attempt_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back_from_its_name() {
        for state in CallbackState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
