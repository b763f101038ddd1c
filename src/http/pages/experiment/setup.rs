//! The section on the setup.

use askama::Template;
use serde_json::Value;

use crate::http::experiments::manifest::Manifest;
use crate::http::problem::Problem;
use crate::number;
use joulemark_experiment::report::{ModelFacts, Report, RunConditions};
use joulemark_experiment::{ExperimentId, Spec};
use joulemark_measurement::Machine;

/// Maximum length of a document that is shown; a longer one is a download.
const MAX_SHOWN_BYTES: usize = 64 << 10;

/// Experiment and host, with documents that a server accepts again.
#[derive(Template)]
#[template(path = "experiment/setup.html")]
pub struct Setup {
    id: ExperimentId,
    /// The experiment as YAML; `None` when it is too long to show.
    yaml: Option<String>,
    /// Number of prompts that are withheld, since they are another user's.
    withheld: Option<u32>,
    /// Whether retention deleted the prompts.
    dropped: bool,
    has_keys: bool,
    facts: Vec<(&'static str, String)>,
    manifest: Option<ManifestText>,
    /// URL of the API; `None` in a report, which has no links to it.
    api: Option<String>,
}

/// A manifest as JSON.
struct ManifestText {
    json: String,
    /// Whether the prompts are omitted, since they are long.
    without_prompts: bool,
}

/// The experiment, and what the section says of its prompts.
pub struct Given<'a> {
    pub id: ExperimentId,
    pub spec: &'a Spec,
    pub withheld: Option<u32>,
    pub dropped: bool,
    pub has_keys: bool,
    pub api: Option<String>,
}

impl Setup {
    /// Creates the section.
    ///
    /// # Errors
    /// Returns a [`Problem`] when a document cannot be serialized, which does not happen.
    pub fn new(given: &Given<'_>, result: Option<(&Report, &Manifest)>) -> Result<Self, Problem> {
        let yaml = yaml(given.spec)?;
        Ok(Self {
            id: given.id,
            yaml: (yaml.len() <= MAX_SHOWN_BYTES).then_some(yaml),
            withheld: given.withheld,
            dropped: given.dropped,
            has_keys: given.has_keys,
            facts: result.map_or_else(Vec::new, |(report, _)| facts(report)),
            manifest: result.map(|(_, manifest)| ManifestText::of(manifest)).transpose()?,
            api: given.api.clone(),
        })
    }
}

impl ManifestText {
    /// Serializes a manifest, without its prompts if it would be too long.
    fn of(manifest: &Manifest) -> Result<Self, Problem> {
        let mut document = serde_json::to_value(manifest).map_err(unwritten)?;
        let pretty = |document: &Value| serde_json::to_string_pretty(document).map_err(unwritten);
        let mut json = pretty(&document)?;
        let mut without_prompts = false;
        if json.len() > MAX_SHOWN_BYTES {
            for prompts in ["prompts", "prompt_lines"] {
                let texts = &mut document["experiment"][prompts];
                // Only prompts given as texts are a list.
                if texts.as_array().is_some_and(|texts| !texts.is_empty()) {
                    *texts = Value::Array(Vec::new());
                    without_prompts = true;
                }
            }
            json = pretty(&document)?;
        }
        Ok(Self { json, without_prompts })
    }
}

fn unwritten(error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "a document of an experiment cannot be serialized");
    Problem::internal()
}

/// Returns the experiment as YAML, without null fields.
fn yaml(spec: &Spec) -> Result<String, Problem> {
    let mut document = serde_json::to_value(spec).map_err(unwritten)?;
    if let Value::Object(fields) = &mut document {
        fields.retain(|_, value| !value.is_null());
    }
    serde_saphyr::to_string(&document).map_err(unwritten)
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = of_machine(&report.machine);
    facts.extend(of_model(&report.model));
    facts.extend(report.conditions.as_deref().map_or_else(Vec::new, of_conditions));
    let timing = &report.timing;
    let sec = number::duration;
    facts.push((
        "Time",
        format!(
            "{} in total: load {}, warm-up {}, idle baseline {}, cooling {}, measurement {}",
            sec(timing.total_sec),
            sec(timing.load_sec),
            sec(timing.warm_up_sec),
            sec(timing.idle_baseline_sec),
            sec(timing.cooldown_sec),
            sec(timing.measuring_sec)
        ),
    ));
    facts
}

fn of_machine(machine: &Machine) -> Vec<(&'static str, String)> {
    let gpus = (!machine.gpu_names.is_empty()).then(|| machine.gpu_names.join(", "));
    let all = [
        ("Host", Some(machine.hostname.clone())),
        ("Kernel", Some(machine.kernel.clone())),
        ("CPU", machine.cpu_model.clone()),
        ("Logical CPUs", Some(machine.logical_cpus.to_string())),
        ("GPUs of the host", gpus),
        ("NVIDIA driver", machine.nvidia_driver.clone()),
        ("joulemark", Some(machine.joulemark_version.clone())),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn of_model(model: &ModelFacts) -> Vec<(&'static str, String)> {
    let all = [
        ("Model format", model.format.clone()),
        ("Architecture", model.architecture.clone()),
        (
            "Parameters",
            model.parameters_total.map(|count| number::si(count as f64, "")),
        ),
    ];
    let hashes = model
        .sha256
        .iter()
        .map(|of| ("SHA-256", format!("{} {}", of.sha256, of.file)));
    let known = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known.chain(hashes).collect()
}

fn of_conditions(conditions: &RunConditions) -> Vec<(&'static str, String)> {
    let engine = &conditions.engine;
    let named = [
        Some(engine.name.clone()),
        engine.version.clone(),
        engine.library_version.clone(),
    ];
    let engine = named.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let yes = |is: bool| if is { "on" } else { "off" }.to_owned();
    let governors = (!conditions.cpu_governors.is_empty()).then(|| conditions.cpu_governors.join(", "));
    let all = [
        ("Engine", Some(engine)),
        ("joulemark commit", conditions.joulemark_commit.clone()),
        ("CPU governor", governors),
        ("Turbo", conditions.turbo.map(yes)),
        ("SMT", conditions.smt.map(yes)),
        (
            "Memory",
            conditions.memory_bytes.map(|bytes| number::bytes(bytes as f64)),
        ),
        ("Container", conditions.container.clone()),
        ("Virtual machine", conditions.virtual_machine.clone()),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
