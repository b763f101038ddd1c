//! Columns of the table of experiments, and their order.

mod baselines;
mod checks;
mod labels;
mod metrics;
mod origin;
mod phases;
mod row;
mod steady;
mod submission;

use super::column::{Column, held, text};
use joulemark_analysis::metrics::{EnergyOf, Group, Metric, all};
use joulemark_experiment::{Field, Spec};
pub use labels::columns as label_columns;
pub use metrics::{HasFigures, columns_of_one_cycle};
pub use row::ExperimentRow;

/// Columns that were added after the order was published. They come last, in this order, so that readers by position
/// still find the others.
const ADDED: &[&str] = &[
    "output_throughput",
    "output_throughput_cycle_sd",
    "mean_ttft_ms_cycle_sd",
    "mean_tpot_ms_cycle_sd",
    "total_energy_j_cycle_sd",
    "host_cpu_energy_uncertainty_j",
    "host_dram_energy_uncertainty_j",
    "prompt_source",
    "prompt_source_sha256",
    "node",
    "node_labels",
    "engine",
    "engine_arguments",
    "request_timeout_sec",
    "max_failed_share",
    "median_chunk_interval_ms",
    "p99_chunk_interval_ms",
    "mean_time_to_first_answer_ms",
    "cached_input_tokens",
    "failed_requests",
    "median_ttft_ms",
    "p90_ttft_ms",
    "p99_ttft_ms",
    "median_tpot_ms",
    "p90_tpot_ms",
    "p99_tpot_ms",
    "p90_itl_ms",
    "mean_e2e_ms",
    "median_e2e_ms",
    "p90_e2e_ms",
    "p99_e2e_ms",
    "output_throughput_ci_low",
    "output_throughput_ci_high",
    "tokens_per_second_ci_low",
    "tokens_per_second_ci_high",
    "mean_ttft_ms_ci_low",
    "mean_ttft_ms_ci_high",
    "mean_tpot_ms_ci_low",
    "mean_tpot_ms_ci_high",
    "total_energy_j_ci_low",
    "total_energy_j_ci_high",
    "joules_per_output_token_ci_low",
    "joules_per_output_token_ci_high",
    "warmup",
    "cooldown_sec",
    "stop_rule",
    "prompt_input_length",
    "prompt_output_length",
    "prompt_shared_prefix_tokens",
    "min_p",
    "no_repeat_ngram_size",
    "peak_gpu_memory_bytes",
    "peak_host_memory_bytes",
    "start_below_temperature_c",
    "max_cooling_sec",
    "load",
    "slo",
    "goodput",
    "steady_state_duration_sec",
    "steady_state_why_none",
    "steady_state_total_energy_uncertainty_j",
    "steady_state_output_throughput",
    "steady_state_tokens_per_second",
    "steady_state_mean_ttft_ms",
    "steady_state_mean_tpot_ms",
    "steady_state_total_energy_j",
    "steady_state_joules_per_output_token",
    "process_per_cycle",
    "repeat_disturbed",
    "disturbed_cycles",
    "repeated_cycles",
    "power_limit_w",
    "gpu_clock_mhz",
    "memory_clock_mhz",
    "settle",
    "answered_requests",
    "joules_per_response",
    "wh_per_1000_requests",
    "electricity_price_per_kwh",
    "electricity_currency",
    "grid_intensity_g_per_kwh",
    "pue",
    "total_energy_j_combined_low",
    "total_energy_j_combined_high",
    "joules_per_output_token_combined_low",
    "joules_per_output_token_combined_high",
    "joules_per_token_combined_low",
    "joules_per_token_combined_high",
    "tokens_per_joule_combined_low",
    "tokens_per_joule_combined_high",
    "gpu_energy_j_combined_low",
    "gpu_energy_j_combined_high",
    "cpu_energy_j_combined_low",
    "cpu_energy_j_combined_high",
];

/// Returns the columns of an experiment. Names are those of results; a name that occurs twice is prefixed with its
/// group. No column contains prompts.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    columns_with(all(), Spec::FIELDS)
}

/// Returns the columns for the given tables of metrics and of a submission's fields.
pub fn columns_with(table: &[Metric], fields: &[Field<Spec>]) -> Vec<Column<ExperimentRow>> {
    let of = |group| metrics::columns(table, group);
    let energy = EnergyOf::ALL.map(Group::Energy);
    let groups = [
        origin::columns(),
        of(Group::Inference),
        of(Group::Efficiency),
        checks::columns(),
        energy.into_iter().flat_map(of).collect(),
        baselines::columns(),
        phases::columns(),
        steady::columns(table),
        of(Group::Compute),
        vec![roofline_device()],
        of(Group::Roofline),
        submission::columns(fields),
        origin::machine(),
    ];
    let mut columns: Vec<_> = groups.into_iter().flatten().collect();
    let index = |name: &str| ADDED.iter().position(|added| *added == name);
    columns.sort_by_key(|column| index(&column.name).map_or(0, |index| index + 1));
    columns
}

fn roofline_device() -> Column<ExperimentRow> {
    text(
        "roofline_device",
        "Name of the device whose peaks the roofline uses.",
        |row: &ExperimentRow| held(&row.report.as_ref()?.compute.roofline.as_ref()?.device),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use joulemark_experiment::Kind;
    use serde_json::json;

    use super::*;
    use crate::http::row_schema;

    #[test]
    fn every_column_has_a_unique_name_and_a_description() {
        let columns = columns();
        let names = columns.iter().map(|column| &column.name).collect::<HashSet<_>>();
        assert_eq!(names.len(), columns.len());
        for column in &columns {
            assert!(!column.about.is_empty(), "{}", column.name);
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(column.name.bytes().all(plain), "{}", column.name);
        }
    }

    #[test]
    fn added_columns_come_last() {
        let columns = columns();
        let last = columns[columns.len() - ADDED.len()..].iter();
        assert_eq!(last.map(|column| &*column.name).collect::<Vec<_>>(), ADDED);
    }

    #[test]
    fn columns_that_no_release_had_are_listed_as_added() {
        let released = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/released/1.0.0.json");
        let released = std::fs::read_to_string(released).expect("the release's description");
        let released: serde_json::Value = serde_json::from_str(&released).expect("JSON");
        let had = released["components"]["schemas"]["ExportRow"]["properties"]
            .as_object()
            .expect("columns");
        let columns = columns();
        let new = columns.iter().filter(|column| !had.contains_key(&*column.name));
        let stray: Vec<_> = new.filter(|column| !ADDED.contains(&&*column.name)).collect();
        assert!(
            stray.is_empty(),
            "{:?}",
            stray.iter().map(|column| &column.name).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_field_that_is_added_to_the_table_is_a_column_at_its_position() {
        let added = Field {
            name: "draft_tokens",
            kind: Kind::Count,
            about: Some("Tokens drafted ahead."),
            value: |spec: &Spec| json!(spec.num_cycles + 1),
        };
        let mut fields: Vec<_> = Spec::FIELDS.iter().map(|field| Field { ..*field }).collect();
        let index = fields.iter().position(|field| field.name == "num_cycles").unwrap();
        fields.insert(index, added);
        let columns = columns_with(all(), &fields);
        let index = columns.iter().position(|column| column.name == "draft_tokens").unwrap();
        assert_eq!(columns[index - 1].name, "warmup_iterations");
        assert_eq!(columns[index + 1].name, "num_cycles");
        let schema = serde_json::to_value(row_schema(&columns)).unwrap();
        let property = &schema["properties"]["draft_tokens"];
        assert_eq!(property["type"], json!(["integer", "null"]));
        assert_eq!(property["description"], "Tokens drafted ahead.");
    }

    #[test]
    fn every_field_of_a_submission_is_a_column_except_those_named_here() {
        let columns = columns();
        let names: HashSet<_> = columns.iter().map(|column| &*column.name).collect();
        let missing = Spec::FIELDS.iter().filter(|field| !names.contains(field.name));
        let missing: Vec<_> = missing.map(|field| field.name).collect();
        assert_eq!(missing, ["prompts", "prompt_source_count", "prompt_lines", "decoder"]);
    }
}
