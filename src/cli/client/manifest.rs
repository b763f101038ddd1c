//! `joulemark manifest` and `joulemark bundle`: the inputs of a result, and all data that it is computed from.

use std::fs::File;
use std::io::{IsTerminal as _, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use super::arguments::ServerArguments;
use super::session::{self, Session};
use super::{ending::Ending, part_file::PartFile};
use joulemark_experiment::ExperimentId;

#[derive(Debug, Args)]
pub struct ManifestArguments {
    /// ID of the experiment. The output can be submitted again with `joulemark submit`.
    id: ExperimentId,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct BundleArguments {
    /// ID of the experiment.
    id: ExperimentId,
    /// Tar file to write; it appears only when complete. For -, standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Print only errors on standard error.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// Runs `joulemark manifest`.
pub fn print(arguments: &ManifestArguments) -> ExitCode {
    session::run(&arguments.server, None, false, async |session| {
        let manifest = session.server.manifest(arguments.id).await;
        session.print_document(&session.of_experiment(arguments.id, manifest).await?)?;
        Ok(Ending::Done)
    })
}

/// Runs `joulemark bundle`.
pub fn fetch(arguments: &BundleArguments) -> ExitCode {
    session::run(&arguments.server, None, arguments.quiet, async |session| {
        write(session, arguments).await
    })
}

async fn write(session: &Session, arguments: &BundleArguments) -> anyhow::Result<Ending> {
    let path = arguments.output.as_path();
    let shown = || path.display().to_string();
    if path == Path::new("-") {
        if stdout().is_terminal() {
            bail!("a bundle is binary and cannot be printed on a terminal; use --output FILE or a pipe");
        }
        copy(session, arguments, &mut stdout()).await?;
        return Ok(Ending::Done);
    }
    let bytes = if path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        // A pipe or a device is written directly.
        let mut device = File::options().write(true).open(path).with_context(shown)?;
        copy(session, arguments, &mut device).await?
    } else {
        let mut part = PartFile::create(path).with_context(shown)?;
        let bytes = copy(session, arguments, &mut part.file).await?;
        part.finish().with_context(shown)?;
        bytes
    };
    let said = format!("{}: {}", shown(), indicatif::HumanBytes(bytes));
    session.reporter.say(&said);
    session
        .reporter
        .say(&format!("check it with: joulemark verify {}", shown()));
    Ok(Ending::Done)
}

async fn copy(session: &Session, arguments: &BundleArguments, to: &mut impl Write) -> anyhow::Result<u64> {
    let opened = session.server.bundle(arguments.id).await;
    let mut response = session.of_experiment(arguments.id, opened).await?;
    let mut copied = 0;
    while let Some(bytes) = session.server.next_piece(&mut response).await? {
        to.write_all(&bytes)?;
        copied += bytes.len() as u64;
    }
    to.flush()?;
    Ok(copied)
}
