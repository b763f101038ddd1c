use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::KeyId;

/// An action that the audit log records.
///
/// - `submit`: an experiment was submitted
/// - `cancel`: the cancellation of an experiment was requested, with the permission to do so
/// - `relabel`: an experiment's labels were changed
/// - `create_key`: an API key was created
/// - `revoke_key`: an API key was revoked
/// - `sign_in`: a user signed in to the pages with an API key
/// - `sign_out`: a session was ended by its user, or because the user signed in again
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Submit,
    Cancel,
    Relabel,
    CreateKey,
    RevokeKey,
    SignIn,
    SignOut,
}

impl Action {
    const ALL: [Self; 7] = [
        Self::Submit,
        Self::Cancel,
        Self::Relabel,
        Self::CreateKey,
        Self::RevokeKey,
        Self::SignIn,
        Self::SignOut,
    ];

    /// Returns the action's name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Cancel => "cancel",
            Self::Relabel => "relabel",
            Self::CreateKey => "create_key",
            Self::RevokeKey => "revoke_key",
            Self::SignIn => "sign_in",
            Self::SignOut => "sign_out",
        }
    }

    /// Returns the action with this name; `None` where there is none.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// The person or program behind an action. On a server without authentication only the address is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// Name of the API key, or the name that a trusted proxy's identity header gives.
    pub name: Option<String>,
    pub key_id: Option<KeyId>,
    /// The client's IP address, taken from trusted proxies where there are any.
    pub address: Option<String>,
}

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEntry {
    /// A UUIDv7: entries sort by age.
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// Time of the action, RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub at: Timestamp,
    pub action: Action,
    /// Id of the experiment, key or session.
    pub subject: String,
    /// Name of who did it; null on a server without authentication.
    #[schema(example = "ada")]
    pub name: Option<String>,
    /// Id of the API key that was used; null without one, as when a trusted proxy gave the name.
    #[schema(value_type = Option<String>)]
    pub key_id: Option<KeyId>,
    /// The client's IP address; null for actions on the command line.
    pub address: Option<String>,
}

impl AuditEntry {
    /// Creates an entry with a new id.
    pub fn new(action: Action, subject: impl ToString, actor: &Actor, at: Timestamp) -> Self {
        let Actor { name, key_id, address } = actor.clone();
        Self {
            id: Uuid::now_v7(),
            at,
            action,
            subject: subject.to_string(),
            name,
            key_id,
            address,
        }
    }
}
