//! `joulemark completions`: completion scripts for shells.

use std::io::{Write as _, stdout};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;

#[derive(Debug, Args)]
#[command(after_help = "For bash: joulemark completions bash > ~/.local/share/bash-completion/completions/joulemark")]
pub struct CompletionsArguments {
    shell: Shell,
}

pub fn run(arguments: &CompletionsArguments, whole: &Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut offered(whole), "joulemark", &mut script);
    stdout().write_all(&script).context("the completions cannot be printed")
}

/// Returns the command without its hidden subcommands, which clap_complete would offer as well.
fn offered(whole: &Command) -> Command {
    let shown = whole.get_subcommands().filter(|command| !command.is_hide_set());
    Command::new("joulemark")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(shown.cloned())
}
