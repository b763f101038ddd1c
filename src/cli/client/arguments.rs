//! Arguments that the client's subcommands share.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use joulemark_files::read_given;

use crate::client::{Address, Credential};
use joulemark_experiment::ExperimentId;
use joulemark_measurement::quoted;

const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

// No doc comment: clap would show it as the subcommand's description. The key is not an argument, since every user of
// the host can read those.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArguments {
    /// Address of the server, with its path prefix if any [env: JOULEMARK_SERVER] [default: http://127.0.0.1:8080].
    #[arg(long, value_name = "URL")]
    server: Option<Address>,
    /// File with the API key, readable by its owner alone [env: JOULEMARK_API_KEY_FILE; JOULEMARK_API_KEY holds the key
    /// itself].
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// PEM file with the certificate authorities to trust instead of the system's [env: JOULEMARK_CACERT].
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Maximum duration of the command; the experiments go on after it [default: unlimited].
    #[arg(long, value_name = "SECONDS")]
    pub timeout_sec: Option<u32>,
    /// How long to retry while the server is unavailable or busy, counted from its last answer; 0 does not retry.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub retry_sec: u32,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl ServerArguments {
    /// Returns the address of the server. Returns an error when JOULEMARK_SERVER is invalid.
    pub fn address(&self) -> anyhow::Result<Address> {
        if let Some(address) = &self.server {
            return Ok(address.clone());
        }
        let given = variable("JOULEMARK_SERVER");
        let text = given.as_deref().unwrap_or(DEFAULT_SERVER);
        text.parse()
            .map_err(|error| anyhow::anyhow!("JOULEMARK_SERVER is {text}: {error}", text = quoted(&text)))
    }

    /// Returns the API key, if one is given. Returns an error when it cannot be read.
    pub fn credential(&self) -> anyhow::Result<Option<Credential>> {
        if let Some(path) = &self.api_key_file {
            return Ok(Some(Credential::from_file(path).context("--api-key-file")?));
        }
        if let Some(key) = variable("JOULEMARK_API_KEY") {
            return Ok(Some(Credential::new(&key, "JOULEMARK_API_KEY")?));
        }
        let file = variable("JOULEMARK_API_KEY_FILE").map(PathBuf::from);
        file.map(|path| Credential::from_file(&path).context("JOULEMARK_API_KEY_FILE"))
            .transpose()
    }

    /// Returns the PEM of the authorities to trust; `None` for the system's.
    pub fn authorities(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let path = self
            .cacert
            .clone()
            .or_else(|| variable("JOULEMARK_CACERT").map(PathBuf::from));
        let read = |path: PathBuf| read_given(&path).with_context(|| format!("--cacert {}", path.display()));
        Ok(path.map(read).transpose()?.map(|(_, bytes)| bytes))
    }
}

#[derive(Debug, Args)]
pub struct OutputArguments {
    /// Print JSON, also on a terminal. This is the default when standard output is not a terminal.
    #[arg(long, conflicts_with = "table")]
    pub json: bool,
    /// Print text, also when standard output is not a terminal.
    #[arg(long)]
    pub table: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArguments {
    /// Only in this state: queued, starting, warming_up, measuring, aggregating, completed, failed, cancelled.
    #[arg(long)]
    pub state: Option<joulemark_experiment::State>,
    /// Only with this model_name.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only run by this engine, e.g. mistral.
    #[arg(long, value_name = "NAME")]
    engine: Option<String>,
    /// Only of this user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only submitted with an API key of this name.
    #[arg(long, value_name = "NAME")]
    submitter: Option<String>,
    /// Only of the sweep with this ID.
    #[arg(long, value_name = "ID")]
    sweep: Option<ExperimentId>,
    /// Only with this label, NAME=VALUE; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    label: Vec<String>,
    /// Only accepted at this time or later, e.g. 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    created_after: Option<jiff::Timestamp>,
    /// Only accepted before this time.
    #[arg(long, value_name = "TIME")]
    created_before: Option<jiff::Timestamp>,
    /// Only finished at this time or later; sorts by the time of finishing, latest first.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["created_after", "created_before"])]
    finished_after: Option<jiff::Timestamp>,
    /// Only finished before this time; sorts likewise.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["created_after", "created_before"])]
    finished_before: Option<jiff::Timestamp>,
    /// Sort order; a leading - is descending. Sorting by finished_at lists only finished experiments [default:
    /// -created_at].
    #[arg(long, value_name = "ORDER", allow_hyphen_values = true,
          value_parser = ["created_at", "-created_at", "finished_at", "-finished_at"])]
    sort: Option<String>,
}

fn label(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("it must have the form NAME=VALUE".to_owned()),
    }
}

impl FilterArguments {
    /// Returns the filters as query parameters of the server's list.
    pub fn query(&self) -> Vec<(String, String)> {
        let single = [
            ("state", self.state.map(|state| state.to_string())),
            ("model", self.model.clone()),
            ("engine", self.engine.clone()),
            ("user", self.user.clone()),
            ("submitter", self.submitter.clone()),
            ("sweep", self.sweep.map(|id| id.to_string())),
            ("created_after", self.created_after.map(|time| time.to_string())),
            ("created_before", self.created_before.map(|time| time.to_string())),
            ("finished_after", self.finished_after.map(|time| time.to_string())),
            ("finished_before", self.finished_before.map(|time| time.to_string())),
            ("sort", self.sort.clone()),
        ];
        let labels = self.label.iter().map(|label| ("label".to_owned(), label.clone()));
        let single = single
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        single.chain(labels).collect()
    }
}
