//! Runs many short experiments on several servers that share one PostgreSQL, and compares the makespan with the ideal
//! one.

use std::collections::HashSet;
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use serde_json::{Value, json};

use crate::host::{Database, Host};
use crate::postgres_cluster::PostgresCluster;
use crate::server::Server;
use crate::verdict::Verdict;

const GPUS: u32 = 3;
const TOKENS: u32 = 4;

/// The servers and experiments of a run.
pub struct Plan<'a> {
    pub servers: u32,
    pub experiments: u32,
    /// Nominal duration of each experiment, loading included.
    pub experiment_ms: u32,
    /// Whether to kill the first server, without restarting it, when half of the experiments are done.
    pub is_one_killed: bool,
    pub cluster: &'a PostgresCluster,
}

/// The outcome of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Time from the first submission to the last end.
    pub makespan_sec: f64,
    /// Sum of the nominal durations and process starts of all experiments, divided by the GPUs that were available.
    pub ideal_sec: f64,
    /// Time from the claim until the worker begins to load, for one experiment alone on the machine.
    pub process_start_sec: f64,
    pub states: String,
    pub run_more_than_once: usize,
    pub lost: Vec<String>,
    pub twice: Vec<String>,
    pub gpus_used: usize,
}

/// Runs the plan.
pub async fn run(plan: &Plan<'_>) -> Outcome {
    let database = Database::Postgres(plan.cluster);
    let hosts = (0..plan.servers).map(|number| Host::new(number, GPUS, database, &["--lease-sec", "5"]));
    let hosts = hosts.collect::<Vec<_>>();
    let mut servers = hosts.iter().map(Host::start).collect::<Vec<_>>();
    let process_start_sec = process_start_sec(&servers[0], plan).await;
    let start = Monotonic::now();
    let accepted = submit_all(&servers, plan).await;
    let mut killed_at_sec = None;
    if plan.is_one_killed {
        while completed(&servers[1]).await < plan.experiments as usize / 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        servers.remove(0).kill();
        killed_at_sec = Some(Monotonic::now().sec_since(start));
    }
    let patience = Duration::from_millis(u64::from(plan.experiments) * u64::from(plan.experiment_ms));
    let done = Verdict::wait(&servers[0], patience);
    let verdict = done.await;
    let ours = |one: &&Value| accepted.contains(one["id"].as_str().unwrap_or_default());
    let experiments = verdict.experiments.iter().filter(ours).collect::<Vec<_>>();
    let cost_sec = f64::from(plan.experiment_ms) / 1e3 + process_start_sec;
    let all_sec = f64::from(plan.experiments) * cost_sec;
    let slots = f64::from(plan.servers * GPUS);
    let ideal_sec = match killed_at_sec {
        None => all_sec / slots,
        // With all GPUs until the kill, with the remaining ones afterwards.
        Some(at_sec) => at_sec + (all_sec - at_sec * slots).max(0.0) / (slots - f64::from(GPUS)),
    };
    let gpus = experiments
        .iter()
        .flat_map(|one| one["gpus"].as_array().cloned().unwrap_or_default());
    let ids = accepted.iter().cloned().collect::<Vec<_>>();
    Outcome {
        makespan_sec: makespan_sec(&experiments),
        ideal_sec,
        process_start_sec,
        states: format!("{:?}", verdict.by_state()),
        run_more_than_once: experiments.iter().filter(|one| one["attempt"] != 1).count(),
        lost: verdict.lost(&ids),
        twice: verdict.twice(),
        gpus_used: gpus.map(|gpu| gpu.to_string()).collect::<HashSet<_>>().len(),
    }
}

/// Returns an experiment on any one GPU that loads for a fifth of its duration.
fn experiment(plan: &Plan<'_>) -> Value {
    let (load_ms, token_ms) = (plan.experiment_ms / 5, plan.experiment_ms / 5);
    json!({
        "model_name": format!("synthetic:load_ms={load_ms},prefill_ms={token_ms},decode_ms={token_ms}"),
        "prompts": ["a"], "max_output_tokens": TOKENS, "num_cycles": 1, "warmup_iterations": 0, "idle_baseline_sec": 0,
        "device": "cuda",
    })
}

async fn process_start_sec(server: &Server, plan: &Plan<'_>) -> f64 {
    let mut starts = Vec::new();
    for _ in 0..5 {
        let id = server.accepted(&experiment(plan)).await;
        server.until_state(&id, "completed").await;
        let timing = &server.results(&id).await["timing"];
        starts.push(timing["claim_to_load_start_sec"].as_f64().expect("it was measured"));
    }
    starts.sort_by(f64::total_cmp);
    starts[starts.len() / 2]
}

/// Submits the experiments to all servers in turn and returns their ids.
async fn submit_all(servers: &[Server], plan: &Plan<'_>) -> HashSet<String> {
    let mut accepted = HashSet::new();
    for (number, server) in (0..plan.experiments).zip(servers.iter().cycle()) {
        let id = server.accepted(&experiment(plan)).await;
        assert!(accepted.insert(id), "experiment {number} has an id of its own");
    }
    accepted
}

async fn completed(server: &Server) -> usize {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let (_, page) = server
            .get(&format!("/v1/experiments?state=completed&limit=500{cursor}"))
            .await;
        count += page["items"].as_array().map_or(0, Vec::len);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return count,
        }
    }
}

/// Returns the makespan by the servers' own timestamps.
fn makespan_sec(experiments: &[&Value]) -> f64 {
    let time = |one: &Value, key: &str| one[key].as_str()?.parse::<jiff::Timestamp>().ok();
    let first = experiments.iter().filter_map(|one| time(one, "created_at")).min();
    let last = experiments.iter().filter_map(|one| time(one, "finished_at")).max();
    match (first, last) {
        (Some(first), Some(last)) => last.duration_since(first).as_secs_f64(),
        _ => f64::NAN,
    }
}
