//! Who may do what: roles, API keys as they are kept, and what is written down of what somebody did. No I/O; a key's
//! secret is made here and nowhere stored.

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
