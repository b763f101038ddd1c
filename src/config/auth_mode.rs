//! The option `auth`.

use serde::Deserialize;

/// Authentication of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMode {
    None,
    Keys,
}
