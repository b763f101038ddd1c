//! Columns of the fields of a submission.

use std::borrow::Cow;

use serde_json::Value;

use super::row::ExperimentRow;
use crate::tables::column::{Column, Values, column, count, document, held, json, text, word};
use joulemark_experiment::{Decoder, Field, Kind, Prompts, Spec, SyntheticPrompts};

/// Returns the columns of the submission with defaults filled in; `fields` is the table of its fields.
pub fn columns(fields: &[Field<Spec>]) -> Vec<Column<ExperimentRow>> {
    let decoder = fields.iter().position(|field| field.name == "decoder");
    let (before, after) = fields.split_at(decoder.unwrap_or(fields.len()));
    let mut columns = prompts();
    columns.extend(plain(before, |row| &row.spec));
    columns.extend(plain(Decoder::FIELDS, |row| &row.spec.decoder));
    columns.extend(devices());
    columns.extend(plain(after, |row| &row.spec));
    columns
}

/// Returns the columns of the fields without a special column.
fn plain<S: 'static>(
    fields: &[Field<S>],
    part: fn(&ExperimentRow) -> &S,
) -> impl Iterator<Item = Column<ExperimentRow>> {
    fields.iter().filter_map(move |field| {
        let value = field.value;
        let read = move |row: &ExperimentRow| value(part(row));
        let values = match field.kind {
            Kind::Count => Values::Count(Box::new(move |row| read(row).as_u64())),
            Kind::Whole => Values::Whole(Box::new(move |row| read(row).as_i64())),
            Kind::Number => Values::Number(Box::new(move |row| read(row).as_f64())),
            Kind::Boolean => Values::Bool(Box::new(move |row| read(row).as_bool())),
            Kind::Text => Values::Text(Box::new(move |row| match read(row) {
                Value::String(text) => Some(Cow::Owned(text)),
                _ => None,
            })),
            Kind::Document => Values::Json(Box::new(move |row| Some(read(row)).filter(|value| !value.is_null()))),
        };
        Some(column(field.name, field.about?, values))
    })
}

fn prompts() -> Vec<Column<ExperimentRow>> {
    vec![
        text(
            "prompt_kind",
            "`texts`, `lines`, `file`, `dataset` or `synthetic`; no export contains texts and lines.",
            |row: &ExperimentRow| {
                held(match &row.spec.prompts {
                    _ if row.spec.has_prompts_of_a_file() => "file",
                    _ if !row.spec.prompt_lines.is_empty() => "lines",
                    Prompts::Texts(_) => "texts",
                    Prompts::Dataset(_) => "dataset",
                    Prompts::Synthetic { .. } => "synthetic",
                })
            },
        ),
        text(
            "prompt_dataset",
            "Name of the built-in prompt dataset.",
            |row| match &row.spec.prompts {
                Prompts::Dataset(set) => held(&set.dataset),
                _ => None,
            },
        ),
        count("prompt_count", "Number of prompts.", |row| {
            let dropped = row.dropped_prompts.map(u64::from);
            dropped.or(row.spec.prompt_count().map(u64::from))
        }),
        count(
            "prompt_input_tokens",
            "Number of tokens of each synthetic prompt, or their mean.",
            |row| match &row.spec.prompts {
                Prompts::Synthetic { synthetic } => Some(synthetic.input_tokens.into()),
                _ => None,
            },
        ),
        count("prompt_seed", "Seed of the synthetic prompts, up to 2^64 - 1.", |row| {
            Some(synthetic(row)?.seed)
        }),
        json(
            "prompt_input_length",
            "Distribution of the numbers of tokens of synthetic prompts, a JSON object.",
            |row| document(synthetic(row)?.input_length.as_ref()?),
        ),
        json(
            "prompt_output_length",
            "Distribution of the numbers of output tokens of a request, a JSON object.",
            |row| document(synthetic(row)?.output_length.as_ref()?),
        ),
        count(
            "prompt_shared_prefix_tokens",
            "Number of tokens that all synthetic prompts have in common at their start.",
            |row| Some(synthetic(row)?.shared_prefix_tokens.unwrap_or(0).into()),
        ),
    ]
}

fn synthetic(row: &ExperimentRow) -> Option<&SyntheticPrompts> {
    match &row.spec.prompts {
        Prompts::Synthetic { synthetic } => Some(synthetic),
        _ => None,
    }
}

fn devices() -> Vec<Column<ExperimentRow>> {
    vec![
        text("device", "`cuda` or `cpu`.", |row: &ExperimentRow| {
            word(row.spec.device)
        }),
        json("gpus", "UUIDs of its GPUs, a JSON list of strings.", |row| {
            document(&row.spec.gpus)
        }),
        count("gpu_count", "Number of its GPUs.", |row| {
            Some(row.spec.gpu_count.into())
        }),
        count("num_processes", "Number of ranks.", |row| {
            Some(row.spec.num_processes.into())
        }),
        text("engine", "Engine that runs it.", |row| held(&row.spec.engine)),
        json("engine_arguments", "Arguments of the engine, a JSON object.", |row| {
            document(&row.spec.engine_arguments)
        }),
    ]
}
