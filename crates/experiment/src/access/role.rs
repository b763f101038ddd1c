use std::{fmt, str::FromStr};

use joulemark_measurement::quoted;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// The permissions of a caller. Each role includes the roles before it.
///
/// - `reader`: read everything except other users' prompts
/// - `submitter`: submit experiments; cancel and relabel their own experiments
/// - `admin`: everything
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read everything except other users' prompts.
    Reader,
    /// Submit experiments; cancel and relabel their own experiments.
    Submitter,
    /// Do everything.
    Admin,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Reader, Self::Submitter, Self::Admin];

    /// Returns the role's name in JSON and on the command line.
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

/// The error for a text that is not a role.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is not a role; accepted are reader, submitter and admin", quoted(.0))]
pub struct NotARole(String);

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Self, NotARole> {
        let known = Self::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| NotARole(text.to_owned()))
    }
}
