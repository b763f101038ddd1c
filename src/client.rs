//! Client of the API. Owns addresses, keys, retries and streams; leaves terminals and output to `cli`. It reads
//! responses as JSON documents and not as the server's types, so that it also works with newer servers.

mod address;
mod credential;
mod event_stream;
mod failure;
mod follow;
mod operations;
mod problem;
mod retries;
mod server;

pub use address::Address;
pub use credential::{Credential, CredentialError};
pub use failure::ClientError;
pub use follow::{Progress, Update};
pub use operations::{Document, MediaType};
pub use problem::Problem;
pub use server::{Server, Setup};
