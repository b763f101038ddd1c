use std::path::PathBuf;

use serde::Serialize;

use crate::cli::power::controller;
use crate::config::Settings;
use joulemark_meter::GpuDevice;

/// Whether power limits and clocks can be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PowerFinding {
    /// Who sets them, as the option names it.
    pub power_control: String,
    pub works: bool,
    /// Why none can be set, and what mends it.
    pub problem: Option<String>,
}

impl PowerFinding {
    /// Returns a line of text.
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

/// Asks whoever sets power limits and clocks, without changing any; `None` where nobody is named.
///
/// # Errors
/// The operating system's, where no runtime can be had.
pub fn examine(settings: &Settings, gpus: &[GpuDevice]) -> std::io::Result<Option<PowerFinding>> {
    // Nothing is set, so that there is no journal.
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
