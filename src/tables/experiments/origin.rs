use super::row::ExperimentRow;
use crate::tables::column::{Column, boolean, count, document, held, json, number, text, time, whole, word};

/// Which experiment it is, and what became of it.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    vec![
        text("id", "The experiment's id, a UUIDv7.", |row: &ExperimentRow| {
            Some(row.id.to_string().into())
        }),
        text("config_name", "Its name.", |row| held(&row.spec.config_name)),
        text("state", "How far it has come; only `completed` has metrics.", |row| {
            held(row.state.as_str())
        }),
        count("attempt", "How often it was started.", |row| Some(row.attempt.into())),
        text("node_name", "The node that runs it, or ran it last.", |row| {
            row.node_name.as_deref().and_then(held)
        }),
        text(
            "submitter",
            "Who submitted it; unknown without authentication.",
            |row| row.submitter.as_deref().and_then(held),
        ),
        text("user", "Whom its device time counts for.", |row| {
            row.spec.user.as_deref().and_then(held)
        }),
        json("labels", "Its labels, a JSON object of texts.", |row| {
            document(&row.spec.labels)
        }),
        time("created_at", "When it was accepted, UTC.", |row| Some(row.created_at)),
        time("started_at", "When its devices were leased to it, UTC.", |row| {
            row.started_at
        }),
        time("finished_at", "When it came to its end, UTC.", |row| row.finished_at),
        text("failure_reason", "Why it failed, in a word.", |row| {
            row.failure.as_ref().and_then(|failure| word(failure.reason))
        }),
        text("failure_message", "What happened, in a sentence.", |row| {
            row.failure.as_ref().and_then(|failure| held(&failure.message))
        }),
        count(
            "warnings_count",
            "How many warnings there are; read them before citing.",
            |row| Some(row.all_warnings().len() as u64),
        ),
        json(
            "warning_codes",
            "Their codes, a JSON list of texts, each once.",
            |row| {
                let mut codes = row
                    .all_warnings()
                    .iter()
                    .filter_map(|warning| word(warning.code))
                    .collect::<Vec<_>>();
                codes.sort();
                codes.dedup();
                document(codes)
            },
        ),
        text("model_name", "The model as it was asked for.", |row| {
            held(&row.spec.model_name)
        }),
        text("model_format", "`gguf` or `safetensors`.", |row| {
            row.report.as_ref()?.model.format.as_deref().and_then(held)
        }),
        text("model_architecture", "As the model's files name it.", |row| {
            row.report.as_ref()?.model.architecture.as_deref().and_then(held)
        }),
        count("model_parameters_total", "Parameters of the model.", |row| {
            row.report.as_ref()?.model.parameters_total
        }),
        json(
            "model_sha256",
            "SHA-256 of each weight file, a JSON list of `file` and `sha256`.",
            |row| document(&row.report.as_ref()?.model.sha256),
        ),
    ]
}

/// What it ran on.
pub fn machine() -> Vec<Column<ExperimentRow>> {
    vec![
        text("hostname", "The host that ran it.", |row: &ExperimentRow| {
            row.report.as_ref().and_then(|report| held(&report.machine.hostname))
        }),
        text("kernel", "The host's kernel.", |row| {
            row.report.as_ref().and_then(|report| held(&report.machine.kernel))
        }),
        text("cpu_model", "CPU model as the kernel names it.", |row| {
            row.report.as_ref()?.machine.cpu_model.as_deref().and_then(held)
        }),
        count("logical_cpus", "Logical CPUs the server may use.", |row| {
            Some(row.report.as_ref()?.machine.logical_cpus.into())
        }),
        json("gpu_names", "The host's GPUs, a JSON list of texts.", |row| {
            document(&row.report.as_ref()?.machine.gpu_names)
        }),
        text("nvidia_driver", "Version of the NVIDIA driver.", |row| {
            row.report.as_ref()?.machine.nvidia_driver.as_deref().and_then(held)
        }),
        text("joulemark_version", "Version of joulemark that measured.", |row| {
            row.report
                .as_ref()
                .and_then(|report| held(&report.machine.joulemark_version))
        }),
        text("mistralrs_version", "Version of the engine.", |row| {
            row.report
                .as_ref()
                .and_then(|report| held(&report.machine.mistralrs_version))
        }),
        text(
            "activation_dtype",
            "Type that the first rank's model computed in.",
            |row| {
                row.report
                    .as_ref()?
                    .loads
                    .first()
                    .and_then(|load| held(&load.activation_dtype))
            },
        ),
        boolean(
            "is_synthetic",
            "Whether the synthetic engine ran it: no model, no real tokens.",
            |row| Some(row.spec.model_name.starts_with("synthetic:")),
        ),
        whole("priority", "Its place in the queue, -100 to 100.", |row| {
            Some(row.spec.priority.into())
        }),
        number(
            "claim_to_load_start_sec",
            "From the claim to the first rank's beginning to load, seconds.",
            |row| row.report.as_ref()?.timing.claim_to_load_start_sec,
        ),
        number("load_sec", "Time of the model load, seconds.", |row| {
            Some(row.report.as_ref()?.timing.load_sec)
        }),
        number("warm_up_sec", "Time of the warm-up, seconds.", |row| {
            Some(row.report.as_ref()?.timing.warm_up_sec)
        }),
        number(
            "measuring_sec",
            "Sum over cycles of the union of the ranks' windows, seconds.",
            |row| Some(row.report.as_ref()?.timing.measuring_sec),
        ),
        number("total_sec", "From the claim to the computed result, seconds.", |row| {
            Some(row.report.as_ref()?.timing.total_sec)
        }),
        number(
            "overhead_share",
            "The service's own part of `total_sec`, 0 to 1.",
            |row| row.report.as_ref()?.timing.overhead_share,
        ),
    ]
}
