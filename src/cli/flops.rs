//! `joulemark flops`: the operations and bytes that a model needs, computed without running it.

mod table;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use joulemark_flops::model_files;
use joulemark_flops::{DevicePeaks, KNOWN_DEVICES, Logits, Question, RequestTokens, device_named};

#[derive(Debug, Args)]
#[command(
    after_help = "N input and M output tokens are one prefill of N tokens, which yields the first output token, and M - 1 \
                        decode steps. FLOPs count matrix products, 2 for each multiply-add, with attention over the full \
                        matrix, as PyTorch's FlopCounterMode does; elementwise operators are listed separately."
)]
pub struct FlopsArguments {
    /// Folder of a model, a GGUF file, or a config.json.
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    input_tokens: u32,
    #[arg(long, value_name = "M", default_value_t = 128, value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    output_tokens: u32,
    /// Number of equal sequences in the batch.
    #[arg(long, value_name = "B", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// Positions for which the prefill computes logits: the last one, as mistral.rs does, or all.
    #[arg(long, value_enum, default_value_t = LogitsArgument::Last)]
    logits: LogitsArgument,
    /// GPU to compute the roofline for, by its NVML name, e.g. "NVIDIA A100-SXM4-80GB".
    #[arg(long, value_name = "NAME", value_parser = device)]
    device: Option<&'static DevicePeaks>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogitsArgument {
    Last,
    All,
}

fn device(name: &str) -> Result<&'static DevicePeaks, String> {
    device_named(name).ok_or_else(|| {
        let known = KNOWN_DEVICES.iter().map(|device| device.name).collect::<Vec<_>>();
        format!("the device is unknown; accepted are {}", known.join(", "))
    })
}

pub fn run(arguments: FlopsArguments) -> anyhow::Result<()> {
    let path = &arguments.model;
    let name = path.display().to_string();
    let description = model_files::describe(path, &name).context("--model")?;
    let question = Question {
        tokens: RequestTokens {
            input: arguments.input_tokens,
            output: arguments.output_tokens,
        },
        batch: arguments.batch,
        logits: match arguments.logits {
            LogitsArgument::Last => Logits::Last,
            LogitsArgument::All => Logits::All,
        },
        device: arguments.device,
    };
    let answer = description.answer(&name, &question);
    let text = if arguments.json {
        serde_json::to_string_pretty(&answer)?
    } else {
        table::table(&answer)
    };
    writeln!(std::io::stdout(), "{}", text.trim_end()).context("the answer cannot be printed")?;
    if answer.flops_total.is_none() {
        bail!("nothing could be counted: {}", answer.notes.join("; "));
    }
    Ok(())
}
