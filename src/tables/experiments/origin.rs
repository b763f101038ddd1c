//! Columns of an experiment's identity, state and machine.

use super::row::ExperimentRow;
use crate::tables::column::{Column, boolean, count, document, held, json, number, text, time, whole, word};

/// Returns the columns that identify the experiment and describe its state.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    vec![
        text("id", "The experiment's id, a UUIDv7.", |row: &ExperimentRow| {
            Some(row.id.to_string().into())
        }),
        text("config_name", "Its name.", |row| held(&row.spec.config_name)),
        text(
            "state",
            "Its state; only `completed` experiments have metrics.",
            |row| held(row.state.as_str()),
        ),
        count("attempt", "Number of times that it was started.", |row| {
            Some(row.attempt.into())
        }),
        text("node_name", "Node that runs it or ran it last.", |row| {
            row.node_name.as_deref().and_then(held)
        }),
        text(
            "submitter",
            "Name of the submitter; unknown without authentication.",
            |row| row.submitter.as_deref().and_then(held),
        ),
        text("user", "User whose fair share its device time counts for.", |row| {
            row.spec.user.as_deref().and_then(held)
        }),
        json("labels", "Its labels, a JSON object of strings.", |row| {
            document(&row.spec.labels)
        }),
        time("created_at", "Time of its submission, UTC.", |row| Some(row.created_at)),
        time(
            "started_at",
            "Time at which its devices were leased to it, UTC.",
            |row| row.started_at,
        ),
        time("finished_at", "Time of its end, UTC.", |row| row.finished_at),
        text("failure_reason", "Reason of its failure as a code.", |row| {
            row.failure.as_ref().and_then(|failure| word(failure.reason))
        }),
        text("failure_message", "Reason of its failure as a sentence.", |row| {
            row.failure.as_ref().and_then(|failure| held(&failure.message))
        }),
        count(
            "warnings_count",
            "Number of warnings; read them before you cite.",
            |row| Some(row.all_warnings().len() as u64),
        ),
        json(
            "warning_codes",
            "Distinct codes of its warnings, a JSON list of strings.",
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
        text("model_name", "Name of the model as submitted.", |row| {
            held(&row.spec.model_name)
        }),
        text("model_format", "`gguf` or `safetensors`.", |row| {
            row.report.as_ref()?.model.format.as_deref().and_then(held)
        }),
        text(
            "model_architecture",
            "Architecture as the model's files name it.",
            |row| row.report.as_ref()?.model.architecture.as_deref().and_then(held),
        ),
        count("model_parameters_total", "Number of parameters of the model.", |row| {
            row.report.as_ref()?.model.parameters_total
        }),
        json(
            "model_sha256",
            "SHA-256 of each weight file, a JSON list of objects with `file` and `sha256`.",
            |row| document(&row.report.as_ref()?.model.sha256),
        ),
    ]
}

/// Returns the columns of the host and of the times of the run.
pub fn machine() -> Vec<Column<ExperimentRow>> {
    vec![
        text("hostname", "Name of the host that ran it.", |row: &ExperimentRow| {
            row.report.as_ref().and_then(|report| held(&report.machine.hostname))
        }),
        text("kernel", "The host's kernel.", |row| {
            row.report.as_ref().and_then(|report| held(&report.machine.kernel))
        }),
        text("cpu_model", "CPU model as the kernel names it.", |row| {
            row.report.as_ref()?.machine.cpu_model.as_deref().and_then(held)
        }),
        count(
            "logical_cpus",
            "Number of logical CPUs that the server may use.",
            |row| Some(row.report.as_ref()?.machine.logical_cpus.into()),
        ),
        json(
            "gpu_names",
            "Names of the host's GPUs, a JSON list of strings.",
            |row| document(&row.report.as_ref()?.machine.gpu_names),
        ),
        text("nvidia_driver", "Version of the NVIDIA driver.", |row| {
            row.report.as_ref()?.machine.nvidia_driver.as_deref().and_then(held)
        }),
        text("joulemark_version", "Version of joulemark that measured it.", |row| {
            row.report
                .as_ref()
                .and_then(|report| held(&report.machine.joulemark_version))
        }),
        text("mistralrs_version", "Version of mistral.rs.", |row| {
            row.report
                .as_ref()
                .and_then(|report| held(&report.machine.mistralrs_version))
        }),
        text(
            "activation_dtype",
            "Activation type of the model of the first rank.",
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
            "Whether the synthetic engine ran it, without a model or real tokens.",
            |row| Some(row.spec.model_name.starts_with("synthetic:")),
        ),
        whole("priority", "Its priority in the queue, -100 to 100.", |row| {
            Some(row.spec.priority.into())
        }),
        number(
            "claim_to_load_start_sec",
            "Time from the claim until the first rank begins to load, seconds.",
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
        number(
            "total_sec",
            "Time from the claim to the computed result, seconds.",
            |row| Some(row.report.as_ref()?.timing.total_sec),
        ),
        number(
            "overhead_share",
            "Share of `total_sec` that is the service's own overhead, 0 to 1.",
            |row| row.report.as_ref()?.timing.overhead_share,
        ),
    ]
}
