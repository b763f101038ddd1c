//! Kills servers and workers with SIGKILL at random times while experiments are submitted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::host::{Database, Host};
use crate::server::{Server, no_workers_within};
use crate::verdict::Verdict;

const GPUS: u32 = 3;

/// A test plan, with the seed of its random decisions.
pub struct Plan<'a> {
    pub kills: u32,
    pub hosts: u32,
    pub database: Database<'a>,
    pub seed: u64,
}

/// The outcome of a plan. Each list names violations and should be empty.
#[derive(Debug)]
pub struct Outcome {
    pub server_kills: u32,
    pub worker_kills: u32,
    pub accepted: usize,
    pub by_state: String,
    pub lost: Vec<String>,
    pub twice: Vec<String>,
    pub failed_for_no_reason: Vec<String>,
    pub orphans: Vec<u32>,
    pub leaked: Vec<String>,
}

impl Outcome {
    /// Returns whether there are no violations.
    pub fn is_clean(&self) -> bool {
        let lists = [&self.lost, &self.twice, &self.failed_for_no_reason, &self.leaked];
        lists.iter().all(|list| list.is_empty()) && self.orphans.is_empty()
    }
}

/// Kills as planned, then waits until all experiments have finished.
pub async fn run(plan: &Plan<'_>) -> Outcome {
    let mut dice = ChaCha8Rng::seed_from_u64(plan.seed);
    // Enough attempts that no experiment fails because of killed servers.
    let options = [
        "--lease-sec",
        "2",
        "--max-attempts",
        "1000",
        "--sample-interval-ms",
        "50",
    ];
    let hosts = (0..plan.hosts).map(|number| Host::new(number, GPUS, plan.database, &options));
    let hosts = hosts.collect::<Vec<_>>();
    let mut servers = hosts.iter().map(Host::start).collect::<Vec<_>>();
    let mut pids = servers.iter().map(Server::pid).collect::<Vec<_>>();
    let stream = Stream::start(&servers, plan.seed);
    let (mut server_kills, mut worker_kills) = (0, 0);
    while server_kills + worker_kills < plan.kills {
        tokio::time::sleep(Duration::from_millis(dice.random_range(20..400))).await;
        let victim = dice.random_range(0..servers.len());
        let workers = servers[victim].workers();
        match workers.choose(&mut dice).filter(|_| dice.random_bool(0.5)) {
            Some(worker) => {
                // Gone since: the next one.
                if kill(Pid::from_raw(*worker as i32), Signal::SIGKILL).is_ok() {
                    worker_kills += 1;
                }
            }
            None => {
                servers.remove(victim).kill();
                servers.insert(victim, hosts[victim].start());
                pids.push(servers[victim].pid());
                stream.send_to(&servers);
                server_kills += 1;
            }
        }
    }
    let accepted = stream.end().await;
    let verdict = Verdict::wait(&servers[0], Duration::from_secs(120)).await;
    let failed = verdict.experiments.iter().filter(|one| one["state"] == "failed");
    let for_no_reason = failed.filter(|one| one["failure"]["reason"] != "worker_killed");
    let mut failed_for_no_reason = for_no_reason.map(Value::to_string).collect::<Vec<_>>();
    let killed = verdict.by_state().get("failed, worker_killed").copied().unwrap_or(0);
    if killed > worker_kills as usize {
        failed_for_no_reason.push(format!("{killed} failed by {worker_kills} kills of workers"));
    }
    let mut leaked = Vec::new();
    for server in &servers {
        leaked.extend(leases(server).await);
    }
    drop(servers);
    leaked.extend(hosts.iter().flat_map(locks));
    Outcome {
        server_kills,
        worker_kills,
        accepted: accepted.len(),
        by_state: format!("{:?}", verdict.by_state()),
        lost: verdict.lost(&accepted),
        twice: verdict.twice(),
        failed_for_no_reason,
        orphans: pids
            .iter()
            .flat_map(|pid| no_workers_within(*pid, Duration::from_secs(1)))
            .collect(),
        leaked,
    }
}

/// Returns the devices that the server reports as leased.
async fn leases(server: &Server) -> Vec<String> {
    let devices = server.get("/v1/devices").await.1;
    let gpus = devices["gpus"].as_array().cloned().unwrap_or_default();
    let all = gpus.iter().chain([&devices["cpu"]]);
    all.filter(|device| !device["leased_by"].is_null())
        .map(Value::to_string)
        .collect()
}

/// Returns the devices of a host, and the host itself, whose locks are still held.
fn locks(host: &Host) -> Vec<String> {
    let files = std::fs::read_dir(host.locks()).expect("the host's locks").flatten();
    let names = files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".lock")?.to_owned()));
    let leased = names.filter(|name| name == "cpu" || name == "host" || name.starts_with("GPU-"));
    let is_held = |name: &String| {
        let file = std::fs::File::open(host.locks().join(format!("{name}.lock")));
        file.expect("a lock's file").try_lock().is_err()
    };
    let held = leased.filter(is_held);
    held.map(|name| format!("{name} of {}", host.name())).collect()
}

/// A task that submits experiments until it is stopped, to any server that answers.
struct Stream {
    urls: Arc<Mutex<Vec<String>>>,
    stopping: CancellationToken,
    sending: tokio::task::JoinHandle<Vec<String>>,
}

impl Stream {
    fn start(servers: &[Server], seed: u64) -> Self {
        let urls = Arc::new(Mutex::new(Vec::new()));
        let stopping = CancellationToken::new();
        let sending = tokio::spawn(send(urls.clone(), stopping.clone(), ChaCha8Rng::seed_from_u64(!seed)));
        let stream = Self {
            urls,
            stopping,
            sending,
        };
        stream.send_to(servers);
        stream
    }

    fn send_to(&self, servers: &[Server]) {
        *self.urls.lock().expect("it is not poisoned") = servers.iter().map(|server| server.url.clone()).collect();
    }

    /// Stops the task and returns the ids of all accepted experiments, which were answered with 201.
    async fn end(self) -> Vec<String> {
        self.stopping.cancel();
        self.sending.await.expect("it ends")
    }
}

async fn send(urls: Arc<Mutex<Vec<String>>>, stopping: CancellationToken, mut dice: ChaCha8Rng) -> Vec<String> {
    let client = reqwest::Client::new();
    let mut accepted = Vec::new();
    while !stopping.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(dice.random_range(20..200))).await;
        let url = urls.lock().expect("it is not poisoned").choose(&mut dice).cloned();
        let Some(url) = url else { continue };
        let request = client
            .post(format!("{url}/v1/experiments"))
            .json(&experiment(&mut dice));
        // A killed server does not answer, so that it is unknown whether it stored the experiment.
        let Ok(response) = request.send().await else { continue };
        if response.status() != reqwest::StatusCode::CREATED {
            continue;
        }
        if let Ok(Value::String(id)) = response.json::<Value>().await.map(|body| body["id"].clone()) {
            accepted.push(id);
        }
    }
    accepted
}

/// Returns an experiment of a quarter of a second to a second, on one or two GPUs or on the CPU.
fn experiment(dice: &mut ChaCha8Rng) -> Value {
    let ranks = dice.random_range(1..=2);
    let user = ["ada", "bob"].choose(dice);
    let mut experiment = json!({
        "model_name": format!("synthetic:load_ms=10,prefill_ms=20,decode_ms={}", dice.random_range(20..60)),
        "prompts": ["a", "b"], "max_output_tokens": 4, "num_cycles": dice.random_range(1..=2), "warmup_iterations": 1,
        "idle_baseline_sec": 0, "num_processes": ranks, "user": user, "priority": dice.random_range(0..2),
    });
    if dice.random_bool(0.8) {
        experiment["gpu_count"] = json!(ranks);
    } else {
        experiment["device"] = json!("cpu");
    }
    experiment
}
