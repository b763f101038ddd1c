//! `joulemark power`: puts back power limits and clocks that a killed server left.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::node;
use super::options::Options;
use crate::config::Settings;
use joulemark_power_control::{Controller, Restored, left_set};

#[derive(Debug, Args)]
pub struct PowerArguments {
    #[command(subcommand)]
    command: PowerCommand,
}

#[derive(Debug, Subcommand)]
enum PowerCommand {
    /// Put back the power limits and clocks that a killed server of this host and user left; with the options that the
    /// server has.
    Restore(Options),
}

/// Returns who sets power limits and clocks of this host by the settings; `None` for nobody.
pub fn controller(settings: &Settings, journals: &Path) -> Option<Controller> {
    settings.power.control().map(|control| Controller {
        control,
        nvml_library: settings.energy.nvml_library(),
        journals: journals.to_owned(),
    })
}

pub fn run(arguments: PowerArguments) -> anyhow::Result<()> {
    let PowerCommand::Restore(options) = arguments.command;
    let settings = options.load()?.settings;
    let locks = node::lock_folder(&settings.node.lock_dir)?;
    let mut out = std::io::stdout();
    let Some(controller) = controller(&settings, locks.path()) else {
        let left = left_set(locks.path()).context("the journals cannot be read")?;
        if !left.is_empty() {
            bail!(
                "{} are left set, and --power-control names nobody who puts them back",
                left.join(", ")
            );
        }
        writeln!(out, "nothing to put back")?;
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let all = runtime
        .block_on(controller.restore_left())
        .context("the boards cannot be put back")?;
    if all.is_empty() {
        writeln!(out, "nothing to put back")?;
    }
    let mut failed = 0;
    for board in &all {
        failed += u32::from(matches!(board.restored, Restored::Failed(_)));
        writeln!(out, "GPU {board}")?;
    }
    if failed > 0 {
        bail!("{failed} GPUs are not put back");
    }
    Ok(())
}
