//! The table that `joulemark flops` prints. Pure.

use std::fmt::Write as _;

use joulemark_flops::{FlopsAnswer, OperatorAnswer, OperatorKind};
use joulemark_measurement::Confidence;

/// Returns the answer as a table.
pub fn table(answer: &FlopsAnswer) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, " {name:<28} {value:>22}");
    };
    line(
        "architecture",
        answer.architecture.clone().unwrap_or_else(|| "unknown".to_owned()),
    );
    line(
        "method",
        answer.flops_method.map_or("none", |method| method.as_str()).to_owned(),
    );
    line("confidence", confidence(answer.flops_confidence).to_owned());
    line("params_total", count(answer.params_total));
    line("params_active", count(answer.params_active));
    line("flops_total", count(answer.flops_total));
    line("flops_prefill", count(answer.flops_prefill));
    line("flops_decode", count(answer.flops_decode));
    line("macs_total", count(answer.macs_total));
    line("flops_causal_total", count(answer.flops_causal_total));
    if answer.flops_unwindowed_total != answer.flops_total {
        line("flops_unwindowed_total", count(answer.flops_unwindowed_total));
    }
    line("flops_elementwise", count(answer.flops_elementwise));
    line("flops_two_params_tokens", count(answer.flops_two_params_tokens));
    line("flop_per_token", number(answer.flop_per_token));
    line("bytes_per_token", number(answer.bytes_per_token));
    line("  of weights", number(answer.weight_bytes_per_token));
    line("  of keys and values", number(answer.cache_bytes_per_token));
    line("arithmetic_intensity", decimals(answer.arithmetic_intensity));
    line("  of prefill", decimals(answer.arithmetic_intensity_prefill));
    line("  of decode", decimals(answer.arithmetic_intensity_decode));
    if let Some(roofline) = &answer.roofline {
        line("minimum time, s", decimals(roofline.least_time_sec));
        let _ = writeln!(
            text,
            "   {} ({}), {}",
            roofline.device, roofline.precision, roofline.source
        );
    }
    if !answer.operators.is_empty() {
        let _ = writeln!(
            text,
            "\n {:<20} {:<14} {:>16} {:>7} {:>15} {:>21} {:>21}",
            "operator", "kind", "shape", "active", "params", "flops prefill", "flops decode"
        );
    }
    for operator in &answer.operators {
        let _ = writeln!(text, "{}", row(operator));
    }
    for note in &answer.notes {
        let _ = writeln!(text, "\n note: {note}");
    }
    text
}

fn row(operator: &OperatorAnswer) -> String {
    let kind = match operator.kind {
        OperatorKind::MatrixProduct => "matrix_product",
        OperatorKind::Attention => "attention",
        OperatorKind::Lookup => "lookup",
        OperatorKind::Elementwise => "elementwise",
    };
    format!(
        " {:<20} {kind:<14} {:>16} {:>7} {:>15} {:>21} {:>21}",
        operator.operator,
        operator
            .shape
            .map_or_else(String::new, |[rows, columns]| format!("{rows} x {columns}")),
        operator
            .copies_active
            .map_or_else(String::new, |copies| copies.to_string()),
        operator.params.map_or_else(String::new, |params| params.to_string()),
        operator.flops_prefill,
        operator.flops_decode,
    )
}

fn confidence(confidence: Option<Confidence>) -> &'static str {
    match confidence {
        None => "none",
        Some(Confidence::Low) => "low",
        Some(Confidence::Medium) => "medium",
        Some(Confidence::High) => "high",
    }
}

fn count(count: Option<u128>) -> String {
    count.map_or_else(|| "unknown".to_owned(), |count| count.to_string())
}

fn number(number: Option<f64>) -> String {
    number.map_or_else(|| "unknown".to_owned(), |number| format!("{number:.0}"))
}

fn decimals(number: Option<f64>) -> String {
    number.map_or_else(|| "unknown".to_owned(), |number| format!("{number:.4}"))
}
