//! `joulemark power`: restores power limits and clocks that a killed server left set.

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
    /// Restore the power limits and clocks that a killed server of this host and user left set. Give it the options of
    /// that server.
    Restore(Options),
}

/// Returns the controller of power limits and clocks; `None` when the settings name no power control.
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
                "{} are still set; give --power-control to restore them",
                left.join(", ")
            );
        }
        writeln!(out, "nothing to restore")?;
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let all = runtime
        .block_on(controller.restore_left())
        .context("the GPUs cannot be restored")?;
    if all.is_empty() {
        writeln!(out, "nothing to restore")?;
    }
    let mut failed = 0;
    for board in &all {
        failed += u32::from(matches!(board.restored, Restored::Failed(_)));
        writeln!(out, "GPU {board}")?;
    }
    if failed > 0 {
        bail!("{failed} GPUs are not restored");
    }
    Ok(())
}
