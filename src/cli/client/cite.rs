//! `joulemark cite`: a paragraph for the methods section of a paper and BibTeX entries.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::arguments::ServerArguments;
use super::ending::Ending;
use super::session;
use crate::number::{plain, with_interval};
use joulemark_experiment::ExperimentId;

/// Digits of a SHA-256 that identify a model file.
const HASH_DIGITS: usize = 16;

#[derive(Debug, Args)]
pub struct CiteArguments {
    /// ID of an experiment that has results.
    id: ExperimentId,
    #[command(flatten)]
    server: ServerArguments,
}

pub fn run(arguments: &CiteArguments) -> ExitCode {
    session::run(&arguments.server, None, false, async |session| {
        let results = session.server.results(arguments.id).await?.value;
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
        work(results),
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
        gpus => format!(", {} (driver {})", gpus.join(", "), text(&machine["nvidia_driver"])),
    };
    let hashes = items(&manifest["model"]["sha256"]).filter_map(|file| file["sha256"].as_str().or(file.as_str()));
    let hashes: Vec<_> = hashes.map(|hash| hash.get(..HASH_DIGITS).unwrap_or(hash)).collect();
    let hash = match hashes.as_slice() {
        [] => String::new(),
        hashes => format!(" (SHA-256 {}…)", hashes.join("…, ")),
    };
    format!(
        "We measured {}{hash} with joulemark {}{commit}, run by {} {}{library} on {} ({} logical CPUs{gpus}; {}).",
        text(&results["experiment"]["model_name"]),
        text(&machine["joulemark_version"]),
        text(&engine["name"]),
        text(&engine["version"]),
        machine["cpu_model"].as_str().unwrap_or("an unknown CPU"),
        machine["logical_cpus"],
        text(&machine["kernel"]),
    )
}

fn work(results: &Value) -> String {
    let (inference, experiment) = (&results["inference"], &results["experiment"]);
    let ranks = match experiment["num_processes"].as_u64() {
        Some(1) | None => String::new(),
        Some(ranks) => format!(" in {ranks} processes"),
    };
    let batch = match experiment["batch_size"].as_u64() {
        Some(1) | None => String::new(),
        Some(size) => format!(" of up to {size} at once in each process"),
    };
    let warm_ups = items(&results["warm_ups"])
        .filter_map(|of| of["iterations"].as_u64())
        .max();
    let warm_ups = warm_ups.or(experiment["warmup_iterations"].as_u64()).unwrap_or(0);
    format!(
        "After {warm_ups} warm-up iterations, {} measured cycles answered {} requests{batch}{ranks} with {} input and {} output \
         tokens in {} s.",
        items(&results["cycles"]).count(),
        inference["answered_requests"],
        inference["input_tokens"],
        inference["output_tokens"],
        number(&inference["inference_time_sec"], None),
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

fn figures(results: &Value) -> String {
    let energy = &results["energy"];
    let half = energy["total_energy_uncertainty_j"].as_f64();
    let total = energy["total_energy_j"].as_f64();
    let interval = total.zip(half).map(|(total, half)| (total - half, total + half));
    let is_estimate = known_sources(results).any(|source| source["method"] == "estimate");
    let what = match (interval.is_some(), is_estimate) {
        (false, _) => "",
        (true, false) => " (the meter's half-width, 95 %)",
        (true, true) => " (estimated bounds, since a part is estimated)",
    };
    let mut stated = vec![format!(
        "the total energy was {} J{what}",
        number(&energy["total_energy_j"], interval)
    )];
    for (group, name, unit) in [
        ("inference", "output_throughput", "tokens/s"),
        ("efficiency", "joules_per_output_token", "J per output token"),
        ("inference", "mean_ttft_ms", "ms to the first token"),
    ] {
        let statistic = &results["statistics"][name];
        let bound = |own: &str, combined: &str| statistic[combined].as_f64().or(statistic[own].as_f64());
        let interval = bound("ci_low", "combined_low").zip(bound("ci_high", "combined_high"));
        let what = match (interval.is_some(), statistic["combined_low"].is_number()) {
            (false, _) => String::new(),
            (true, false) => format!(" (95 % over {} cycles)", statistic["n"]),
            (true, true) => format!(" (95 % over {} cycles, and the meter's error)", statistic["n"]),
        };
        stated.push(format!("{} {unit}{what}", number(&results[group][name], interval)));
    }
    format!("Over all cycles {}.", stated.join(", "))
}

fn warnings(results: &Value) -> String {
    let mut codes: Vec<_> = items(&results["validation"]["warnings"])
        .map(|one| text(&one["code"]))
        .collect();
    codes.dedup();
    match codes.as_slice() {
        [] => String::new(),
        codes => format!("The result carries these warnings: {}.", codes.join(", ")),
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

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}

fn number(value: &Value, interval: Option<(f64, f64)>) -> String {
    match value.as_f64() {
        None => "unknown".to_owned(),
        Some(value) if interval.is_none() => plain(value),
        Some(value) => with_interval(value, interval),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_paragraph_names_the_setting_the_sources_and_the_warnings() {
        let results = json!({
            "machine": {"joulemark_version": "0.1.0", "cpu_model": "AMD EPYC", "logical_cpus": 2, "kernel": "Linux 6.1",
                "nvidia_driver": null},
            "conditions": {"joulemark_commit": null, "gpus": [], "engine": {"name": "mistral", "version": "0.1.0",
                "library_version": "mistral.rs 0.8.1"}},
            "experiment": {"model_name": "a.gguf", "batch_size": 1, "warmup_iterations": 3},
            "cycles": [{}, {}, {}],
            "inference": {"answered_requests": 24, "input_tokens": 477, "output_tokens": 384, "inference_time_sec": 23.46,
                "output_throughput": 16.37, "mean_ttft_ms": 938.4},
            "energy": {"total_energy_j": 149.9, "total_energy_uncertainty_j": 117.0, "sources": [{"domain": "package",
                "source": "tdp_estimate", "method": "estimate", "confidence": "low", "energy_j": 149.9}]},
            "efficiency": {"joules_per_output_token": null},
            "statistics": {"output_throughput": {"n": 3, "ci_low": 15.9, "ci_high": 16.84}},
            "validation": {"warnings": [{"code": "energy_estimated"}]},
        });
        let manifest = json!({"id": "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11", "finished_at": "2026-01-31T12:00:00Z",
            "model": {"sha256": ["00112233445566778899aabbccddeeff"]}});
        let paragraph = paragraph(&results, &manifest);
        for part in [
            "a.gguf (SHA-256 0011223344556677…)",
            "joulemark 0.1.0, run by mistral 0.1.0 (mistral.rs 0.8.1) on AMD EPYC (2 logical CPUs; Linux 6.1)",
            "3 measured cycles answered 24 requests with 477 input",
            "package by tdp_estimate (estimated from nameplate power, confidence low)",
            "150 ± 120 J (estimated bounds",
            "16.37 ± 0.47 tokens/s (95 % over 3 cycles)",
            "unknown J per output token",
            "warnings: energy_estimated",
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
