use std::{fmt, str::FromStr};

use joulemark_measurement::quoted;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// What somebody may do. Each role may also do what those before it may.
///
/// - `reader`: read everything but others' prompts
/// - `submitter`: submit experiments; cancel and relabel one's own
/// - `admin`: everything
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read everything but others' prompts.
    Reader,
    /// Submit experiments; cancel and relabel one's own.
    Submitter,
    /// Everything.
    Admin,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Reader, Self::Submitter, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Submitter => "submitter",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A text that is no role: ask for another.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is no role; accepted are reader, submitter and admin", quoted(.0))]
pub struct NotARole(String);

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Self, NotARole> {
        let known = Self::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| NotARole(text.to_owned()))
    }
}
