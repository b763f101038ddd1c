//! What a load took of each leased GPU's memory, as NVML tells it of the rank's processes or of the whole board.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use joulemark_meter::pids_are_the_hosts;

use crate::mock_nvml::{MockNvml, uuid};
use crate::server::Server;
use crate::timeseries::server_with;

const MIB: u64 = 1 << 20;

/// Runs an experiment on two boards whose worker takes these MiB of them while it loads, and returns its results.
async fn loaded(mock: &MockNvml, held_mib: [u64; 2]) -> Value {
    let server = server_with(mock);
    let experiment = json!({
        "model_name": "synthetic:load_ms=2500,decode_ms=30", "prompts": ["a"], "max_output_tokens": 100, "gpus": [0, 1],
        "num_processes": 1, "num_cycles": 1, "warmup_iterations": 0, "idle_baseline_sec": 0,
    });
    let id = server.accepted(&experiment).await;
    server.until(&id, |_| !server.workers().is_empty()).await;
    hold(mock, &server, held_mib);
    server.until_state(&id, "completed").await;
    server.results(&id).await
}

/// Notes what the worker holds, when its load has begun: the board was looked at before.
fn hold(mock: &MockNvml, server: &Server, held_mib: [u64; 2]) {
    std::thread::sleep(std::time::Duration::from_millis(500));
    let worker = server.workers()[0];
    let mut lines = String::new();
    for (device, mib) in held_mib.iter().enumerate().filter(|(_, mib)| **mib > 0) {
        writeln!(lines, "{device} {worker} {mib}").expect("a text");
    }
    std::fs::write(mock.library().with_file_name("memory"), lines).expect("a file");
}

fn mock(told: &str) -> MockNvml {
    let mock = MockNvml::new("");
    let file = mock.library().with_file_name("memory");
    let switches = format!("devices=2\nmemory_used_gib=1\nmemory_file={}\n{told}", file.display());
    std::fs::write(mock.library().with_file_name("libmock_nvml.so.conf"), switches).expect("its switches");
    mock
}

fn of(gpu: u32, bytes: u64, method: &str) -> Value {
    json!({"gpu": uuid(gpu), "bytes": bytes, "method": method})
}

#[tokio::test]
async fn what_a_worker_holds_of_each_gpu_is_recorded_and_a_gpu_that_it_left_empty_is_warned_of() {
    let results = loaded(&mock(""), [700, 0]).await;
    let own = pids_are_the_hosts(Path::new("/proc/self/ns/pid"));
    let method = if own { "processes" } else { "difference" };
    let expected = json!([of(0, 700 * MIB, method), of(1, 0, method)]);
    assert_eq!(results["loads"][0]["gpu_memory"], expected);
    let warnings = results["validation"]["warnings"].as_array().expect("a list");
    let is_told = warnings
        .iter()
        .any(|warning| warning["code"] == "gpus_metered_not_used" && warning["message"].to_string().contains(&uuid(1)));
    assert_eq!(is_told, own, "{warnings:#?}");
}

#[tokio::test]
async fn where_nvml_hides_what_processes_hold_it_is_what_the_board_has_more_than_before() {
    let results = loaded(&mock("no_process_memory=1"), [700, 300]).await;
    let expected = json!([of(0, 700 * MIB, "difference"), of(1, 300 * MIB, "difference")]);
    assert_eq!(results["loads"][0]["gpu_memory"], expected);
}

#[tokio::test]
async fn a_run_that_is_over_before_the_next_look_at_its_gpu_leaves_it_unknown() {
    let mock = mock("");
    let server = server_with(&mock);
    let quick = json!({"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 2, "gpus": [0], "num_cycles": 1,
        "warmup_iterations": 0, "idle_baseline_sec": 0});
    let id = server.accepted(&quick).await;
    server.until_state(&id, "completed").await;
    let found = &server.results(&id).await["loads"][0]["gpu_memory"];
    // Unless the look came within those milliseconds.
    assert!(
        [
            json!([{"gpu": uuid(0), "bytes": null, "method": null}]),
            json!([of(0, 0, "processes")])
        ]
        .contains(found),
        "{found}"
    );
}
