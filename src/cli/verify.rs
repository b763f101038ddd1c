//! `joulemark verify`: recomputes the figures of a bundle, offline.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, Read, Write as _, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::client::Ending;
use crate::bundle::{Limits, Verdict, verify};

/// Maximum number of lines of one kind that are printed; a forged file may differ everywhere.
const MAX_LINES: usize = 50;

#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// Bundle written by `joulemark bundle ID -o FILE`; - reads standard input.
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Print the verdict as JSON.
    #[arg(long)]
    json: bool,
    /// Maximum number of bytes to read; memory use is several times as much.
    #[arg(long, value_name = "N", default_value_t = 1 << 30)]
    max_bytes: u64,
}

pub fn run(arguments: &VerifyArguments) -> ExitCode {
    let ending = check(arguments).unwrap_or_else(|error| {
        let error = anyhow::Error::from(error).context(arguments.bundle.display().to_string());
        eprintln!("joulemark: {error:#}");
        Ending::of_error(&error)
    });
    ending.into()
}

fn check(arguments: &VerifyArguments) -> std::io::Result<Ending> {
    let reader: Box<dyn Read> = match arguments.bundle == Path::new("-") {
        true => Box::new(stdin().lock()),
        false => Box::new(BufReader::new(File::open(&arguments.bundle)?)),
    };
    let limits = Limits {
        max_bytes: arguments.max_bytes,
    };
    let verdict = verify(reader, limits)?;
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&verdict)? + "\n",
        false => in_words(&verdict),
    };
    stdout().lock().write_all(text.as_bytes())?;
    Ok(if verdict.holds() { Ending::Done } else { Ending::Differs })
}

/// Returns the verdict as text.
fn in_words(verdict: &Verdict) -> String {
    let mut text = String::new();
    let id = verdict.id.as_deref().unwrap_or("unnamed experiment");
    let _ = writeln!(
        text,
        "{id}: {} files, {} figures recomputed",
        verdict.files, verdict.figures
    );
    let differs = verdict.differences.iter().map(|difference| {
        let value = |value: &Value| value.to_string().chars().take(80).collect::<String>();
        format!(
            "{} is {}, recomputed {}",
            difference.place,
            value(&difference.recorded),
            value(&difference.computed)
        )
    });
    list(&mut text, "damaged or altered", verdict.damage.iter().cloned());
    list(&mut text, "figures that differ", differs);
    list(&mut text, "not checked", verdict.not_checked.iter().cloned());
    let end = match verdict.holds() {
        true => "every file is unaltered, and every recomputed figure agrees with the stated one",
        false => "the bundle does not verify",
    };
    let _ = writeln!(text, "{end}");
    text
}

fn list(text: &mut String, title: &str, lines: impl ExactSizeIterator<Item = String>) {
    let count = lines.len();
    if count == 0 {
        return;
    }
    let _ = writeln!(text, "{title}:");
    for line in lines.take(MAX_LINES) {
        let _ = writeln!(text, "  {line}");
    }
    if count > MAX_LINES {
        let _ = writeln!(text, "  and {} more; --json prints all", count - MAX_LINES);
    }
}
