//! Checks the outcome of many experiments by what the API reports of each.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde_json::Value;

use crate::server::{Server, is_finished};

/// All experiments of a server after they have finished.
pub struct Verdict {
    pub experiments: Vec<Value>,
    /// Runs on each device with their windows, in CLOCK_MONOTONIC seconds.
    runs: HashMap<String, Vec<Run>>,
    /// Completed experiments without exactly one result for each rank and cycle.
    incomplete: Vec<String>,
}

#[derive(Clone, Debug)]
struct Run {
    id: String,
    start_sec: f64,
    end_sec: f64,
}

impl Verdict {
    /// Waits until no experiment is queued or running, at most for `patience`; experiments that still are stay in the
    /// verdict.
    pub async fn wait(server: &Server, patience: Duration) -> Self {
        const PAUSE: Duration = Duration::from_millis(200);
        let mut waited = Duration::ZERO;
        // An experiment that is requeued between two requests is in neither answer, but hardly twice in a row.
        while waited < patience && !(is_idle(server).await && is_idle(server).await) {
            tokio::time::sleep(PAUSE).await;
            waited += PAUSE;
        }
        let experiments = all(server).await;
        let (mut runs, mut incomplete): (HashMap<String, Vec<Run>>, Vec<String>) = (HashMap::new(), Vec::new());
        for experiment in experiments.iter().filter(|one| one["state"] == "completed") {
            let id = text(&experiment["id"]);
            let items = server.processes(&id).await["items"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let ranks = (experiment["num_processes"].as_u64(), experiment["num_cycles"].as_u64());
            let expected = ranks.0.unwrap_or(0) * ranks.1.unwrap_or(0);
            let distinct = items.iter().map(|item| (item["rank"].as_u64(), item["cycle"].as_u64()));
            if items.len() as u64 != expected || distinct.collect::<HashSet<_>>().len() as u64 != expected {
                incomplete.push(id.clone());
            }
            for (device, run) in items.iter().flat_map(|item| device_runs(experiment, &id, item)) {
                runs.entry(device).or_default().push(run);
            }
        }
        Self {
            experiments,
            runs,
            incomplete,
        }
    }

    /// Returns the number of experiments in each state, failed ones by reason.
    pub fn by_state(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for experiment in &self.experiments {
            let reason = experiment["failure"]["reason"].as_str();
            let state = text(&experiment["state"]);
            *counts
                .entry(reason.map_or(state.clone(), |reason| format!("{state}, {reason}")))
                .or_insert(0) += 1;
        }
        counts
    }

    /// Returns the accepted experiments that are missing or have not finished.
    pub fn lost(&self, accepted: &[String]) -> Vec<String> {
        let finished = self
            .experiments
            .iter()
            .filter(|one| is_finished(one))
            .map(|one| text(&one["id"]));
        let finished = finished.collect::<HashSet<_>>();
        accepted.iter().filter(|id| !finished.contains(*id)).cloned().collect()
    }

    /// Returns experiments with missing or surplus results, and pairs that used one device at the same time.
    pub fn twice(&self) -> Vec<String> {
        let mut wrong = self.incomplete.clone();
        for (device, runs) in &self.runs {
            let mut runs = runs.clone();
            runs.sort_by(|a, b| a.start_sec.total_cmp(&b.start_sec));
            for pair in runs.windows(2).filter(|pair| pair[1].id != pair[0].id) {
                if pair[1].start_sec < pair[0].end_sec {
                    wrong.push(format!("{} and {} on {device}", pair[0].id, pair[1].id));
                }
            }
        }
        wrong
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns the devices of one rank and cycle, each with the window.
fn device_runs(experiment: &Value, id: &str, item: &Value) -> Vec<(String, Run)> {
    let window = &item["window"];
    let run = Run {
        id: id.to_owned(),
        start_sec: window["start_monotonic_sec"].as_f64().expect("a window"),
        end_sec: window["end_monotonic_sec"].as_f64().expect("a window"),
    };
    let gpus = item["gpus"].as_array().cloned().unwrap_or_default();
    let mut devices = gpus.iter().map(text).collect::<Vec<_>>();
    if experiment["device"] == "cpu" {
        devices.push(format!("the CPU of {}", text(&experiment["node_name"])));
    }
    devices.into_iter().map(|device| (device, run.clone())).collect()
}

async fn is_idle(server: &Server) -> bool {
    for state in ["queued", "starting", "warming_up", "measuring", "aggregating"] {
        let (_, page) = server.get(&format!("/v1/experiments?state={state}&limit=1")).await;
        if page["items"].as_array().is_none_or(|items| !items.is_empty()) {
            return false;
        }
    }
    true
}

async fn all(server: &Server) -> Vec<Value> {
    let (mut experiments, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = server.get(&format!("/v1/experiments?limit=500{cursor}")).await;
        experiments.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return experiments,
        }
    }
}
