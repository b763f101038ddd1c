use super::row::ExperimentRow;
use crate::tables::column::{Column, held, number, text, word};
use joulemark_measurement::{ComputeMetrics, Roofline};

/// FLOPs, bytes, and how near the devices' peaks they came.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    vec![
        number(
            "flops_total",
            "Matrix products of all tokens, FLOPs, 2 a multiply-add.",
            |row| compute(row)?.flops_total,
        ),
        number("flops_prefill", "The prefill's part of `flops_total`, FLOPs.", |row| {
            compute(row)?.flops_prefill
        }),
        number("flops_decode", "The decode's part of `flops_total`, FLOPs.", |row| {
            compute(row)?.flops_decode
        }),
        number(
            "flops_causal_total",
            "`flops_total` with causal attention halved, FLOPs.",
            |row| compute(row)?.flops_causal_total,
        ),
        number(
            "flops_elementwise",
            "The small operators, FLOPs; not in `flops_total`.",
            |row| compute(row)?.flops_elementwise,
        ),
        number("macs_total", "`flops_total` / 2, multiply-adds.", |row| {
            compute(row)?.macs_total
        }),
        number(
            "flops_two_params_tokens",
            "2 × parameters × tokens, FLOPs: the methodology's approximation.",
            |row| compute(row)?.flops_two_params_tokens,
        ),
        number("flops_per_second", "`flops_total` / `duration_sec`, FLOP/s.", |row| {
            compute(row)?.flops_per_second
        }),
        text(
            "flops_method",
            "`traced`, `architecture` or `parameter_estimate`.",
            |row| compute(row)?.flops_method.as_deref().and_then(held),
        ),
        text("flops_confidence", "`high`, `medium` or `low`.", |row| {
            word(compute(row)?.flops_confidence)
        }),
        number(
            "bytes_read_total",
            "Weights, keys and values that must be read at the least, bytes; an estimate.",
            |row| compute(row)?.bytes_read_total,
        ),
        number(
            "bytes_read_decode",
            "The decode's part of `bytes_read_total`, bytes; an estimate.",
            |row| compute(row)?.bytes_read_decode,
        ),
        number(
            "bytes_per_token",
            "What one more token has to read, bytes; an estimate.",
            |row| compute(row)?.bytes_per_token,
        ),
        number(
            "arithmetic_intensity",
            "`flops_total` / `bytes_read_total`, FLOP/byte.",
            |row| compute(row)?.arithmetic_intensity,
        ),
        text("roofline_device", "The device whose peaks are known.", |row| {
            held(&roofline(row)?.device)
        }),
        number(
            "model_flops_utilization",
            "MFU: `flops_per_second` over the devices' peak, 0 to 1.",
            |row| roofline(row)?.model_flops_utilization,
        ),
        number(
            "memory_bandwidth_utilization",
            "MBU: bytes read over time over the devices' peak, 0 to 1.",
            |row| roofline(row)?.memory_bandwidth_utilization,
        ),
        number(
            "least_time_sec",
            "The least time that the roofline allows, seconds.",
            |row| roofline(row)?.least_time_sec,
        ),
        number(
            "roofline_share",
            "`least_time_sec` over the time taken, 0 to 1.",
            |row| roofline(row)?.roofline_share,
        ),
    ]
}

fn compute(row: &ExperimentRow) -> Option<&ComputeMetrics> {
    row.report.as_ref().map(|report| &report.compute)
}

fn roofline(row: &ExperimentRow) -> Option<&Roofline> {
    compute(row)?.roofline.as_ref()
}
