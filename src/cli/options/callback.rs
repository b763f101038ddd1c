use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

// Not a doc comment: clap would show it as the description of every command that these options are part of.
// Who may be told over HTTP of an experiment's end.
#[derive(Debug, Args, Serialize)]
pub struct CallbackOptions {
    /// A host (*.NAME for all below it), address or network that a callback_url may name; may be given several times
    /// [default: none].
    #[arg(long)]
    callback_allow: Option<Vec<String>>,
    /// File with the secret that callbacks are signed with, 16 bytes or more.
    #[arg(long)]
    callback_secret_file: Option<PathBuf>,
    /// Allow callback URLs without TLS.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    callback_http: Option<bool>,
    /// Seconds after which a callback that failed is made again the first time [default: 10].
    #[arg(long)]
    callback_retry_sec: Option<u32>,
    /// How often a callback is tried [default: 12].
    #[arg(long)]
    callback_attempts: Option<u32>,
}
