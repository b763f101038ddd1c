use std::io;

use thiserror::Error;

/// The reason why a keeper did not start its engine, or could not end it.
#[derive(Debug, Error)]
pub enum KeepError {
    #[error("the keeper of an engine is started by the service, not by hand: {0}")]
    ByHand(#[source] io::Error),
    #[error("the keeper cannot read its order: {0}")]
    Order(#[source] serde_json::Error),
    #[error("cannot run on CPUs {cpus:?}: {error}")]
    Pinning { cpus: Vec<u32>, error: io::Error },
    #[error("cannot write the record of the engine in {folder}: {error}")]
    Record { folder: String, error: io::Error },
    #[error("{0}")]
    Start(String),
    #[error("processes of the engine still run after SIGKILL: {0}; the next start of the service ends them")]
    Survivors(String),
    #[error("the keeper cannot wait for its engine: {0}")]
    Waiting(#[from] io::Error),
}
