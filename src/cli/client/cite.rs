//! `joulemark cite`: a paragraph for the methods section of a paper and BibTeX entries.

mod read;
mod workload;

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::arguments::ServerArguments;
use super::ending::Ending;
use super::session;
use joulemark_experiment::ExperimentId;
use read::{HASH_DIGITS, items, number, text};

/// Code of warnings that say why a metric is null; a citation names no such metric.
const UNKNOWN: &str = "metric_unknown";

#[derive(Debug, Args)]
pub struct CiteArguments {
    /// ID of an experiment that has results.
    id: ExperimentId,
    #[command(flatten)]
    server: ServerArguments,
}

pub fn run(arguments: &CiteArguments) -> ExitCode {
    session::run(&arguments.server, None, false, async |session| {
        let results = session.server.results(arguments.id).await;
        let results = session.of_experiment(arguments.id, results).await?.value;
        let manifest = session.server.manifest(arguments.id).await?.value;
        session.print(&format!(
            "{}\n\n{}",
            paragraph(&results, &manifest),
            entries(&results, &manifest)
        ))?;
        Ok(Ending::Done)
    })
}

/// Returns the methods paragraph: how the figures were measured, and the figures with their intervals.
fn paragraph(results: &Value, manifest: &Value) -> String {
    let sentences = [
        setting(results, manifest),
        workload::requests(results),
        workload::answered(results),
        sources(results),
        figures(results),
        warnings(results),
        format!(
            "The experiment is {} of {}.",
            text(&manifest["id"]),
            text(&manifest["finished_at"]).get(..10).unwrap_or("an unknown day")
        ),
    ];
    sentences
        .into_iter()
        .filter(|sentence| !sentence.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn setting(results: &Value, manifest: &Value) -> String {
    let (machine, conditions) = (&results["machine"], &results["conditions"]);
    let engine = &conditions["engine"];
    let commit = match &conditions["joulemark_commit"] {
        Value::String(commit) => format!(" (commit {commit})"),
        _ => String::new(),
    };
    let library = match &engine["library_version"] {
        Value::String(version) => format!(" ({version})"),
        _ => String::new(),
    };
    let gpus: Vec<_> = items(&conditions["gpus"]).map(|gpu| text(&gpu["name"])).collect();
    let gpus = match gpus.as_slice() {
        [] => String::new(),
        gpus => format!(
            ", {} (driver {}{})",
            gpus.join(", "),
            text(&machine["nvidia_driver"]),
            power_limits(results)
        ),
    };
    let activations = items(&manifest["loads"]).filter_map(|load| load["activation_dtype"].as_str());
    // The synthetic engine has none.
    let activations = listed(activations.filter(|dtype| *dtype != "none"));
    let activations = match activations.is_empty() {
        true => activations,
        false => format!(" with {activations} activations"),
    };
    let hashes = items(&manifest["model"]["sha256"]).filter_map(|file| file["sha256"].as_str().or(file.as_str()));
    let hashes: Vec<_> = hashes.map(|hash| hash.get(..HASH_DIGITS).unwrap_or(hash)).collect();
    let hash = match hashes.as_slice() {
        [] => String::new(),
        hashes => format!(" (SHA-256 {}…)", hashes.join("…, ")),
    };
    format!(
        "We measured {}{hash} with joulemark {}{commit}, run by {} {}{library}{activations} on {} ({} logical CPUs{gpus}; {}).",
        text(&results["experiment"]["model_name"]),
        text(&machine["joulemark_version"]),
        text(&engine["name"]),
        text(&engine["version"]),
        machine["cpu_model"].as_str().unwrap_or("an unknown CPU"),
        machine["logical_cpus"],
        text(&machine["kernel"]),
    )
}

fn sources(results: &Value) -> String {
    let mut described = Vec::new();
    for source in known_sources(results) {
        let method = match source["method"].as_str() {
            Some("estimate") => "estimated from nameplate power",
            Some("power_integration") => "polled power, integrated",
            _ => "an energy counter",
        };
        let one = format!(
            "{} by {} ({method}, confidence {})",
            text(&source["domain"]),
            text(&source["source"]),
            text(&source["confidence"])
        );
        if !described.contains(&one) {
            described.push(one);
        }
    }
    match described.as_slice() {
        [] => "Energy was not measured.".to_owned(),
        described => format!("Energy is that of {}.", described.join(", ")),
    }
}

/// Returns the sources whose energy is known.
fn known_sources(results: &Value) -> impl Iterator<Item = &Value> {
    items(&results["energy"]["sources"]).filter(|source| source["energy_j"].is_number())
}

/// Returns the power limits of the GPUs, such as ", power limit 300 W"; empty where none is known.
fn power_limits(results: &Value) -> String {
    let of_gpus = items(&results["conditions"]["gpus"]).map(|gpu| &gpu["power_limit_w"]);
    let limits = match &results["power_limit_w"] {
        limit @ Value::Number(_) => vec![limit],
        _ => of_gpus.collect(),
    };
    let limits: Vec<String> = limits
        .into_iter()
        .filter_map(Value::as_f64)
        .map(|limit_w| format!("{limit_w} W"))
        .collect();
    let limits = listed(limits.iter().map(String::as_str));
    match limits.is_empty() {
        true => limits,
        false => format!(", power limit {limits}"),
    }
}

/// Returns the words, each once, separated by commas.
fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut once: Vec<&str> = Vec::new();
    for word in words {
        if !once.contains(&word) {
            once.push(word);
        }
    }
    once.join(", ")
}

/// Returns the sentence with the figures, the energy of an output token first.
fn figures(results: &Value) -> String {
    let is_estimate = known_sources(results).any(|source| source["method"] == "estimate");
    let meter = match is_estimate {
        true => "the assumed bounds of the estimate",
        false => "the meter's error",
    };
    let of = |group: &str, name: &str, unit: &str| {
        let value = &results[group][name];
        let (interval, what) = interval(value, &results["statistics"][name], meter).unzip();
        format!("{} {unit}{}", number(value, interval), what.unwrap_or_default())
    };
    let energy = &results["energy"];
    let bounds = energy["total_energy_j"]
        .as_f64()
        .zip(energy["total_energy_uncertainty_j"].as_f64());
    let bounds = bounds.map(|(total, half)| (total - half, total + half));
    let total = number(&energy["total_energy_j"], bounds);
    let what = bounds.map_or_else(String::new, |_| format!(" ({meter})"));
    format!(
        "The energy was {}, the output throughput {}, and the mean time to first token {}. All cycles together used {total} \
         J{what}.",
        of("efficiency", "joules_per_output_token", "J per output token"),
        of("inference", "output_throughput", "tokens/s"),
        of("inference", "mean_ttft_ms", "ms"),
    )
}

/// Returns the interval of a figure and what it is of: the interval over cycles and the meter's error combined, or the
/// one that is known.
fn interval(value: &Value, statistic: &Value, meter: &str) -> Option<((f64, f64), String)> {
    let ends = |low: &str, high: &str| statistic[low].as_f64().zip(statistic[high].as_f64());
    let over_cycles = format!("95 % over {} cycles", statistic["n"]);
    let (value, half) = (value.as_f64()?, statistic["instrument_uncertainty"].as_f64());
    let of_ratio = ends("ratio_ci_low", "ratio_ci_high");
    let combined = match (of_ratio, half) {
        (Some((low, high)), Some(half)) => {
            Some((value - (value - low).hypot(half), value + (high - value).hypot(half)))
        }
        _ => ends("combined_low", "combined_high"),
    };
    if let Some(ends) = combined {
        return Some((ends, format!(" ({over_cycles}, and {meter})")));
    }
    if let Some(ends) = of_ratio.or(ends("ci_low", "ci_high")) {
        return Some((ends, format!(" ({over_cycles})")));
    }
    half.map(|half| ((value - half, value + half), format!(" ({meter})")))
}

fn warnings(results: &Value) -> String {
    let codes = items(&results["validation"]["warnings"]).map(|one| text(&one["code"]));
    let codes = listed(codes.filter(|code| *code != UNKNOWN));
    match codes.is_empty() {
        true => codes,
        false => format!("The result carries these warnings: {codes}."),
    }
}

/// Returns two BibTeX entries, one for the program and one for the result.
fn entries(results: &Value, manifest: &Value) -> String {
    let id = text(&manifest["id"]);
    // The whole ID, since IDs of experiments submitted within a minute share their first digits.
    let key = id;
    let year = text(&manifest["finished_at"]).get(..4).unwrap_or("n.d.");
    let version = text(&results["machine"]["joulemark_version"]);
    format!(
        "@software{{joulemark,\n  title = {{joulemark}},\n  author = {{{{The joulemark authors}}}},\n  version = {{{version}}},\n  \
         year = {{{year}}}\n}}\n\n@misc{{joulemark-{key},\n  title = {{Measurement {id}}},\n  author = {{{{The authors of this paper}}}},\n  \
         howpublished = {{joulemark bundle, attached}},\n  year = {{{year}}}\n}}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_paragraph_names_the_setting_the_sources_and_the_warnings() {
        let results = json!({
            "power_limit_w": 300.0,
            "machine": {"joulemark_version": "0.1.0", "cpu_model": "AMD EPYC", "logical_cpus": 2, "kernel": "Linux 6.1",
                "nvidia_driver": "550"},
            "conditions": {"joulemark_commit": null, "gpus": [{"name": "NVIDIA H200"}], "engine": {"name": "mistral", "version": "0.1.0",
                "library_version": "mistral.rs 0.8.1"}},
            "experiment": {"model_name": "a.gguf", "batch_size": 1, "warmup_iterations": 3},
            "cycles": [{}, {}, {}],
            "inference": {"answered_requests": 24, "input_tokens": 477, "output_tokens": 384, "inference_time_sec": 23.46,
                "output_throughput": 16.37, "mean_ttft_ms": 938.4},
            "energy": {"total_energy_j": 149.9, "total_energy_uncertainty_j": 117.0, "sources": [{"domain": "package",
                "source": "tdp_estimate", "method": "estimate", "confidence": "low", "energy_j": 149.9}]},
            "efficiency": {"joules_per_output_token": 0.39},
            "statistics": {"output_throughput": {"n": 3, "ci_low": 15.9, "ci_high": 16.84},
                "joules_per_output_token": {"n": 3, "combined_low": 0.09, "combined_high": 0.69}},
            "validation": {"warnings": [{"code": "energy_estimated"}, {"code": "metric_unknown"}, {"code": "few_cycles"},
                {"code": "energy_estimated"}]},
        });
        let manifest = json!({"id": "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11", "finished_at": "2026-01-31T12:00:00Z",
            "model": {"sha256": ["00112233445566778899aabbccddeeff"]},
            "loads": [{"activation_dtype": "bf16"}, {"activation_dtype": "bf16"}, {"activation_dtype": "none"}]});
        let paragraph = paragraph(&results, &manifest);
        for part in [
            "a.gguf (SHA-256 0011223344556677…) with joulemark 0.1.0",
            "run by mistral 0.1.0 (mistral.rs 0.8.1) with bf16 activations on AMD EPYC (2 logical CPUs, NVIDIA H200 (driver 550, power \
             limit 300 W); Linux 6.1)",
            "3 measured cycles answered 24 requests with 477 input and 384 output tokens (mean 19.9 and 16 per request)",
            "package by tdp_estimate (estimated from nameplate power, confidence low)",
            "The energy was 0.39 ± 0.30 J per output token (95 % over 3 cycles, and the assumed bounds of the estimate)",
            "together used 150 ± 120 J (the assumed bounds of the estimate)",
            "16.37 ± 0.47 tokens/s (95 % over 3 cycles)",
            "warnings: energy_estimated, few_cycles.",
            "2026-01-31",
        ] {
            assert!(paragraph.contains(part), "{part} in {paragraph}");
        }
        let entries = entries(&results, &manifest);
        assert!(
            entries.contains("@misc{joulemark-01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11,")
                && entries.contains("year = {2026}"),
            "{entries}"
        );
    }
}
