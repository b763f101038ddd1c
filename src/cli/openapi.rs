//! `joulemark openapi`.

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::say::say;
use crate::http;

#[derive(Debug, Args)]
pub struct OpenapiArguments {
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Json,
    Yaml,
}

pub fn run(arguments: &OpenapiArguments) -> anyhow::Result<()> {
    let document = http::document();
    let text = match arguments.format {
        Format::Json => serde_json::to_string_pretty(&document)? + "\n",
        Format::Yaml => http::to_yaml(&document).map_err(|error| anyhow!("{error}"))?,
    };
    say(&text)
}
