mod access;
mod callback;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use toml::Table;

use super::energy::EnergyArguments;
use crate::config::{self, Layered};

/// Every option of the service. What is not given here comes from the environment (`JOULEMARK_…`), then from the
/// file, then from the default.
#[derive(Debug, Args, Serialize)]
pub struct Options {
    /// TOML file with options; JOULEMARK_CONFIG names it as well.
    #[arg(long)]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// Address and port of the HTTP API, or unix:/PATH [default: 127.0.0.1:8080].
    #[arg(long)]
    listen: Option<String>,
    /// sqlite://PATH or postgres://… [default: sqlite://joulemark.db].
    #[arg(long)]
    database_url: Option<String>,
    /// Folder where ends of runs wait while the database is away [default: beside the database].
    #[arg(long)]
    spool_dir: Option<PathBuf>,
    /// Days for which raw data is kept; 0 is for ever [default: 0].
    #[arg(long)]
    retention_days: Option<u32>,
    /// Bytes of raw data that are kept, the oldest dropped first; 0 is without bound [default: 0].
    #[arg(long)]
    retention_bytes: Option<u64>,
    /// Folder that holds the models [default: ./models].
    #[arg(long)]
    models_dir: Option<PathBuf>,
    /// Folder that holds the engines [default: beside this program].
    #[arg(long)]
    engine_dir: Option<PathBuf>,
    /// Accept Hugging Face ids as model names and fetch them from the hub.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    allow_hub: Option<bool>,
    /// Accept model names `synthetic:…`, for tests of the service itself.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    allow_synthetic_engine: Option<bool>,
    #[command(flatten)]
    #[serde(flatten)]
    energy: EnergyArguments,
    /// Name of this server among those that share the database [default: the host's name].
    #[arg(long)]
    node_name: Option<String>,
    /// A label of this node, NAME=VALUE, that experiments may ask for; may be given several times.
    #[arg(long)]
    node_label: Option<Vec<String>>,
    /// Folder with this host's device locks, the same for all its servers [default: /run/lock/joulemark].
    #[arg(long)]
    lock_dir: Option<PathBuf>,
    /// Seconds without a heartbeat after which a server counts as dead [default: 30].
    #[arg(long)]
    lease_sec: Option<u32>,
    /// How often an experiment is run when its server goes away beneath it [default: 3].
    #[arg(long)]
    max_attempts: Option<u32>,
    /// Seconds a worker may take to load its model [default: 1800].
    #[arg(long)]
    load_timeout_sec: Option<u32>,
    /// Seconds a loaded worker may go without a new token [default: 600].
    #[arg(long)]
    stall_timeout_sec: Option<u32>,
    /// Seconds an experiment may run in all [default: 604800].
    #[arg(long)]
    experiment_timeout_sec: Option<u32>,
    /// Largest accepted request body in bytes [default: 33554432].
    #[arg(long)]
    max_body_bytes: Option<u64>,
    #[command(flatten)]
    #[serde(flatten)]
    access: access::AccessOptions,
    #[command(flatten)]
    #[serde(flatten)]
    callback: callback::CallbackOptions,
    /// Collector that takes OpenTelemetry traces by OTLP over HTTP, such as http://127.0.0.1:4318 [default: none].
    #[arg(long)]
    otlp_endpoint: Option<String>,
    /// human or json [default: human].
    #[arg(long)]
    log_format: Option<String>,
    /// Filter of the log, in tracing-subscriber's syntax [default: info].
    #[arg(long)]
    log: Option<String>,
}

impl Options {
    /// The settings in force.
    pub fn load(&self) -> anyhow::Result<Layered> {
        let flags = Table::try_from(self).context("the flags cannot be read")?;
        let file = self
            .config
            .clone()
            .or_else(|| std::env::var_os("JOULEMARK_CONFIG").map(PathBuf::from));
        Ok(config::load(file.as_deref(), |name| std::env::var(name).ok(), flags)?)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::DEFAULT_TOML;

    #[derive(Debug, clap::Parser)]
    struct OnlyOptions {
        #[command(flatten)]
        _options: Options,
    }

    #[test]
    fn every_option_of_the_default_file_is_a_flag_and_no_other_is() {
        let mut known = DEFAULT_TOML
            .parse::<Table>()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>();
        known.push("config".to_owned());
        known.sort();
        let command = OnlyOptions::command();
        let mut flags = command
            .get_arguments()
            .filter_map(|argument| argument.get_long())
            .map(|flag| flag.replace('-', "_"))
            .collect::<Vec<_>>();
        flags.sort();
        assert_eq!(flags, known);
    }
}
