//! Several servers on one Postgres.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::mock_nvml::MockNvml;
use crate::postgres_cluster::PostgresCluster;
use crate::server::{Server, no_workers_within};

/// A host of its own as far as a server can tell: other locks, other GPUs.
struct Host {
    folder: tempfile::TempDir,
    mock: Option<MockNvml>,
}

impl Host {
    fn without_gpus() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            mock: None,
        }
    }

    fn with_gpus(gpus: u32, first_serial: u32) -> Self {
        Self {
            mock: Some(MockNvml::new(&format!("devices={gpus}\nfirst_serial={first_serial}"))),
            ..Self::without_gpus()
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self, cluster: &PostgresCluster, name: &str, options: &[&str]) -> Server {
        let url = cluster.url();
        let mut all = vec!["--database-url", &url, "--allow-synthetic-engine", "--node-name", name];
        let library = self.mock.as_ref().map(MockNvml::library);
        if let Some(library) = &library {
            all.extend(["--nvml-lib", library.to_str().expect("a path")]);
        }
        all.extend(options);
        Server::start_in(self.path(), &all)
    }
}

fn quick() -> Value {
    json!({
        "model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 2, "num_cycles": 1, "warmup_iterations": 0,
        "idle_baseline_sec": 0,
    })
}

fn with(mut experiment: Value, fields: Value) -> Value {
    for (key, value) in fields.as_object().expect("fields") {
        experiment[key] = value.clone();
    }
    experiment
}

/// Runs for `sec` seconds, in tokens of a quarter of a second.
fn lasting(sec: u32) -> Value {
    with(
        quick(),
        json!({"model_name": "synthetic:prefill_ms=250,decode_ms=250", "max_output_tokens": 4 * sec}),
    )
}

#[tokio::test]
async fn an_experiment_runs_on_the_node_that_has_what_it_asks_for_whoever_was_asked() {
    let cluster = PostgresCluster::start();
    let (with_gpus, without) = (Host::with_gpus(2, 10), Host::without_gpus());
    let gpus = with_gpus.start(
        &cluster,
        "gpus",
        &["--node-label", "rack=7", "--node-label", "gpu=mock"],
    );
    let plain = without.start(&cluster, "plain", &[]);
    let ran_on = async |fields: Value| {
        let id = plain.accepted(&with(quick(), fields)).await;
        let shown = plain.until_state(&id, "completed").await;
        assert_eq!(gpus.show(&id).await["state"], "completed", "both know it");
        (
            shown["node_name"].as_str().expect("a node").to_owned(),
            shown["gpus"].clone(),
        )
    };
    let (node, leased) = ran_on(json!({"gpu_count": 2, "num_processes": 2, "distribution": "replicate"})).await;
    assert_eq!((node.as_str(), leased.as_array().map(Vec::len)), ("gpus", Some(2)));
    assert_eq!(ran_on(json!({"node": "gpus"})).await.0, "gpus");
    assert_eq!(ran_on(json!({"node": "plain"})).await.0, "plain");
    assert_eq!(ran_on(json!({"node_labels": {"gpu": "mock"}})).await.0, "gpus");
    let (node, leased) = ran_on(json!({"device": "cpu", "gpus": ["GPU-00000000-0000-0000-0000-000000000011"]})).await;
    assert_eq!(
        (node.as_str(), &leased[0]),
        ("gpus", &json!("GPU-00000000-0000-0000-0000-000000000011"))
    );

    for (fields, pointer, told) in [
        (json!({"gpu_count": 3}), "/gpu_count", "(node gpus)"),
        (json!({"node": "nowhere"}), "/node", "live nodes are plain, gpus"),
        (
            json!({"node": "plain", "gpu_count": 1}),
            "/gpu_count",
            "there is no GPU here",
        ),
        (
            json!({"node_labels": {"rack": "8"}}),
            "/node_labels",
            "gpus (gpu=mock, rack=7)",
        ),
        (
            json!({"model_name": "no-such.gguf"}),
            "/model_name",
            "not under the models folder",
        ),
    ] {
        let (status, problem) = plain.submit(&with(quick(), fields)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
        let errors = problem["errors"].as_array().expect("errors");
        let fits = |error: &Value| error["pointer"] == pointer && error["detail"].as_str().unwrap().contains(told);
        assert!(errors.iter().any(fits), "{pointer}: {told}: {problem:#}");
    }

    // Accepted while there was a node for it.
    let orphan = with(lasting(60), json!({"node": "gpus", "gpu_count": 2, "device": "cuda"}));
    let (runs, waits) = (plain.accepted(&orphan).await, plain.accepted(&orphan).await);
    assert_eq!(plain.show(&waits).await["waiting_for"], Value::Null);
    let shown = plain
        .until(&waits, |shown| shown["queue_wait"]["reason"] == "device_busy")
        .await;
    let held_by = json!([{"node_name": "gpus", "device": null, "experiment_id": runs, "process_id": null}]);
    assert_eq!(shown["queue_wait"]["held_by"], held_by, "{shown:#}");

    let (status, nodes) = plain.get("/v1/nodes").await;
    assert_eq!(status, StatusCode::OK);
    let names = nodes["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["name"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["gpus", "plain"]);
    let node = &nodes["items"][0];
    assert_eq!((&node["is_live"], &node["labels"]["rack"]), (&json!(true), &json!("7")));
    assert_eq!(node["gpus"].as_array().map(Vec::len), Some(2));
    drop(gpus);
    let nodes = plain.get("/v1/nodes").await.1;
    assert_eq!(nodes["items"].as_array().map(Vec::len), Some(1), "it left in order");
    let shown = plain.until(&waits, |shown| shown["waiting_for"].is_string()).await;
    let told = shown["waiting_for"].as_str().expect("a reason");
    assert!(told.contains("node plain: it is not \"gpus\""), "{told}");
    assert_eq!(shown["queue_wait"]["reason"], "node_missing");
}

#[tokio::test]
async fn what_a_dead_node_ran_is_run_by_another_after_the_lease() {
    let cluster = PostgresCluster::start();
    let (one, other) = (Host::without_gpus(), Host::without_gpus());
    let dying = one.start(&cluster, "dying", &["--lease-sec", "2"]);
    let id = dying.accepted(&lasting(30)).await;
    dying.until_state(&id, "measuring").await;
    let living = other.start(&cluster, "living", &["--lease-sec", "2"]);
    let pid = dying.pid();
    dying.kill();
    assert_eq!(no_workers_within(pid, Duration::from_secs(2)), Vec::<u32>::new());
    let shown = living
        .until(&id, |shown| {
            shown["node_name"] == "living" && shown["state"] == "measuring"
        })
        .await;
    assert_eq!(shown["attempt"], 2);
    let nodes = living.get("/v1/nodes").await.1;
    assert_eq!(
        (&nodes["items"][0]["name"], &nodes["items"][0]["is_live"]),
        (&json!("dying"), &json!(false))
    );
    assert_eq!(nodes["items"][1]["running"], json!([id]));
    assert_eq!(living.cancel(&id).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_node_that_comes_back_stops_what_it_lost_and_finishes_nothing_of_it() {
    let cluster = PostgresCluster::start();
    let (one, other) = (Host::without_gpus(), Host::without_gpus());
    let frozen = one.start(&cluster, "frozen", &["--lease-sec", "2"]);
    let id = frozen.accepted(&lasting(8)).await;
    frozen.until_state(&id, "measuring").await;
    let living = other.start(&cluster, "living", &["--lease-sec", "2"]);
    let signal = |signal| kill(Pid::from_raw(frozen.pid() as i32), signal).expect("it is there");
    signal(Signal::SIGSTOP);
    living.until(&id, |shown| shown["node_name"] == "living").await;
    signal(Signal::SIGCONT);
    assert_eq!(
        no_workers_within(frozen.pid(), Duration::from_secs(5)),
        Vec::<u32>::new(),
        "its workers are stopped: {}",
        frozen.log()
    );
    let shown = living.until_state(&id, "completed").await;
    assert_eq!((&shown["attempt"], &shown["node_name"]), (&json!(2), &json!("living")));
    assert!(
        frozen.log().contains("taken over by another attempt"),
        "{}",
        frozen.log()
    );
    // It is as good as new.
    let next = frozen.accepted(&with(quick(), json!({"node": "frozen"}))).await;
    frozen.until_state(&next, "completed").await;
}

#[tokio::test]
async fn a_restarted_server_takes_over_its_own_at_once() {
    let cluster = PostgresCluster::start();
    let host = Host::without_gpus();
    let first = host.start(&cluster, "box", &["--lease-sec", "600"]);
    let id = first.accepted(&lasting(30)).await;
    first.until_state(&id, "measuring").await;
    first.kill();
    let second = host.start(&cluster, "box", &["--lease-sec", "600"]);
    let shown = second.until_state(&id, "measuring").await;
    assert_eq!(shown["attempt"], 2);
    second.cancel(&id).await;
}

#[tokio::test]
async fn a_second_server_of_the_same_host_needs_a_name_of_its_own() {
    let cluster = PostgresCluster::start();
    let host = Host::without_gpus();
    let _first = host.start(&cluster, "box", &[]);
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_joulemark"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--node-name",
            "box",
            "--database-url",
            &cluster.url(),
        ])
        .arg("--lock-dir")
        .arg(host.path().join("locks"))
        .output()
        .expect("it starts");
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        !second.status.success() && told.contains("another --node-name"),
        "{told}"
    );
}

#[tokio::test]
async fn what_runs_elsewhere_is_cancelled_through_any_server() {
    let cluster = PostgresCluster::start();
    let (one, other) = (Host::without_gpus(), Host::without_gpus());
    let (runs, asked) = (one.start(&cluster, "runs", &[]), other.start(&cluster, "asked", &[]));
    let id = asked.accepted(&with(lasting(60), json!({"node": "runs"}))).await;
    asked.until_state(&id, "measuring").await;
    let (status, body) = asked.cancel(&id).await;
    assert_eq!(
        (status, &body["state"]),
        (StatusCode::OK, &json!("cancelled")),
        "{body:#}"
    );
    assert_eq!(no_workers_within(runs.pid(), Duration::from_secs(2)), Vec::<u32>::new());
}

/// The clock by which leases are timed, ahead by the setting `test.ahead`.
const CLOCK: &str = "CREATE OR REPLACE VIEW database_clock (now_us) AS SELECT CAST(EXTRACT(EPOCH FROM \
     clock_timestamp() + CAST(COALESCE(current_setting('test.ahead', TRUE), '0') AS INTERVAL)) * 1000000 AS BIGINT)";

/// Longer than the lease: nobody may take an outage of the database for the death of a server.
#[tokio::test]
async fn what_runs_goes_on_while_the_database_is_away_and_is_not_taken_over() {
    let mut cluster = PostgresCluster::start();
    let hosts = [(); 3].map(|()| Host::without_gpus());
    let start = |host: usize, name| hosts[host].start(&cluster, name, &["--lease-sec", "3"]);
    let dies = start(0, "dies");
    let left = dies.accepted(&lasting(60)).await;
    dies.until_state(&left, "measuring").await;
    let (runs, watches) = (start(1, "runs"), start(2, "watches"));
    let id = runs.accepted(&with(lasting(10), json!({"node": "runs"}))).await;
    runs.until_state(&id, "measuring").await;
    let mut connection = PgConnection::connect(&cluster.url()).await.unwrap();
    sqlx::raw_sql(CLOCK).execute(&mut connection).await.unwrap();
    dies.kill();
    cluster.stop();
    for server in [&runs, &watches] {
        server
            .until_logged(&["the heartbeat does not reach the database"])
            .await;
    }
    assert_eq!(runs.workers().len(), 1, "it goes on");
    cluster.start_again_with(&["test.ahead=1 hour"]);
    // Whoever takes this over was in touch for a whole lease, and has looked at what every server holds.
    watches.until(&left, |shown| shown["attempt"] == 2).await;
    let shown = runs.until_state(&id, "completed").await;
    assert_eq!(
        (&shown["attempt"], &shown["node_name"]),
        (&json!(1), &json!("runs")),
        "{}",
        runs.log()
    );
}
