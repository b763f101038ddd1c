//! What a worker starts: it ends with the worker however that ends, and its CPU time is the worker's.

use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::server::Server;

fn with_a_child(decode_ms: u64, idle_baseline_sec: u64) -> Value {
    json!({
        "model_name": format!("synthetic:decode_ms={decode_ms},children=1"), "prompts": ["one"], "max_output_tokens": 10,
        "num_cycles": 1, "warmup_iterations": 0, "idle_baseline_sec": idle_baseline_sec,
    })
}

/// Processes of the group that `leader` leads; a zombie is dead.
fn group_of(leader: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_in = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // state ppid pgrp, after the name in parentheses
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields.first().is_some_and(|state| *state != "Z") && fields.get(2) == Some(&leader.to_string().as_str())
    };
    pids.filter(is_in).collect()
}

async fn gone(group: u32) {
    let start = Monotonic::now();
    while !group_of(group).is_empty() {
        assert!(Monotonic::now().sec_since(start) < 20.0, "left: {:?}", group_of(group));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_a_worker_started_ends_with_it_whether_it_is_killed_cancelled_or_done() {
    let server = Server::start();
    let id = server.accepted(&with_a_child(5000, 0)).await;
    server.until_state(&id, "measuring").await;
    let worker = server.workers()[0];
    assert_eq!(group_of(worker).len(), 2, "the worker and its child");
    kill(Pid::from_raw(worker as i32), Signal::SIGKILL).expect("it is ours");
    let shown = server.until_state(&id, "failed").await;
    assert_eq!(shown["failure"]["signal"], "SIGKILL");
    gone(worker).await;

    let id = server.accepted(&with_a_child(5000, 0)).await;
    server.until_state(&id, "measuring").await;
    let worker = server.workers()[0];
    server.cancel(&id).await;
    gone(worker).await;

    let id = server.accepted(&with_a_child(50, 0)).await;
    server.until_state(&id, "measuring").await;
    let worker = server.workers()[0];
    server.until_state(&id, "completed").await;
    gone(worker).await;
}

#[tokio::test]
async fn a_worker_that_dies_while_it_rests_for_the_baseline_is_noticed_before_the_rest_is_over() {
    const REST_SEC: u64 = 60;
    let server = Server::start();
    let id = server.accepted(&with_a_child(1, REST_SEC)).await;
    server
        .until(&id, |shown| shown["progress"]["phase"] == "idle_baseline")
        .await;
    let start = Monotonic::now();
    kill(Pid::from_raw(server.workers()[0] as i32), Signal::SIGKILL).expect("it is ours");
    let shown = server.until_state(&id, "failed").await;
    assert!(Monotonic::now().sec_since(start) < REST_SEC as f64 / 2.0);
    let message = shown["failure"]["message"].as_str().expect("a message");
    assert!(message.contains("idling for the idle baseline"), "{message}");
}

#[tokio::test]
async fn what_a_worker_s_child_computes_is_the_experiment_s() {
    let server = Server::start();
    // The worker itself only sleeps.
    let id = server.accepted(&with_a_child(100, 0)).await;
    server.until_state(&id, "completed").await;
    let share = server.results(&id).await["energy"]["cpu_time_share"].as_f64();
    assert!(share.is_some_and(|share| share > 0.03), "{share:?}");
}
