//! The other end of the API: a server somewhere, as a program asks it. Owns addresses, keys, retries and streams. Knows
//! nothing of terminals, nor of how a server answers: what it reads are documents, so that it can talk to a newer one.

mod address;
mod credential;
mod event_stream;
mod failure;
mod follow;
mod operations;
mod patience;
mod problem;
mod server;

pub use address::Address;
pub use credential::{Credential, CredentialError};
pub use failure::ClientError;
pub use follow::{Progress, Update};
pub use operations::{Document, MediaType};
pub use problem::Problem;
pub use server::{Server, Setup};
