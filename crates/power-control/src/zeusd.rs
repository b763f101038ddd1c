//! The protocol of `zeusd` 0.5: POST requests with a query over a Unix socket. Boards are named by their index in NVML.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::board::{ControlError, milliwatts};
use crate::setting::Setting;

/// Timeout of a request. The daemon waits for the driver, which takes at most a second or two.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The API group that must be enabled in the daemon.
const CONTROL: &str = "gpu-control";
/// Maximum number of bytes read from an error response.
const MAX_ERROR_BYTES: usize = 4096;

/// The answer to `GET /discover`.
#[derive(Debug, Deserialize)]
struct Discovered {
    gpus: Vec<serde_json::Value>,
    enabled_api_groups: Vec<String>,
    auth_required: bool,
}

/// The daemon at a socket.
pub struct Zeusd<'a> {
    socket: &'a Path,
}

impl<'a> Zeusd<'a> {
    /// Returns the daemon at this socket, without connecting.
    pub fn at(socket: &'a Path) -> Self {
        Self { socket }
    }

    /// Sets a board.
    ///
    /// # Errors
    /// Returns the [`ControlError`] of the first value that was rejected; values set before it remain set.
    pub async fn set(&self, index: u32, setting: &Setting) -> Result<(), ControlError> {
        if let Some(mhz) = setting.memory_clock_mhz {
            let query = format!("min_clock_mhz={mhz}&max_clock_mhz={mhz}");
            self.post("set_mem_locked_clocks", index, &query).await?;
        }
        if let Some(mhz) = setting.gpu_clock_mhz {
            let query = format!("min_clock_mhz={mhz}&max_clock_mhz={mhz}");
            self.post("set_gpu_locked_clocks", index, &query).await?;
        }
        match setting.power_limit_w {
            Some(watts) => {
                let query = format!("power_limit_mw={}", milliwatts(watts));
                self.post("set_power_limit", index, &query).await
            }
            None => Ok(()),
        }
    }

    /// Unlocks the clocks of a board.
    ///
    /// # Errors
    /// Returns the [`ControlError`] of the first clock that could not be unlocked.
    pub async fn unlock(&self, index: u32, (gpu, memory): (bool, bool)) -> Result<(), ControlError> {
        if gpu {
            self.post("reset_gpu_locked_clocks", index, "").await?;
        }
        if memory {
            self.post("reset_mem_locked_clocks", index, "").await?;
        }
        Ok(())
    }

    /// Checks that the daemon answers, sees `gpus` GPUs, and sets them without a token.
    ///
    /// # Errors
    /// Returns [`ControlError`] with a message that says what to do.
    pub async fn check(&self, gpus: usize) -> Result<(), ControlError> {
        let response = self.client()?.get("http://localhost/discover").send().await;
        let response = response.map_err(|error| self.away(&error))?;
        let body = response.text().await.map_err(|error| self.away(&error))?;
        let found: Discovered = serde_json::from_str(&body).map_err(|_| {
            ControlError::Away(format!(
                "the program that listens at {} is not zeusd",
                self.socket.display()
            ))
        })?;
        if found.auth_required {
            let message = "zeusd requires a token (--signing-key-path), which this service cannot send; start it without \
                           one and restrict access by the owner and mode of its socket";
            return Err(ControlError::Forbidden(message.to_owned()));
        }
        if !found.enabled_api_groups.iter().any(|group| group == CONTROL) {
            let enabled = found.enabled_api_groups.join(",");
            let message = format!("zeusd was started with --enable {enabled}; enable {CONTROL} as well");
            return Err(ControlError::Forbidden(message));
        }
        if found.gpus.len() != gpus {
            let message = format!(
                "zeusd sees {} GPUs, but NVML sees {gpus}: restart zeusd",
                found.gpus.len()
            );
            return Err(ControlError::Away(message));
        }
        Ok(())
    }

    fn client(&self) -> Result<reqwest::Client, ControlError> {
        let client = reqwest::Client::builder().unix_socket(self.socket).timeout(TIMEOUT);
        client.build().map_err(|error| self.away(&error))
    }

    /// Sends a call for one board. With `block`, the daemon answers after the driver has applied it.
    async fn post(&self, call: &str, index: u32, query: &str) -> Result<(), ControlError> {
        let separator = if query.is_empty() { "" } else { "&" };
        let url = format!("http://localhost/gpu/{call}?gpu_ids={index}{separator}{query}&block=true");
        let response = self.client()?.post(url).send().await;
        let mut response = response.map_err(|error| self.away(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= MAX_ERROR_BYTES {
                body.truncate(MAX_ERROR_BYTES);
                break;
            }
        }
        let message = format!("zeusd: {call}: {status}: {}", String::from_utf8_lossy(&body).trim());
        Err(match status.as_u16() {
            401 | 403 => ControlError::Forbidden(message),
            404 => ControlError::Forbidden(format!("{message} (was it started with --enable {CONTROL}?)")),
            400 => ControlError::Refused(message),
            _ => ControlError::Away(message),
        })
    }

    /// Converts a failed request.
    fn away(&self, error: &reqwest::Error) -> ControlError {
        let cause = std::iter::successors(std::error::Error::source(error), |cause| cause.source()).last();
        let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
        ControlError::Away(format!("zeusd does not answer at {}: {cause}", self.socket.display()))
    }
}
