use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::KeyId;

/// What is written down of who did it.
///
/// - `submit`: an experiment was submitted
/// - `cancel`: its cancellation was asked for, by somebody who may
/// - `relabel`: its labels were changed
/// - `create_key`: an API key was made
/// - `revoke_key`: an API key was revoked
/// - `sign_in`: somebody signed in to the pages with an API key
/// - `sign_out`: their session was ended, by them or by signing in anew
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

    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// Who did something; all is null on a server without authentication but the address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The key's or the identity header's name.
    pub name: Option<String>,
    pub key_id: Option<KeyId>,
    /// The client's IP address, as far as trusted proxies say.
    pub address: Option<String>,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEntry {
    /// A UUIDv7: sorts by age.
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// When it was done, RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub at: Timestamp,
    pub action: Action,
    /// The experiment's, key's or session's id.
    pub subject: String,
    /// Who did it; null on a server without authentication.
    #[schema(example = "ada")]
    pub name: Option<String>,
    /// The key used; null without one, as when the name came from a trusted proxy.
    #[schema(value_type = Option<String>)]
    pub key_id: Option<KeyId>,
    /// The client's IP address; null from the command line.
    pub address: Option<String>,
}

impl AuditEntry {
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
