//! Verifies a bundle: computes its figures again with the server's own functions and compares them with the recorded
//! ones.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::archive::{Damage, Entries};
use super::differences::{Difference, Differences};
use super::names::{MANIFEST, READINGS, REPORT, SUMS};
use super::samples::contradicted;
use joulemark_analysis::{
    GpuSettings, ReportInput, aggregate, goodput, host_idle_energy_j, inference_of, report, union_sec,
};
use joulemark_experiment::report::{Readings, Report, Timing};
use joulemark_experiment::{DroppedPrompts, PromptIdentity, Spec};
use joulemark_measurement::{BaselineKind, DeviceSeries, InferenceMetrics, RankCycle, Window, quoted};

/// Fields of a report that hold texts for people.
const TEXTS: [&str; 4] = ["message", "note", "notes", "uncertainty_basis"];

/// Limits on the resources of a verification.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_bytes: u64,
}

/// Result of a verification.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    /// Id of the experiment in the manifest.
    pub id: Option<String>,
    pub files: u64,
    /// Number of figures that were computed again and compared.
    pub figures: u64,
    /// Deviations from the format of a bundle, and files that do not match `SHA256SUMS`.
    pub damage: Vec<String>,
    /// Recorded values that differ from the computed ones.
    pub differences: Vec<Difference>,
    /// Parts that could not be checked, with the reason.
    pub not_checked: Vec<String>,
}

impl Verdict {
    /// Returns whether every byte and every checked figure is correct.
    pub fn holds(&self) -> bool {
        self.damage.is_empty() && self.differences.is_empty()
    }
}

/// Verifies a bundle.
///
/// # Errors
/// Returns an error when it cannot be read. Damage of the bundle is in the verdict.
pub fn verify(reader: impl Read, limits: Limits) -> std::io::Result<Verdict> {
    let mut verdict = Verdict::default();
    let mut bundle = Bundle::default();
    match bundle.read(reader, limits, &mut verdict) {
        Ok(()) => {}
        Err(Damage::Io(error)) => return Err(error),
        Err(damage) => {
            verdict.damage.push(format!("the bundle {damage}"));
            return Ok(verdict);
        }
    }
    bundle.check(&mut verdict);
    Ok(verdict)
}

/// Content of a bundle.
#[derive(Default)]
struct Bundle {
    manifest: Option<Value>,
    report: Option<Value>,
    readings: Option<Value>,
    cycles: Vec<RankCycle>,
    processes: Vec<(String, Value)>,
    devices: Vec<DeviceSeries>,
    sums: BTreeMap<String, String>,
}

impl Bundle {
    fn read(&mut self, reader: impl Read, limits: Limits, verdict: &mut Verdict) -> Result<(), Damage> {
        let mut entries = Entries::new(reader, limits.max_bytes);
        let mut folder = None;
        let mut stated = None;
        while let Some((path, content)) = entries.next()? {
            verdict.files += 1;
            let (its, name) = path.split_once('/').unwrap_or(("", &path));
            if *folder.get_or_insert_with(|| its.to_owned()) != its {
                verdict
                    .damage
                    .push(format!("{path} is in another folder than the files before it"));
            }
            if name == SUMS {
                stated = Some(content);
                continue;
            }
            if stated.is_some() {
                verdict
                    .damage
                    .push(format!("{name} comes after {SUMS}, which must be the last file"));
            }
            let sum = hex::encode(Sha256::digest(&content));
            if self.sums.insert(name.to_owned(), sum).is_some() {
                verdict.damage.push(format!("{name} occurs twice"));
            }
            self.add(name, &content, verdict);
        }
        match stated {
            Some(stated) => self.compare_sums(&stated, verdict),
            None => verdict.damage.push(format!("{SUMS} is missing")),
        }
        for name in [MANIFEST, REPORT, READINGS] {
            if !self.sums.contains_key(name) {
                verdict.damage.push(format!("{name} is missing"));
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, content: &[u8], verdict: &mut Verdict) {
        let Some(value) = read_json::<Value>(name, content, verdict) else {
            return;
        };
        match name {
            MANIFEST => self.manifest = Some(value),
            REPORT => self.report = Some(value),
            READINGS => self.readings = Some(value),
            _ if name.starts_with("processes/") => {
                if let Some(cycle) = typed(name, &value, verdict) {
                    self.cycles.push(cycle);
                    self.processes.push((name.to_owned(), without_requests(value)));
                }
            }
            _ if name.starts_with("timeseries/") => self.devices.extend(typed::<DeviceSeries>(name, &value, verdict)),
            _ => verdict.damage.push(format!("{name} is not a file of a bundle")),
        }
    }

    fn compare_sums(&self, stated: &[u8], verdict: &mut Verdict) {
        let Ok(stated) = std::str::from_utf8(stated) else {
            verdict.damage.push(format!("{SUMS} is not text"));
            return;
        };
        let mut left: BTreeMap<&str, &str> = self.sums.iter().map(|(name, sum)| (&**name, &**sum)).collect();
        for line in stated.split_terminator('\n') {
            match line.split_once("  ").map(|(sum, name)| (sum, name, left.remove(name))) {
                Some((sum, _, Some(is))) if sum == is => {}
                Some((sum, name, Some(is))) => verdict
                    .damage
                    .push(format!("{name} has the SHA-256 {is}, but {SUMS} has {sum}")),
                Some((_, name, None)) => verdict.damage.push(format!("{SUMS} names {name}, which is missing")),
                None => verdict
                    .damage
                    .push(format!("{SUMS} has a line that is not a hash and a name")),
            }
        }
        for name in left.keys() {
            verdict.damage.push(format!("{name} is not in {SUMS}"));
        }
        if !stated.ends_with('\n') {
            verdict.damage.push(format!("{SUMS} does not end with a line feed"));
        }
    }

    fn check(&self, verdict: &mut Verdict) {
        let (Some(manifest), Some(stated)) = (&self.manifest, &self.report) else {
            return;
        };
        verdict.id = manifest["id"].as_str().map(str::to_owned);
        let spec = typed::<Spec>("manifest.json/experiment", &manifest["experiment"], verdict);
        let read = typed::<Report>(REPORT, stated, verdict);
        let readings = self.readings.as_ref().filter(|readings| !readings.is_null());
        let readings = readings.and_then(|readings| typed::<Readings>(READINGS, readings, verdict));
        let (Some(spec), Some(read)) = (spec, read) else { return };
        let is_own = is_of_this_version(&read);
        if is_own && self.readings.as_ref().is_some_and(Value::is_null) {
            verdict.damage.push(format!(
                "{READINGS} is null, although joulemark {} stores the readings of a result",
                quoted(&read.machine.joulemark_version)
            ));
        }
        let mut differences = Differences {
            skips_null: readings.is_none() && !is_own,
            misses_keys: is_own,
            ..Differences::default()
        };
        compare_manifest(manifest, stated, &spec, &mut differences, verdict);
        self.compare_cycles(&spec, readings.as_ref(), &mut differences);
        match &readings {
            Some(readings) => {
                self.compare_report((stated, &read), &spec, readings, &mut differences);
                let (found, compared, not_told) = contradicted(&readings.hosts, &self.cycles, &self.devices);
                differences.found.extend(found);
                differences.figures += compared;
                verdict.not_checked.extend(not_told);
            }
            None => {
                let computed = aggregate(&self.cycles, &[]).inference;
                compare_inference("report.json/inference", &read.inference, computed, &mut differences);
                let why = match is_own {
                    true => "cannot be read",
                    false => "were not stored, since an earlier release made the result",
                };
                verdict
                    .not_checked
                    .push(format!("energies and all that follows from them: the readings {why}"));
            }
        }
        list_unchecked(&read, &differences, verdict);
        verdict.figures = differences.figures;
        verdict.differences = differences.found;
    }

    /// Compares the recorded figures of each rank in each cycle with those computed from its requests and readings.
    fn compare_cycles(&self, spec: &Spec, readings: Option<&Readings>, differences: &mut Differences) {
        let bare = readings.and_then(|readings| readings.idle.iter().find(|idle| idle.kind == BaselineKind::Bare));
        for (cycle, (name, stated)) in self.cycles.iter().zip(&self.processes) {
            let mut inference = inference_of(&cycle.requests, &cycle.failed_requests, &cycle.window);
            let slo = spec.slo.as_ref();
            inference.goodput =
                slo.and_then(|slo| goodput(slo, cycle.requests.iter(), Some(cycle.window.duration_sec())));
            compare_inference(&format!("{name}/inference"), &cycle.inference, inference, differences);
            let mut energy = cycle.energy.clone();
            energy.set_uncertainties();
            if let Some(bare) = bare {
                energy.host_idle_energy_j = host_idle_energy_j(&energy, bare);
            }
            energy.total_energy_j = energy.sum_of_parts_j(!cycle.gpus.is_empty());
            differences.compare(&format!("{name}/energy"), &stated["energy"], &json!(energy));
        }
    }

    fn compare_report(
        &self,
        (stated, read): (&Value, &Report),
        spec: &Spec,
        readings: &Readings,
        differences: &mut Differences,
    ) {
        let mut computed = report(ReportInput {
            spec,
            warnings: &readings.warnings,
            cycles: &self.cycles,
            hosts: &readings.hosts,
            idle: &readings.idle,
            phases: read.energy.phases.clone(),
            machine: read.machine.clone(),
            loads: read.loads.clone(),
            warm_ups: read.warm_ups.clone(),
            cycle_starts: read.cycle_starts.clone(),
            gpu_settings: GpuSettings {
                power_limits: read.power_limits.clone(),
                clocks: read.clocks.clone(),
            },
            stop: read.stop,
            steady: Vec::new(),
            disturbed: read
                .repetition
                .as_ref()
                .map(|repetition| repetition.disturbed_cycles.clone())
                .unwrap_or_default(),
            model: read.model.clone(),
            conditions: read.conditions.clone(),
            tariff: readings.tariff.clone(),
            truncated_prompts: readings.truncated_prompts,
            timing: self.timing(read),
        });
        computed.readings = None;
        computed.steady_state.clone_from(&read.steady_state);
        let mut computed = json!(computed);
        let mut stated = stated.clone();
        let is_own = is_of_this_version(read);
        let is_withheld = stated["outputs"].is_null() && (!is_own || stated.get("outputs").is_some());
        if is_withheld {
            computed["outputs"] = Value::Null;
            // Whether answers are equal cannot be computed without them.
            for report in [&mut stated, &mut computed] {
                without_output_differs(report);
            }
        }
        if !is_own {
            // Another version may use other words.
            for report in [&mut stated, &mut computed] {
                without_texts(report);
            }
        }
        differences.compare(REPORT, &stated, &computed);
    }

    /// Returns the times with those computed again that follow from the windows and from other times.
    fn timing(&self, read: &Report) -> Timing {
        let mut timing = read.timing.clone();
        timing.measuring_sec = self.measuring_sec();
        let at_work = timing.load_sec
            + timing.warm_up_sec
            + timing.idle_baseline_sec
            + timing.cooldown_sec
            + timing.measuring_sec;
        timing.overhead_share = (timing.total_sec > 0.0).then(|| 1.0 - at_work / timing.total_sec);
        timing
    }

    fn measuring_sec(&self) -> f64 {
        let mut windows: BTreeMap<u32, Vec<Window>> = BTreeMap::new();
        for cycle in &self.cycles {
            windows.entry(cycle.cycle).or_default().push(cycle.window);
        }
        windows.values().map(|windows| union_sec(windows)).sum()
    }
}

/// Returns whether this version made the result, which then has every figure that is computed here.
fn is_of_this_version(read: &Report) -> bool {
    read.machine.joulemark_version == env!("CARGO_PKG_VERSION")
}

/// Compares the figures that follow from requests. Peak memory is a reading, so it is skipped.
fn compare_inference(
    place: &str,
    stated: &InferenceMetrics,
    computed: InferenceMetrics,
    differences: &mut Differences,
) {
    let computed = InferenceMetrics {
        peak_gpu_memory_bytes: stated.peak_gpu_memory_bytes,
        peak_host_memory_bytes: stated.peak_host_memory_bytes,
        ..computed
    };
    differences.compare(place, &json!(stated), &json!(computed));
}

/// Compares the parts that manifest and report both have, and the hash of the prompts with the prompts if they are
/// included.
fn compare_manifest(
    manifest: &Value,
    stated: &Value,
    spec: &Spec,
    differences: &mut Differences,
    verdict: &mut Verdict,
) {
    for name in ["model", "loads", "machine", "conditions", "outputs"] {
        differences.compare(&format!("{MANIFEST}/{name}"), &manifest[name], &stated[name]);
    }
    let withheld = manifest["prompts_withheld"].as_u64();
    let dropped = serde_json::from_value::<Option<DroppedPrompts>>(manifest["prompts_dropped"].clone()).ok();
    let known = PromptIdentity::of(spec, withheld.map(|_| 0), dropped.flatten().as_ref());
    match known.filter(|_| !manifest["prompts"]["sha256"].is_null()) {
        Some(known) => {
            let computed = json!({"description": known.as_str(), "sha256": known.sha256()});
            differences.compare(&format!("{MANIFEST}/prompts"), &manifest["prompts"], &computed);
        }
        None => verdict
            .not_checked
            .push("the prompts, which are withheld from the user of the bundle, or were deleted".to_owned()),
    }
}

fn list_unchecked(read: &Report, differences: &Differences, verdict: &mut Verdict) {
    let mut add = |what: &str| verdict.not_checked.push(what.to_owned());
    if read.outputs.is_none() {
        add("the answers: their tokens are withheld from the user of the bundle, or unknown");
    }
    if read.compute.flops_total.is_some() {
        add("FLOPs and bytes of each rank and cycle, which need the model's files (their sums are checked)");
    }
    add(
        "the experiment's part of the host's energy, energy by phase, the steady state, and memory, which need the meter's \
         own readings",
    );
    add(
        "power limits, clocks, how cycles began, warm-ups, how a stop rule ended, which cycles were disturbed, and times \
         other than measuring_sec and overhead_share: only the server observed them",
    );
    add("loads, machine, model and conditions, which are only compared with the manifest");
    if !is_of_this_version(read) {
        add(&format!(
            "whether a figure is missing: joulemark {} made the result, and versions differ in their figures",
            quoted(&read.machine.joulemark_version)
        ));
    }
    if !differences.unknown.is_empty() {
        let names: Vec<&str> = differences.unknown.iter().map(String::as_str).collect();
        add(&format!("{}, which this version does not know", names.join(", ")));
    }
}

fn read_json<T: DeserializeOwned>(name: &str, content: &[u8], verdict: &mut Verdict) -> Option<T> {
    let read = serde_json::from_slice(content);
    read.map_err(|error| verdict.damage.push(format!("{name} is not valid JSON: {error}")))
        .ok()
}

fn typed<T: DeserializeOwned>(name: &str, value: &Value, verdict: &mut Verdict) -> Option<T> {
    let read = T::deserialize(value);
    read.map_err(|error| {
        verdict
            .damage
            .push(format!("{name} is not as a server returns it: {error}"));
    })
    .ok()
}

/// Removes the requests, which are kept only in their typed form.
fn without_requests(mut value: Value) -> Value {
    value["requests"] = Value::Null;
    value
}

fn without_output_differs(report: &mut Value) {
    if let Some(warnings) = report.pointer_mut("/validation/warnings").and_then(Value::as_array_mut) {
        warnings.retain(|warning| warning["code"] != "output_differs");
    }
}

/// Removes the texts for people, wherever they are in the report.
fn without_texts(report: &mut Value) {
    match report {
        Value::Object(fields) => {
            for (name, value) in fields {
                match TEXTS.contains(&name.as_str()) {
                    true => *value = Value::Null,
                    false => without_texts(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(without_texts),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn texts_are_removed_at_every_depth_and_figures_stay() {
        let mut report = json!({"energy": {"sources": [{"note": "x", "energy_j": 1.0, "uncertainty_basis": "y"}]},
            "validation": {"warnings": [{"code": "few_cycles", "message": "z"}]}});
        super::without_texts(&mut report);
        let expected = json!({"energy": {"sources": [{"note": null, "energy_j": 1.0, "uncertainty_basis": null}]},
            "validation": {"warnings": [{"code": "few_cycles", "message": null}]}});
        assert_eq!(report, expected);
    }
}
