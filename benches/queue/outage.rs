//! Postgres stopped in the middle of runs.

use std::time::Duration;

use serde_json::json;

use joulemark_testkit::host::{Database, Host};
use joulemark_testkit::postgres_cluster::PostgresCluster;
use joulemark_testkit::verdict::Verdict;

/// How long the database is away, and how long a server is believed in.
pub struct Plan {
    pub outage: Duration,
    pub lease_sec: u32,
    pub experiments: u32,
}

#[derive(Debug)]
pub struct Outcome {
    pub states: String,
    /// Workers right before the database comes back: they were not stopped for its sake.
    pub workers_at_the_end_of_it: usize,
    pub run_more_than_once: usize,
    pub lost: Vec<String>,
    pub twice: Vec<String>,
}

/// On two servers with three GPUs each; what runs ends after, during and before the outage's end.
pub async fn run(plan: &Plan, cluster: &mut PostgresCluster) -> Outcome {
    let lease = plan.lease_sec.to_string();
    let hosts = [0, 1].map(|number| Host::new(number, 3, Database::Postgres(cluster), &["--lease-sec", &lease]));
    let servers = hosts.each_ref().map(Host::start);
    let outage_ms = plan.outage.as_millis() as u32;
    let mut accepted = Vec::new();
    for number in 0..plan.experiments {
        let token_ms = outage_ms / 8 * (1 + number % 6);
        let experiment = json!({
            "model_name": format!("synthetic:prefill_ms={token_ms},decode_ms={token_ms}"), "prompts": ["a"],
            "max_output_tokens": 2, "num_cycles": 2, "warmup_iterations": 0, "idle_baseline_sec": 0, "device": "cuda",
        });
        accepted.push(servers[number as usize % 2].accepted(&experiment).await);
    }
    for id in accepted.iter().take(6) {
        servers[0].until(id, |shown| shown["state"] == "measuring").await;
    }
    cluster.stop();
    tokio::time::sleep(plan.outage).await;
    let workers_at_the_end_of_it = servers.iter().map(|server| server.workers().len()).sum();
    cluster.start_again();
    let verdict = Verdict::wait(&servers[0], plan.outage * plan.experiments).await;
    Outcome {
        states: format!("{:?}", verdict.by_state()),
        workers_at_the_end_of_it,
        run_more_than_once: verdict.experiments.iter().filter(|one| one["attempt"] != 1).count(),
        lost: verdict.lost(&accepted),
        twice: verdict.twice(),
    }
}
