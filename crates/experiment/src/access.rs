//! Roles, API keys, sessions and the entries of the audit log. No I/O: secrets are generated here, and only their
//! digests are meant to be stored.

mod audit;
mod key;
mod role;
mod session;
mod token;

pub use audit::{Action, Actor, AuditEntry};
pub use key::{ApiKey, KeyId, NotAKeyId, Standing, StoredKey};
pub use role::{NotARole, Role};
pub use session::{CsrfToken, NotASessionId, SessionId, SessionToken, StoredSession};
pub use token::{NoRandomness, Token};
