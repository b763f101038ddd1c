use super::row::ExperimentRow;
use crate::tables::column::{Column, count, number, text, word};
use joulemark_analysis::statistics::standard_deviation;
use joulemark_experiment::report::{CycleReport, EfficiencyMetrics, Validation};
use joulemark_measurement::InferenceMetrics;

/// Tokens, time, ratios and checks.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    vec![
        count(
            "total_tokens",
            "`input_tokens` + `output_tokens`, over ranks and cycles.",
            |row| inference(row)?.total_tokens,
        ),
        count("input_tokens", "Prompt tokens.", |row| inference(row)?.input_tokens),
        count("output_tokens", "Generated tokens.", |row| {
            inference(row)?.output_tokens
        }),
        number("inference_time_sec", "Wall-clock time of inference, seconds.", |row| {
            inference(row)?.inference_time_sec
        }),
        number(
            "tokens_per_second",
            "Output tokens/s, mean over ranks and cycles.",
            |row| inference(row)?.tokens_per_second,
        ),
        number(
            "tokens_per_second_cycle_sd",
            "Sample standard deviation of `tokens_per_second` over cycles, tokens/s; unknown below two.",
            |row| over_cycles(row, |cycle| cycle.inference.tokens_per_second),
        ),
        number(
            "latency_per_token_ms",
            "1000 / `tokens_per_second`, milliseconds.",
            |row| inference(row)?.latency_per_token_ms,
        ),
        number(
            "mean_ttft_ms",
            "Mean time to first token (TTFT) over requests, milliseconds.",
            |row| inference(row)?.mean_ttft_ms,
        ),
        number(
            "mean_tpot_ms",
            "Mean time per output token after the first (TPOT), milliseconds.",
            |row| inference(row)?.mean_tpot_ms,
        ),
        number(
            "median_itl_ms",
            "Median inter-token latency (ITL), milliseconds.",
            |row| inference(row)?.median_itl_ms,
        ),
        number(
            "p99_itl_ms",
            "99th percentile of the inter-token latency, milliseconds.",
            |row| inference(row)?.p99_itl_ms,
        ),
        number("tokens_per_joule", "`total_tokens` / `total_energy_j`.", |row| {
            efficiency(row)?.tokens_per_joule
        }),
        number(
            "joules_per_token",
            "`total_energy_j` / `total_tokens`, J/token over input and output.",
            |row| efficiency(row)?.joules_per_token,
        ),
        number(
            "joules_per_output_token",
            "`total_energy_j` / `output_tokens`, J/token.",
            |row| efficiency(row)?.joules_per_output_token,
        ),
        number(
            "joules_per_output_token_cycle_sd",
            "Sample standard deviation of `joules_per_output_token` over cycles, J/token; unknown below two.",
            |row| over_cycles(row, |cycle| cycle.efficiency.joules_per_output_token),
        ),
        number(
            "joules_per_input_token",
            "`total_energy_j` / `input_tokens`, J/token.",
            |row| efficiency(row)?.joules_per_input_token,
        ),
        number(
            "effective_throughput",
            "`total_tokens` / `duration_sec`, tokens/s of the whole system.",
            |row| efficiency(row)?.effective_throughput,
        ),
        number("flop_per_joule", "`flops_total` / `total_energy_j`, FLOP/J.", |row| {
            efficiency(row)?.flop_per_joule
        }),
        number("flop_per_token", "`flops_total` / `total_tokens`, FLOP/token.", |row| {
            efficiency(row)?.flop_per_token
        }),
        number(
            "watts_per_token_per_second",
            "Mean power over output tokens/s of the system, W/(token/s).",
            |row| efficiency(row)?.watts_per_token_per_second,
        ),
        text(
            "temporal_overlap",
            "Whether ranks ran at the same time: `passed`, `failed` or `not_applicable`.",
            |row| word(validation(row)?.temporal_overlap),
        ),
        number(
            "overlap_ratio",
            "Smallest overlap of the ranks' windows, 0 to 1.",
            |row| validation(row)?.overlap_ratio,
        ),
        text(
            "gpu_attribution",
            "Whether each GPU belongs to one rank: `passed`, `failed` or `not_applicable`.",
            |row| word(validation(row)?.gpu_attribution),
        ),
        number(
            "imbalance_ratio",
            "Longest window of a rank over the shortest.",
            |row| validation(row)?.imbalance_ratio,
        ),
    ]
}

fn inference(row: &ExperimentRow) -> Option<&InferenceMetrics> {
    row.report.as_ref().map(|report| &report.inference)
}

fn efficiency(row: &ExperimentRow) -> Option<&EfficiencyMetrics> {
    row.report.as_ref().map(|report| &report.efficiency)
}

fn validation(row: &ExperimentRow) -> Option<&Validation> {
    row.report.as_ref().map(|report| &report.validation)
}

/// None where one cycle's is unknown.
fn over_cycles(row: &ExperimentRow, of: fn(&CycleReport) -> Option<f64>) -> Option<f64> {
    let cycles = row.report.as_ref()?.cycles.iter();
    standard_deviation(&cycles.map(of).collect::<Option<Vec<_>>>()?)
}
