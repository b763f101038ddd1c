//! `joulemark probe`: whether an OpenAI-compatible server supports what a measurement needs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use joulemark_openai::{CapabilityCard, Client, Endpoint, Secret, probe};

use super::say::say;
use crate::client::Credential;

#[derive(Debug, Args)]
#[command(
    after_help = "Sends about ten requests of up to 48 tokens; measures nothing. Exit code 0 when the server \
                        answered, whatever it supports."
)]
pub struct ProbeArguments {
    /// Address of the server, such as http://127.0.0.1:8000.
    #[arg(value_name = "URL")]
    endpoint: Endpoint,
    /// Model to use, by the server's name for it [default: the first that it lists].
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// File with the API key of the server, readable by its owner alone.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Timeout of a request.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    request_timeout_sec: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Probes the server and prints its capabilities.
pub fn run(arguments: &ProbeArguments) -> anyhow::Result<()> {
    let key = arguments.api_key_file.as_deref().map(Credential::from_file);
    let key = key.transpose().context("--api-key-file")?;
    let client = Client::new(
        arguments.endpoint.clone(),
        key.map(|key| Secret::from_header(key.header())),
    );
    let timeout = Duration::from_secs(arguments.request_timeout_sec.into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let card = runtime.block_on(probe(&client, arguments.model.as_deref(), timeout));
    let card = card.with_context(|| format!("{} cannot be probed", arguments.endpoint))?;
    match arguments.json {
        true => say(&format!("{}\n", serde_json::to_string_pretty(&card)?)),
        false => say(&table(&card)),
    }
}

fn table(card: &CapabilityCard) -> String {
    let known = |honoured: Option<bool>| match honoured {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    };
    let server = card.server.as_deref().unwrap_or("unknown");
    let rows = [
        (
            "server",
            format!("{server} {}", card.server_version.as_deref().unwrap_or_default()),
        ),
        ("models", card.models.join(", ")),
        ("chat", known(Some(card.chat)).to_owned()),
        ("streams", known(Some(card.streams)).to_owned()),
        ("counts tokens", known(Some(card.usage)).to_owned()),
        ("counts tokens in chunks", known(Some(card.counts_in_chunks)).to_owned()),
        ("ignore_eos", known(card.ignore_eos).to_owned()),
        ("min_tokens", known(card.min_tokens).to_owned()),
        ("seed reproduces", known(card.seed_reproduces).to_owned()),
        ("caches prompts", known(card.caches_prompts).to_owned()),
        ("refuses", card.refuses.join(", ")),
    ];
    rows.iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .fold(String::new(), |mut text, (name, value)| {
            let _ = writeln!(text, "{name:<24} {}", value.trim());
            text
        })
}
