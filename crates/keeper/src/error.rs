use std::io;

use thiserror::Error;

/// Why a keeper did not start its engine, or could not end it.
#[derive(Debug, Error)]
pub enum KeepError {
    #[error("the keeper of an engine is started by the service, not by hand: {0}")]
    ByHand(#[source] io::Error),
    #[error("the order is not of the protocol: {0}")]
    Order(#[source] serde_json::Error),
    #[error("cannot run on CPUs {cpus:?}: {error}")]
    Pinning { cpus: Vec<u32>, error: io::Error },
    #[error("cannot keep a record of the engine in {folder}: {error}")]
    Record { folder: String, error: io::Error },
    #[error("{0}")]
    Start(String),
    #[error("after SIGKILL there still run, of the engine's processes: {0}; they are ended at the next start")]
    Survivors(String),
    #[error("the keeper cannot wait for its engine: {0}")]
    Waiting(#[from] io::Error),
}
