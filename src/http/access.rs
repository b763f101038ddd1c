//! Who may do what over HTTP: callers are told apart, held to their role and their rate, and believed no further than
//! the admin says. One rule gives every operation its scope; handlers ask the [`Caller`] only what depends on whose
//! experiment it is.

mod authenticate;
mod caller;
mod last_used;
mod origin;
mod policy;
mod rate;
mod scope;

use std::net::SocketAddr;

pub use authenticate::{Who, authenticate};
pub use caller::Caller;
pub use origin::Origin;
pub use policy::{Access, Authentication};
pub use scope::{Scope, scope_of};

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);
