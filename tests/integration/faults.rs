use std::path::PathBuf;

use joulemark_measurement::clock::Monotonic;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::mock_nvml::MockNvml;
use crate::server::{Server, is_finished};

fn synthetic(parameters: &str) -> Value {
    json!({
        "model_name": format!("synthetic:{parameters}"),
        "prompts": ["one", "two", "three"],
        "max_output_tokens": 4,
        "num_cycles": 2,
        "warmup_iterations": 1,
    })
}

/// Tokens that take a minute: long enough to be interrupted.
fn slow() -> Value {
    synthetic("decode_ms=5000")
}

async fn failure_of(server: &Server, experiment: &Value) -> Value {
    let id = server.accepted(experiment).await;
    let shown = server.until(&id, is_finished).await;
    assert_eq!(shown["state"], "failed", "{shown:#}");
    let (status, problem) = server.get(&format!("/v1/experiments/{id}/results")).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["failure"], shown["failure"]);
    shown["failure"].clone()
}

/// The server must be as good as new.
async fn still_works(server: &Server) {
    let id = server.accepted(&synthetic("")).await;
    server.until_state(&id, "completed").await;
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_a_cycle_fails_its_experiment_and_the_next_one_runs() {
    let server = Server::start();
    let mut experiment = slow();
    experiment["num_processes"] = json!(2);
    experiment["warmup_iterations"] = json!(0);
    experiment["idle_baseline_sec"] = json!(0);
    let id = server.accepted(&experiment).await;
    // Submitted before the fault: it must run after it.
    let next = server.accepted(&synthetic("")).await;
    server.until_state(&id, "measuring").await;
    kill(Pid::from_raw(server.workers()[0] as i32), Signal::SIGKILL).unwrap();
    let shown = server.until_state(&id, "failed").await;
    assert_eq!(shown["failure"]["reason"], "worker_killed");
    assert_eq!(shown["failure"]["signal"], "SIGKILL");
    let message = shown["failure"]["message"].as_str().expect("a message");
    assert!(message.contains("was killed by SIGKILL while measuring"), "{message}");
    assert!(shown["failure"]["log_tail"].is_array());
    server.until_state(&next, "completed").await;
    assert!(server.workers().is_empty(), "the other rank was killed too");
}

#[tokio::test]
async fn a_worker_that_panics_leaves_its_last_words() {
    let server = Server::start();
    let failure = failure_of(&server, &synthetic("panic_at=2")).await;
    assert_eq!(failure["reason"], "worker_exited");
    assert_eq!(failure["exit_code"], 101);
    assert!(
        failure["log_tail"]
            .to_string()
            .contains("the synthetic engine was asked to panic"),
        "{failure:#}"
    );
    still_works(&server).await;
}

#[tokio::test]
async fn a_worker_that_exits_or_fails_says_how() {
    let server = Server::start();
    let failure = failure_of(&server, &synthetic("exit_at=0")).await;
    assert_eq!(
        (failure["reason"].as_str(), failure["exit_code"].as_i64()),
        (Some("worker_exited"), Some(7))
    );
    assert!(
        failure["message"].as_str().unwrap().contains("while warming up"),
        "{failure:#}"
    );
    let failure = failure_of(&server, &synthetic("error_at=3")).await;
    assert_eq!(failure["reason"], "worker_error");
    assert!(
        failure["message"]
            .as_str()
            .unwrap()
            .contains("the synthetic engine was asked to fail"),
        "{failure:#}"
    );
    still_works(&server).await;
}

#[tokio::test]
async fn a_worker_that_hangs_past_its_deadline_is_killed() {
    let server = Server::start_with(&["--allow-synthetic-engine", "--stall-timeout-sec", "1"]);
    let failure = failure_of(&server, &synthetic("hang_at=2")).await;
    assert_eq!(failure["reason"], "worker_hung");
    assert!(server.workers().is_empty());
    still_works(&server).await;
}

#[tokio::test]
async fn an_experiment_that_runs_too_long_is_ended() {
    let server = Server::start_with(&["--allow-synthetic-engine", "--experiment-timeout-sec", "1"]);
    let failure = failure_of(&server, &slow()).await;
    assert_eq!(failure["reason"], "timeout");
    assert!(server.workers().is_empty());
}

#[tokio::test]
async fn a_running_experiment_is_cancelled_within_two_seconds_and_frees_its_devices() {
    let server = Server::start();
    let id = server.accepted(&slow()).await;
    server.until_state(&id, "warming_up").await;
    let next = server.accepted(&synthetic("")).await;
    let start = Monotonic::now();
    let (status, body) = server.cancel(&id).await;
    let took_sec = Monotonic::now().sec_since(start);
    assert!(took_sec < 2.0, "it took {took_sec} s");
    assert_eq!(
        (status, &body["state"]),
        (StatusCode::OK, &json!("cancelled")),
        "{body:#}"
    );
    server.until_state(&next, "completed").await;
    assert_eq!(server.cancel(&id).await.0, StatusCode::OK, "cancelling twice is fine");
    let (status, problem) = server.cancel(&next).await;
    assert_eq!((status, &problem["state"]), (StatusCode::CONFLICT, &json!("completed")));
}

#[tokio::test]
async fn a_queued_experiment_that_is_cancelled_never_starts() {
    let server = Server::start();
    let running = server.accepted(&slow()).await;
    let queued = server.accepted(&synthetic("")).await;
    let (status, body) = server.cancel(&queued).await;
    assert_eq!(
        (status, &body["state"], &body["started_at"]),
        (StatusCode::OK, &json!("cancelled"), &Value::Null)
    );
    assert_eq!(server.cancel(&running).await.0, StatusCode::OK);
}

/// The name of the thread of `process` that forked `child`.
fn forked_by(process: u32, child: u32) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("its threads");
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let forked = |task: &PathBuf| {
        read(task.join("children"))
            .split(' ')
            .any(|pid| pid == child.to_string())
    };
    let thread = tasks.flatten().map(|task| task.path()).find(forked);
    read(thread.expect("a thread that forked it").join("comm"))
        .trim()
        .to_owned()
}

/// The parent-death signal is tied to the thread that forked, and a thread of tokio's pool ends when it is idle: that
/// the launcher's does not, the tests of `launch.rs` show.
#[tokio::test]
async fn a_worker_is_forked_by_the_thread_that_lives_as_long_as_its_server() {
    let server = Server::start();
    let id = server.accepted(&slow()).await;
    server.until_state(&id, "warming_up").await;
    assert_eq!(forked_by(server.pid(), server.workers()[0]), "worker-launcher");
}

#[tokio::test]
async fn a_cancel_while_sums_are_drawn_up_is_honoured() {
    // Power averaged over a second is waited for: there is time to cancel.
    let mock = MockNvml::new("no_counter=1\nno_instant=1\naverage_ms=1000");
    let library = mock.library();
    let server = Server::start_with(&["--allow-synthetic-engine", "--nvml-lib", library.to_str().unwrap()]);
    let mut experiment = synthetic("");
    experiment["idle_baseline_sec"] = json!(0);
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "aggregating").await;
    let (status, body) = server.cancel(&id).await;
    assert_eq!(
        (status, &body["state"]),
        (StatusCode::OK, &json!("cancelled")),
        "{body:#}"
    );
}

#[tokio::test]
async fn a_cancel_in_a_later_cycle_leaves_the_finished_cycles_to_be_read_as_partial() {
    let server = Server::start();
    let mut experiment = synthetic("decode_ms=60");
    experiment["num_cycles"] = json!(4);
    experiment["idle_baseline_sec"] = json!(0);
    let id = server.accepted(&experiment).await;
    server
        .until(&id, |shown| shown["progress"]["cycle"] == 1 || is_finished(shown))
        .await;
    let (status, body) = server.cancel(&id).await;
    assert_eq!(
        (status, &body["state"]),
        (StatusCode::OK, &json!("cancelled")),
        "{body:#}"
    );
    let results = server.results(&id).await;
    assert_eq!(results["partial"], true);
    let cycles = results["cycles"].as_array().unwrap();
    assert!((1..4).contains(&cycles.len()), "{results:#}");
    assert_eq!(results["inference"]["output_tokens"], 12 * cycles.len());
    let processes = server.processes(&id).await;
    assert_eq!(processes["partial"], true);
    let items = processes["items"].as_array().unwrap();
    assert_eq!(items.len(), cycles.len());
    assert!(
        items.iter().all(|item| item["requests"].as_array().unwrap().len() == 3),
        "{processes:#}"
    );
    let (status, rows) = server
        .get(&format!("/v1/experiments/{id}/export?what=requests&format=jsonl"))
        .await;
    assert_eq!(status, StatusCode::OK, "{rows:#}");
    let whole = server.accepted(&synthetic("")).await;
    server.until_state(&whole, "completed").await;
    assert_eq!(server.results(&whole).await["partial"], false);
}

#[tokio::test]
async fn a_cancel_in_the_first_cycle_leaves_no_results() {
    let server = Server::start();
    let mut experiment = synthetic("decode_ms=5000");
    experiment["warmup_iterations"] = json!(0);
    experiment["idle_baseline_sec"] = json!(0);
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "measuring").await;
    server.cancel(&id).await;
    for path in ["results", "processes", "export?what=requests"] {
        let (status, problem) = server.get(&format!("/v1/experiments/{id}/{path}")).await;
        assert_eq!(
            (status, &problem["state"]),
            (StatusCode::CONFLICT, &json!("cancelled")),
            "{path}"
        );
    }
}
