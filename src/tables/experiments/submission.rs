use super::row::ExperimentRow;
use crate::tables::column::{Column, boolean, count, document, held, json, number, text, word};
use joulemark_experiment::Prompts;

/// What was asked for, defaults filled in.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    let mut columns = prompts();
    columns.extend(decoder());
    columns.extend(devices());
    columns
}

fn prompts() -> Vec<Column<ExperimentRow>> {
    vec![
        text(
            "prompt_kind",
            "`texts`, `dataset` or `synthetic`; the texts are in no export.",
            |row: &ExperimentRow| {
                held(match &row.spec.prompts {
                    Prompts::Texts(_) => "texts",
                    Prompts::Dataset(_) => "dataset",
                    Prompts::Synthetic { .. } => "synthetic",
                })
            },
        ),
        text("prompt_dataset", "The built-in prompt set.", |row| {
            match &row.spec.prompts {
                Prompts::Dataset(set) => held(&set.dataset),
                _ => None,
            }
        }),
        count("prompt_count", "How many prompts.", |row| match &row.spec.prompts {
            Prompts::Texts(texts) => Some(texts.len() as u64),
            Prompts::Dataset(set) => set.count.map(u64::from),
            Prompts::Synthetic { synthetic } => Some(synthetic.count.into()),
        }),
        count(
            "prompt_input_tokens",
            "Exact tokens of each synthetic prompt.",
            |row| match &row.spec.prompts {
                Prompts::Synthetic { synthetic } => Some(synthetic.input_tokens.into()),
                _ => None,
            },
        ),
        count(
            "prompt_seed",
            "Seed of the synthetic prompts, up to 2^64 - 1.",
            |row| match &row.spec.prompts {
                Prompts::Synthetic { synthetic } => Some(synthetic.seed),
                _ => None,
            },
        ),
        boolean("raw_prompt", "Whether prompts go without the chat template.", |row| {
            Some(row.spec.raw_prompt)
        }),
        count("max_input_tokens", "Longer prompts are cut to this.", |row| {
            row.spec.max_input_tokens.map(u64::from)
        }),
        count("max_output_tokens", "Most output tokens of a request.", |row| {
            Some(row.spec.max_output_tokens.into())
        }),
        count("min_output_tokens", "Least output tokens of a request.", |row| {
            Some(row.spec.min_output_tokens.into())
        }),
    ]
}

fn decoder() -> Vec<Column<ExperimentRow>> {
    vec![
        number("temperature", "0 is greedy.", |row: &ExperimentRow| {
            Some(row.spec.decoder.temperature)
        }),
        boolean("do_sample", "Whether tokens are sampled.", |row| {
            Some(row.spec.decoder.do_sample)
        }),
        count("top_k", "Sample among the k likeliest.", |row| {
            row.spec.decoder.top_k.map(u64::from)
        }),
        number("top_p", "Sample among the likeliest of this probability.", |row| {
            row.spec.decoder.top_p
        }),
        number("repetition_penalty", "Penalty of tokens already seen.", |row| {
            row.spec.decoder.repetition_penalty
        }),
        count(
            "seed",
            "Seed of the sampler, up to 2^64 - 1; unknown when greedy.",
            |row| row.spec.decoder.seed,
        ),
    ]
}

fn devices() -> Vec<Column<ExperimentRow>> {
    vec![
        text("device", "`cuda` or `cpu`.", |row: &ExperimentRow| {
            word(row.spec.device)
        }),
        json("gpus", "UUIDs of its GPUs, a JSON list of texts.", |row| {
            document(&row.spec.gpus)
        }),
        count("gpu_count", "How many GPUs it takes.", |row| {
            Some(row.spec.gpu_count.into())
        }),
        count("num_processes", "Ranks.", |row| Some(row.spec.num_processes.into())),
        text(
            "distribution",
            "How prompts reach the ranks: `shard` or `replicate`.",
            |row| word(row.spec.distribution),
        ),
        text("fp_precision", "Type asked for to compute in.", |row| {
            word(row.spec.fp_precision)
        }),
        text("quantization", "In-situ quantization type.", |row| {
            row.spec.quantization.as_deref().and_then(held)
        }),
        count("batch_size", "Requests in flight in each rank.", |row| {
            Some(row.spec.batch_size.into())
        }),
        count("warmup_iterations", "Requests before the measurement.", |row| {
            Some(row.spec.warmup_iterations.into())
        }),
        count("num_cycles", "Measured cycles.", |row| Some(row.spec.num_cycles.into())),
        count("idle_baseline_sec", "Idle rest before the cycles, seconds.", |row| {
            Some(row.spec.idle_baseline_sec.into())
        }),
        text("isolation", "`devices` or `host`.", |row| word(row.spec.isolation)),
    ]
}
