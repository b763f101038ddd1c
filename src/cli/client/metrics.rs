//! The text of a result. Pure. Prints every figure of the document, also those of a newer server; the table of metrics
//! gives the units and the headline metrics.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::{figure_note, quantity};
use joulemark_analysis::metrics::{Group, Metric, all, find};

const GROUPS: [&str; 5] = ["inference", "energy", "compute", "efficiency", "timing"];
/// Code of warnings that say why a metric is null; these are printed with the metric.
const UNKNOWN: &str = "metric_unknown";

/// Returns the text of every figure of a result.
pub fn table(results: &Value) -> String {
    table_with(all(), results)
}

/// Returns the text of every figure, with the given table of metrics.
pub fn table_with(metrics: &[Metric], results: &Value) -> String {
    let reasons = reasons(results);
    let mut text = String::new();
    if results["partial"] == true {
        text.push_str("partial: the experiment was cancelled; the figures are of its finished cycles\n\n");
    }
    for group in GROUPS {
        let Some(figures) = results[group].as_object() else {
            continue;
        };
        let _ = writeln!(text, "{group}");
        for (name, value) in figures {
            if !figure_note::is_half_width(name, figures) {
                text.extend(line(metrics, name, value, results, &reasons));
            }
        }
        text.push('\n');
    }
    if let Some(why) = results["steady_state"]["why_none"].as_str() {
        let _ = writeln!(text, "no steady state: {why}\n");
    }
    text.push_str(&disturbed(results));
    text.push_str(&checks(results));
    text.push_str(&sources(results));
    text.push_str(&warnings(results));
    text.truncate(text.trim_end().len());
    text
}

/// Returns the text of the headline metrics.
pub fn headlines(results: &Value) -> String {
    let reasons = reasons(results);
    let mut first: Vec<_> = all().iter().filter(|metric| metric.headline.is_some()).collect();
    first.sort_by_key(|metric| metric.headline);
    let lines = first.iter().filter_map(|metric| {
        let value = results.pointer(metric.group.pointer()).map(|group| &group[metric.name]);
        line(all(), metric.name, value.unwrap_or(&Value::Null), results, &reasons)
    });
    let text: String = lines.collect();
    text.trim_end().to_owned()
}

/// Reasons why metrics are null, by name.
type Reasons<'a> = HashMap<&'a str, &'a str>;

fn reasons(results: &Value) -> Reasons<'_> {
    let unknown = coded(results).filter(|(code, _)| *code == UNKNOWN);
    unknown.filter_map(|(_, message)| message.split_once(": ")).collect()
}

/// Returns the line of a figure; `None` for a list or an object, and for a metric that only other engines have.
fn line(metrics: &[Metric], name: &str, value: &Value, results: &Value, reasons: &Reasons<'_>) -> Option<String> {
    if value.is_null() {
        let is_of_servers = |metric: &Metric| metric.group == Group::Inference && metric.why_null.is_none();
        let is_of_others = find(metrics, name).is_some_and(is_of_servers);
        if is_of_others && !reasons.contains_key(name) {
            return None;
        }
        let reason = reasons
            .get(name)
            .map(|reason| format!("  ({reason})"))
            .unwrap_or_default();
        return Some(format!("  {name:<28} {:>14}{reason}\n", "null"));
    }
    let shown = quantity::shown(value)?;
    let line = format!("  {name:<28} {shown:>14} {}", quantity::unit(metrics, name));
    let note = find(metrics, name).and_then(|metric| figure_note::note(results, metric));
    let note = note.map(|note| format!("  ({note})")).unwrap_or_default();
    Some(format!("{}{note}\n", line.trim_end()))
}

fn coded(results: &Value) -> impl Iterator<Item = (&str, &str)> {
    let warnings = results["validation"]["warnings"].as_array();
    warnings
        .into_iter()
        .flatten()
        .filter_map(|warning| Some((warning["code"].as_str()?, warning["message"].as_str()?)))
}

/// Returns the cycles that were disturbed, with the reasons, and how many were left out and repeated.
fn disturbed(results: &Value) -> String {
    let repetition = &results["repetition"];
    let cycles = repetition["disturbed_cycles"]
        .as_array()
        .filter(|cycles| !cycles.is_empty());
    let Some(cycles) = cycles else { return String::new() };
    let left_out = repetition["left_out_of_statistics"].as_array().map_or(0, Vec::len);
    let repeated = &repetition["repeated_cycles"];
    let mut text = format!("disturbed cycles ({left_out} left out of statistics, {repeated} repeated)\n");
    for cycle in cycles {
        let reasons = cycle["reasons"].as_array().into_iter().flatten();
        let codes: Vec<&str> = reasons.filter_map(|reason| reason["code"].as_str()).collect();
        let _ = writeln!(text, "  cycle {}  {}", cycle["cycle"], codes.join(", "));
    }
    text.push('\n');
    text
}

fn checks(results: &Value) -> String {
    let mut text = "validation\n".to_owned();
    for (name, value) in results["validation"].as_object().into_iter().flatten() {
        if value.is_null() {
            // Ratios over ranks are null for a single rank; `temporal_overlap` then says "not_applicable".
            let _ = writeln!(text, "  {name:<28} {:>14}", "null");
        } else if let Some(shown) = quantity::shown(value) {
            let _ = writeln!(text, "  {name:<28} {shown:>14}");
        }
    }
    text.push('\n');
    text
}

fn sources(results: &Value) -> String {
    let mut text = "energy.sources\n".to_owned();
    let sources = results["energy"]["sources"].as_array();
    for source in sources.into_iter().flatten() {
        let word = |name: &str| source[name].as_str().unwrap_or("?");
        let subject = source["zone"]
            .as_str()
            .or(source["gpu_uuid"].as_str())
            .unwrap_or("host");
        let energy = quantity::shown(&source["energy_j"]).map_or("unknown".to_owned(), |joules| {
            let half_width = quantity::shown(&source["uncertainty_j"]);
            half_width.map_or(format!("{joules} J"), |half_width| {
                format!("{joules} J ± {half_width} J")
            })
        });
        let _ = writeln!(
            text,
            "  {} of {subject} ({}): {energy}, by {}, {}, confidence {}",
            word("domain"),
            word("scope"),
            word("source"),
            word("method"),
            word("confidence"),
        );
    }
    if sources.is_none_or(Vec::is_empty) {
        text.push_str("  none\n");
    }
    text.push('\n');
    text
}

fn warnings(results: &Value) -> String {
    let mut text = String::new();
    for (code, message) in coded(results).filter(|(code, _)| *code != UNKNOWN) {
        let _ = writeln!(text, "  {code}: {message}");
    }
    if text.is_empty() {
        text
    } else {
        format!("validation.warnings\n{text}")
    }
}

#[cfg(test)]
mod tests {
    use joulemark_analysis::metrics::{Read, find};
    use joulemark_analysis::{aggregate, unknown_metrics};
    use joulemark_experiment::Spec;
    use serde_json::json;

    use super::*;
    use crate::http::row_schema;
    use crate::tables::{Format, Spreadsheet, Writer, experiment_columns_with};

    fn results() -> Value {
        json!({
            "inference": {"total_tokens": 861, "tokens_per_second": 30.8971, "cached_input_tokens": null},
            "energy": {"total_energy_j": 77.8824, "gpu_energy_j": null, "phases": [], "sources": [
                {"source": "tdp_estimate", "method": "estimate", "confidence": "low", "domain": "package", "scope": "host",
                 "zone": null, "gpu_uuid": null, "energy_j": 78.52, "uncertainty_j": 54.964},
                {"source": "nvml", "method": "energy_counter", "confidence": "high", "domain": "gpu", "scope": "attributed",
                 "gpu_uuid": "GPU-1", "energy_j": null, "uncertainty_j": null}]},
            "compute": {"flops_total": 2.048e11, "a_later_figure": 7},
            "efficiency": {"joules_per_output_token": null},
            "validation": {"temporal_overlap": "not_applicable", "overlap_ratio": null, "warnings": [
                {"code": "metric_unknown", "message": "gpu_energy_j: no GPU was leased"},
                {"code": "short_window", "message": "rank 0 ran for 4.12 s"}]},
        })
    }

    #[test]
    fn figures_have_units_and_nulls_have_reasons() {
        let text = table(&results());
        for line in [
            "  total_tokens                            861 tokens",
            "  total_energy_j                       77.882 J",
            "  gpu_energy_j                           null  (no GPU was leased)",
            "  flops_total                         2.048e11 FLOP",
            "  a_later_figure                            7",
            "  joules_per_output_token                null",
            "  package of host (host): 78.520 J ± 54.964 J, by tdp_estimate, estimate, confidence low",
            "  gpu of GPU-1 (attributed): unknown, by nvml, energy_counter, confidence high",
            "  short_window: rank 0 ran for 4.12 s",
        ] {
            assert!(
                text.lines().any(|printed| squeezed(printed) == squeezed(line)),
                "{line} is not in:\n{text}"
            );
        }
        assert!(!text.contains("metric_unknown"), "{text}");
        assert!(!text.contains("cached_input_tokens"), "of a server alone: {text}");
    }

    fn squeezed(line: &str) -> Vec<&str> {
        line.split_whitespace().collect()
    }

    #[test]
    fn headline_metrics_are_printed_in_their_order() {
        let text = headlines(&results());
        let names: Vec<_> = text
            .lines()
            .map(|line| line.split_whitespace().next().unwrap())
            .collect();
        let first = [
            "output_throughput",
            "tokens_per_second",
            "mean_ttft_ms",
            "mean_tpot_ms",
            "total_energy_j",
        ];
        assert_eq!(names[..5], first);
    }

    #[test]
    fn an_empty_document_is_printed() {
        assert!(table(&json!({})).contains("none"));
        assert!(headlines(&json!([])).contains("null"));
    }

    fn with_one_more_metric() -> Vec<Metric> {
        let decode_share = Metric {
            name: "flops_decode_share",
            unit: "per whole",
            about: "The decode's share of all FLOPs, 0 to 1.",
            description: "`flops_decode` / `flops_total`.",
            formula: Some("`flops_decode` / `flops_total`"),
            read: Read::Number(|figures| Some(figures.compute.flops_decode? / figures.compute.flops_total?)),
            ..*find(all(), "arithmetic_intensity").unwrap()
        };
        [all(), &[decode_share]].concat()
    }

    #[test]
    fn a_metric_added_to_the_table_is_exported_described_printed_and_warned_of() {
        let metrics = with_one_more_metric();
        let columns = experiment_columns_with(&metrics, Spec::FIELDS);
        let (_, header) = Writer::new(Format::Csv(Spreadsheet::No), columns).unwrap();
        let header = String::from_utf8(header).unwrap();
        assert!(
            header.contains(",arithmetic_intensity,flops_decode_share,roofline_device,"),
            "{header}"
        );

        let schema = serde_json::to_value(row_schema(&experiment_columns_with(&metrics, Spec::FIELDS))).unwrap();
        let property = &schema["properties"]["flops_decode_share"];
        assert_eq!(property["type"], json!(["number", "null"]));
        assert_eq!(property["description"], "The decode's share of all FLOPs, 0 to 1.");

        let results = json!({"compute": {"flops_decode_share": 0.75}});
        let text = table_with(&metrics, &results);
        assert!(
            text.lines()
                .any(|line| squeezed(line) == ["flops_decode_share", "0.750", "per", "whole"]),
            "{text}"
        );

        let spec = serde_json::from_value(spec()).unwrap();
        let warnings = unknown_metrics(&metrics, &spec, (&aggregate(&[], &[])).into());
        let messages: Vec<_> = warnings.iter().map(|warning| warning.message.as_str()).collect();
        assert!(
            messages.contains(&"flops_decode_share: flops_decode is unknown"),
            "{messages:?}"
        );
    }

    fn spec() -> Value {
        json!({
            "config_name": "test", "model_name": "m.gguf", "prompts": ["hello"], "raw_prompt": false,
            "max_output_tokens": 4, "min_output_tokens": 4, "decoder": {"temperature": 0.0, "do_sample": false},
            "num_processes": 1, "gpus": [], "device": "cpu", "distribution": "shard", "fp_precision": "auto",
            "batch_size": 1, "warmup_iterations": 3, "num_cycles": 1, "labels": {},
        })
    }
}
