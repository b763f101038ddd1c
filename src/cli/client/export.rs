//! `joulemark export`: writes tables of one or many experiments to a file or a pipe.

use std::fmt;
use std::fs::File;
use std::io::{IsTerminal as _, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::arguments::{FilterArguments, ServerArguments};
use super::session::{self, Session};
use super::{ending::Ending, part_file::PartFile};
use joulemark_experiment::ExperimentId;

#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Experiment to export; without it, all experiments that the filters select.
    #[arg(value_name = "ID", conflicts_with_all = ["FilterArguments", "limit"])]
    id: Option<ExperimentId>,
    /// One row for each experiment, cycle, request or token; with ID also for each sample (timeseries).
    #[arg(long, value_enum)]
    what: Option<What>,
    /// Labels that get a column each, named label_NAME, at the end.
    #[arg(long, value_name = "NAME,…", conflicts_with = "id")]
    label_columns: Option<String>,
    /// Format [default: by the extension of the output file, else csv]
    #[arg(short, long, value_enum)]
    format: Option<Format>,
    /// File to write; it appears only when complete. Without it, or for -, standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write CSV for a spreadsheet: a ' precedes text that could be taken for a formula.
    #[arg(long)]
    spreadsheet: bool,
    #[command(flatten)]
    filter: FilterArguments,
    /// Maximum number of experiments.
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,
    /// Print only errors on standard error.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    Summary,
    Cycles,
    Requests,
    Tokens,
    Timeseries,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
    Parquet,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        })
    }
}

impl Format {
    fn of_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

pub fn run(arguments: ExportArguments) -> ExitCode {
    session::run(&arguments.server, None, arguments.quiet, async |session| {
        export(session, &arguments).await
    })
}

async fn export(session: &Session, arguments: &ExportArguments) -> anyhow::Result<Ending> {
    let file = arguments.output.as_deref().filter(|path| *path != Path::new("-"));
    let format = arguments
        .format
        .or(file.and_then(Format::of_name))
        .unwrap_or(Format::Csv);
    if format == Format::Parquet && file.is_none() && stdout().is_terminal() {
        bail!("Parquet is binary and cannot be printed on a terminal; use --output FILE or a pipe");
    }
    let Some(path) = file else {
        let progress = if session.is_terminal {
            None
        } else {
            session.reporter.bar(counter())
        };
        copy(session, arguments, format, &mut stdout(), progress.as_ref()).await?;
        return Ok(Ending::Done);
    };
    let progress = session.reporter.bar(counter());
    let shown = || path.display().to_string();
    let copied = if path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        // A pipe or a device is written directly.
        let mut device = File::options().write(true).open(path).with_context(shown)?;
        copy(session, arguments, format, &mut device, progress.as_ref()).await?
    } else {
        let mut part = PartFile::create(path).with_context(shown)?;
        let copied = copy(session, arguments, format, &mut part.file, progress.as_ref()).await?;
        part.finish().with_context(shown)?;
        copied
    };
    if let Some(progress) = &progress {
        progress.finish_and_clear();
    }
    session.reporter.say(&copied.describe(&shown()));
    Ok(Ending::Done)
}

#[derive(Default)]
struct Copied {
    bytes: u64,
    /// Number of line ends; `None` for a format without lines.
    lines: Option<u64>,
    header_lines: u64,
}

impl Copied {
    fn rows(&self) -> Option<u64> {
        self.lines.map(|lines| lines.saturating_sub(self.header_lines))
    }

    fn describe(&self, path: &str) -> String {
        let lines = self.rows().map(|rows| format!(", {rows} lines")).unwrap_or_default();
        format!("{path}: {}{lines}", indicatif::HumanBytes(self.bytes))
    }
}

async fn copy(
    session: &Session,
    arguments: &ExportArguments,
    format: Format,
    to: &mut impl Write,
    progress: Option<&ProgressBar>,
) -> anyhow::Result<Copied> {
    let mut response = session.server.export(arguments.id, &query(arguments, format)).await?;
    let mut copied = Copied {
        lines: (format != Format::Parquet).then_some(0),
        header_lines: u64::from(format == Format::Csv),
        ..Copied::default()
    };
    while let Some(bytes) = session.server.next_piece(&mut response).await? {
        to.write_all(&bytes)?;
        copied.bytes += bytes.len() as u64;
        if let Some(lines) = &mut copied.lines {
            *lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        if let Some(progress) = progress {
            progress.set_position(copied.bytes);
            if let Some(rows) = copied.rows() {
                progress.set_message(format!("{rows} lines"));
            }
        }
    }
    to.flush()?;
    Ok(copied)
}

fn query(arguments: &ExportArguments, format: Format) -> Vec<(String, String)> {
    let mut query = arguments.filter.query();
    let mut add = |name: &str, value: String| query.push((name.to_owned(), value));
    add("format", format.to_string());
    if let Some(what) = arguments.what.and_then(|what| what.to_possible_value()) {
        add("what", what.get_name().to_owned());
    }
    if let Some(names) = &arguments.label_columns {
        add("label_columns", names.clone());
    }
    if let Some(limit) = arguments.limit {
        add("limit", limit.to_string());
    }
    if arguments.spreadsheet {
        add("spreadsheet", "true".to_owned());
    }
    query
}

/// Returns a progress indicator without a total, which is unknown until the end.
fn counter() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bytes} ({bytes_per_sec}) {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_follows_from_the_extension() {
        for (name, expected) in [
            ("a.csv", Some(Format::Csv)),
            ("a.NDJSON", Some(Format::Jsonl)),
            ("b/a.parquet", Some(Format::Parquet)),
            ("a.txt", None),
            ("csv", None),
        ] {
            assert_eq!(Format::of_name(Path::new(name)), expected, "{name}");
        }
    }
}
