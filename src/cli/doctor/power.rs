//! Checks whether power limits and clocks can be set.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::power::controller;
use crate::config::Settings;
use joulemark_meter::GpuDevice;

/// Whether power limits and clocks can be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PowerFinding {
    /// The program that sets them, as the option names it.
    pub power_control: String,
    pub works: bool,
    /// Why they cannot be set, and how to fix that.
    pub problem: Option<String>,
}

impl PowerFinding {
    /// Returns the finding as text.
    pub fn text(&self) -> String {
        match &self.problem {
            None => format!("  works  by {}", self.power_control),
            Some(problem) => format!(
                "  --     by {}: {problem}\n         fix: docs/power.md",
                self.power_control
            ),
        }
    }
}

/// Checks the configured power control without changing a setting; returns `None` when none is configured.
///
/// # Errors
/// Returns the operating system's error when no async runtime can be started.
pub fn examine(settings: &Settings, gpus: &[GpuDevice]) -> std::io::Result<Option<PowerFinding>> {
    // Nothing is set, so no journal is needed.
    let Some(controller) = controller(settings, &PathBuf::new()) else {
        return Ok(None);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let problem = runtime.block_on(controller.problem(gpus));
    Ok(Some(PowerFinding {
        power_control: controller.control.to_string(),
        works: problem.is_none(),
        problem,
    }))
}
