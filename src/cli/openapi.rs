use anyhow::anyhow;
use clap::{Args, ValueEnum};

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
    match arguments.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&document)?),
        Format::Yaml => print!("{}", http::to_yaml(&document).map_err(|error| anyhow!("{error}"))?),
    }
    Ok(())
}
