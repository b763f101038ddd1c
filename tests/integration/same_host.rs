//! Two servers with databases of their own on one host.

use std::path::Path;

use serde_json::{Value, json};

use crate::mock_nvml::MockNvml;
use crate::server::Server;

/// Both see the same GPUs and lock in the same folder.
struct Host {
    folders: [tempfile::TempDir; 3],
    mock: MockNvml,
}

impl Host {
    fn new() -> Self {
        Self {
            folders: [(), (), ()].map(|()| tempfile::tempdir().expect("a temporary folder")),
            mock: MockNvml::new("devices=2"),
        }
    }

    fn start(&self, folder: &Path, name: &str) -> Server {
        let (locks, library) = (self.folders[2].path(), self.mock.library());
        let shown = |path: &Path| path.to_str().expect("a path").to_owned();
        let (locks, library) = (shown(locks), shown(&library));
        Server::start_in(
            folder,
            &[
                "--allow-synthetic-engine",
                "--nvml-lib",
                &library,
                "--lock-dir",
                &locks,
                "--node-name",
                name,
                "--log",
                "info,joulemark::scheduler=debug",
            ],
        )
    }

    fn servers(&self) -> (Server, Server) {
        (
            self.start(self.folders[0].path(), "one"),
            self.start(self.folders[1].path(), "other"),
        )
    }
}

fn lasting(sec: u32, fields: Value) -> Value {
    let mut experiment = json!({
        "model_name": "synthetic:prefill_ms=250,decode_ms=250", "prompts": ["a"], "max_output_tokens": 4 * sec,
        "num_cycles": 1, "warmup_iterations": 0, "idle_baseline_sec": 0,
    });
    for (key, value) in fields.as_object().expect("fields") {
        experiment[key] = value.clone();
    }
    experiment
}

/// Once the server has looked at it and started it not.
async fn still_waits(server: &Server, id: &str) {
    server
        .until_logged(&[id, "not started: it waits for its devices"])
        .await;
    assert_eq!(server.show(id).await["state"], "queued", "{}", server.log());
}

#[tokio::test]
async fn a_device_of_the_host_serves_one_server_at_a_time() {
    let host = Host::new();
    let (one, other) = host.servers();
    let gpu = json!({"device": "cuda", "gpus": [1]});
    let has = one.accepted(&lasting(60, gpu.clone())).await;
    one.until_state(&has, "measuring").await;
    let waits = other.accepted(&lasting(1, gpu)).await;
    let beside = other
        .accepted(&lasting(1, json!({"device": "cuda", "gpus": [0]})))
        .await;
    other.until_state(&beside, "completed").await;
    still_waits(&other, &waits).await;
    one.cancel(&has).await;
    other.until_state(&waits, "completed").await;
    // Any free one: the other server's is not.
    let has = one.accepted(&lasting(60, json!({"device": "cuda"}))).await;
    let shown = one.until_state(&has, "measuring").await;
    let second = other.accepted(&lasting(1, json!({"device": "cuda"}))).await;
    let other_shown = other.until_state(&second, "completed").await;
    assert_ne!(shown["gpus"], other_shown["gpus"]);
    one.cancel(&has).await;
}

#[tokio::test]
async fn a_device_of_a_server_that_was_killed_is_free_when_its_worker_is_gone() {
    let host = Host::new();
    let (one, other) = host.servers();
    let gpu = json!({"device": "cuda", "gpus": [1]});
    let has = one.accepted(&lasting(60, gpu.clone())).await;
    one.until_state(&has, "measuring").await;
    let waits = other.accepted(&lasting(1, gpu)).await;
    still_waits(&other, &waits).await;
    one.kill();
    other.until_state(&waits, "completed").await;
}

#[tokio::test]
async fn an_isolated_experiment_has_the_host_for_itself_against_both_servers() {
    let host = Host::new();
    let (one, other) = host.servers();
    let cuda = |gpu: u32| json!({"device": "cuda", "gpus": [gpu]});
    let runs = other.accepted(&lasting(60, cuda(0))).await;
    other.until_state(&runs, "measuring").await;
    let isolated = one
        .accepted(&lasting(
            3,
            json!({"isolation": "host", "device": "cuda", "gpu_count": 1}),
        ))
        .await;
    still_waits(&one, &isolated).await;
    // It waits for the host, so nothing more starts on either server.
    let late = other.accepted(&lasting(1, cuda(1))).await;
    let beside = one.accepted(&lasting(1, cuda(1))).await;
    still_waits(&other, &late).await;
    other.cancel(&runs).await;
    one.until_state(&isolated, "measuring").await;
    assert_eq!(other.show(&late).await["state"], "queued");
    assert_eq!(one.show(&beside).await["state"], "queued");
    let devices = one.get("/v1/devices").await.1;
    let leased = [&devices["gpus"][0], &devices["gpus"][1], &devices["cpu"]].map(|device| device["leased_by"].clone());
    assert_eq!(leased, [json!(isolated), json!(isolated), json!(isolated)]);
    one.until_state(&isolated, "completed").await;
    one.until_state(&beside, "completed").await;
    other.until_state(&late, "completed").await;
}
