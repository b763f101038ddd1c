//! The wire of `zeusd` 0.5: POST with a query, on a Unix socket. A board is named by NVML's index, as the daemon counts.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::board::{ControlError, milliwatts};
use crate::setting::Setting;

/// A call waits for the driver, which takes a second or two at most while it answers at all.
const PATIENCE: Duration = Duration::from_secs(15);
/// What it must be started with.
const CONTROL: &str = "gpu-control";
/// Of an answer that is an error, so that no server fills the memory.
const MOST_ERROR_BYTES: usize = 4096;

/// What `GET /discover` says.
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
    pub fn at(socket: &'a Path) -> Self {
        Self { socket }
    }

    /// Sets a board.
    ///
    /// # Errors
    /// [`ControlError`] of the first part that is not taken.
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

    /// Unlocks clocks of a board.
    ///
    /// # Errors
    /// [`ControlError`] of the first part that is not taken.
    pub async fn unlock(&self, index: u32, (gpu, memory): (bool, bool)) -> Result<(), ControlError> {
        if gpu {
            self.post("reset_gpu_locked_clocks", index, "").await?;
        }
        if memory {
            self.post("reset_mem_locked_clocks", index, "").await?;
        }
        Ok(())
    }

    /// Checks that it listens, sees `gpus` boards, and would set them for whoever asks.
    ///
    /// # Errors
    /// [`ControlError`] in words that say what to do.
    pub async fn check(&self, gpus: usize) -> Result<(), ControlError> {
        let response = self.client()?.get("http://localhost/discover").send().await;
        let response = response.map_err(|error| self.away(&error))?;
        let body = response.text().await.map_err(|error| self.away(&error))?;
        let found: Discovered = serde_json::from_str(&body)
            .map_err(|_| ControlError::Away(format!("what listens at {} is no zeusd", self.socket.display())))?;
        if found.auth_required {
            let words = "zeusd wants a token (--signing-key-path), which this service has none of; let its socket's owner and \
                         mode say who may use it";
            return Err(ControlError::Forbidden(words.to_owned()));
        }
        if !found.enabled_api_groups.iter().any(|group| group == CONTROL) {
            let enabled = found.enabled_api_groups.join(",");
            let words = format!("zeusd was started with --enable {enabled}; it takes {CONTROL} as well");
            return Err(ControlError::Forbidden(words));
        }
        if found.gpus.len() != gpus {
            let words = format!("zeusd sees {} GPUs, and NVML here {gpus}: restart it", found.gpus.len());
            return Err(ControlError::Away(words));
        }
        Ok(())
    }

    fn client(&self) -> Result<reqwest::Client, ControlError> {
        let client = reqwest::Client::builder().unix_socket(self.socket).timeout(PATIENCE);
        client.build().map_err(|error| self.away(&error))
    }

    /// `block`: the answer comes once the driver has taken it.
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
            if body.len() >= MOST_ERROR_BYTES {
                body.truncate(MOST_ERROR_BYTES);
                break;
            }
        }
        let words = format!("zeusd: {call}: {status}: {}", String::from_utf8_lossy(&body).trim());
        Err(match status.as_u16() {
            401 | 403 => ControlError::Forbidden(words),
            404 => ControlError::Forbidden(format!("{words} (was it started with --enable {CONTROL}?)")),
            400 => ControlError::Refused(words),
            _ => ControlError::Away(words),
        })
    }

    fn away(&self, error: &reqwest::Error) -> ControlError {
        let cause = std::iter::successors(std::error::Error::source(error), |cause| cause.source()).last();
        let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
        ControlError::Away(format!("zeusd does not answer at {}: {cause}", self.socket.display()))
    }
}
