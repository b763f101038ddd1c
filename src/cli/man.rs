//! `joulemark man`.

use std::io::{Write as _, stdout};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_mangen::Man;

#[derive(Debug, Args)]
#[command(after_help = "To read the page without installing it: joulemark man | man -l -")]
pub struct ManArguments {
    /// Write joulemark.1 and a page for each subcommand into this folder; creates the folder if needed.
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub fn run(arguments: &ManArguments, command: Command) -> anyhow::Result<()> {
    if let Some(folder) = &arguments.dir {
        let shown = || folder.display().to_string();
        std::fs::create_dir_all(folder).with_context(shown)?;
        return clap_mangen::generate_to(command, folder).with_context(shown);
    }
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    stdout().write_all(&page).context("the manual page cannot be printed")
}
