//! Builds the sender of callbacks from the settings.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use joulemark_files::read_given;

use crate::callback::{Allowed, Poster, Schedule};
use crate::config::Settings;
use crate::scheduler::Deliveries;

/// Minimum length of the secret; shorter ones can be guessed.
const LEAST_BYTES: usize = 16;

/// Returns how callbacks are sent; `None` when no address may be called.
pub fn build(settings: &Settings) -> anyhow::Result<Option<Deliveries>> {
    if !settings.callback.calls_back() {
        return Ok(None);
    }
    let file = settings.callback.callback_secret_file.display();
    let (_, secret) = read_given(&settings.callback.callback_secret_file)
        .with_context(|| format!("the secret for callbacks cannot be read from {file} (callback_secret_file)"))?;
    let secret = secret.trim_ascii();
    ensure!(
        secret.len() >= LEAST_BYTES,
        "the secret for callbacks in {file} has {} bytes; it needs at least {LEAST_BYTES}, e.g. the output of \
         `openssl rand -hex 32`",
        secret.len()
    );
    let allowed = Allowed::new(settings.callback.entries(), settings.callback.callback_http);
    let timeout = Duration::from_secs(u64::from(settings.callback.callback_timeout_sec));
    Ok(Some(Deliveries {
        poster: Poster::new(allowed, secret, timeout),
        schedule: Schedule {
            first: Duration::from_secs(u64::from(settings.callback.callback_retry_sec)),
            max_attempts: settings.callback.callback_attempts,
        },
    }))
}
