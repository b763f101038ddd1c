use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::server::{Server, no_workers_within};

#[tokio::test]
async fn a_server_killed_in_the_middle_of_a_run_loses_nothing_and_leaves_no_orphan() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--allow-synthetic-engine", "--max-attempts", "1"];
    let slow = json!({
        "model_name": "synthetic:decode_ms=3000", "prompts": ["a"], "max_output_tokens": 4, "num_processes": 1,
    });
    let quick = json!({"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 4});
    let mut server = Server::start_in(folder.path(), &options);
    let interrupted = server.accepted(&slow).await;
    let waiting = server.accepted(&quick).await;
    for attempt in 1..=5 {
        let shown = server.until_state(&interrupted, "warming_up").await;
        assert_eq!(shown["attempt"], attempt, "it was queued again and started again");
        assert_eq!(
            server.show(&waiting).await["state"],
            "queued",
            "what waits is still there"
        );
        let pid = server.pid();
        server.kill();
        assert_eq!(
            no_workers_within(pid, Duration::from_secs(2)),
            Vec::<u32>::new(),
            "workers die with their server"
        );
        server = Server::start_in(folder.path(), &options);
    }
    server.until_state(&interrupted, "warming_up").await;
    assert_eq!(server.cancel(&interrupted).await.0.as_u16(), 200, "no kill gave it up");
    server.until_state(&waiting, "completed").await;
}

#[tokio::test]
async fn an_experiment_that_crashes_the_server_is_given_up_after_max_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--allow-synthetic-engine", "--max-attempts", "2"];
    let slow = json!({"model_name": "synthetic:decode_ms=3000", "prompts": ["a"], "max_output_tokens": 4});
    let mut server = Server::start_in(folder.path(), &options);
    let id = server.accepted(&slow).await;
    for attempt in 1..=2 {
        let shown = server.until_state(&id, "warming_up").await;
        assert_eq!(shown["attempt"], attempt);
        server.kill();
        // What a server that crashes in its work on the experiment writes as it dies.
        let notes = folder.path().join("joulemark.db.spool/crashes");
        std::fs::write(notes, format!("{id}\n")).unwrap();
        server = Server::start_in(folder.path(), &options);
    }
    let shown = server.until_state(&id, "failed").await;
    assert_eq!(shown["failure"]["reason"], "interrupted", "its attempts are used up");
}

#[tokio::test]
async fn a_server_that_is_stopped_sends_what_runs_back_to_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--allow-synthetic-engine"];
    let experiment = json!({"model_name": "synthetic:decode_ms=300", "prompts": ["a"], "max_output_tokens": 8});
    let first = Server::start_in(folder.path(), &options);
    let id = first.accepted(&experiment).await;
    first.until_state(&id, "warming_up").await;
    drop(first);
    let second = Server::start_in(folder.path(), &options);
    second.until_state(&id, "completed").await;
}

#[tokio::test]
async fn a_hangup_stops_the_server_in_order_and_uses_up_no_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--allow-synthetic-engine", "--max-attempts", "1"];
    let experiment = json!({"model_name": "synthetic:decode_ms=300", "prompts": ["a"], "max_output_tokens": 8});
    let mut first = Server::start_in(folder.path(), &options);
    let id = first.accepted(&experiment).await;
    first.until_state(&id, "warming_up").await;
    // A terminal that closes may send two.
    first.signal(Signal::SIGHUP);
    first.signal(Signal::SIGHUP);
    assert!(first.ended().success(), "{}", first.log());
    assert!(
        first
            .log()
            .contains("stopping: running experiments go back to the queue")
    );
    let second = Server::start_in(folder.path(), &options);
    second.until_state(&id, "completed").await;
}

#[tokio::test]
async fn a_second_server_on_the_same_database_is_refused_and_disturbs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::start_in(folder.path(), &["--allow-synthetic-engine"]);
    let slow = json!({"model_name": "synthetic:decode_ms=3000", "prompts": ["a"], "max_output_tokens": 4});
    let id = first.accepted(&slow).await;
    first.until_state(&id, "warming_up").await;
    let database = format!("sqlite://{}", folder.path().join("joulemark.db").display());
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_joulemark"))
        .args(["serve", "--listen", "127.0.0.1:0", "--database-url", &database])
        .arg("--lock-dir")
        .arg(folder.path().join("other-locks"))
        .output()
        .unwrap();
    assert!(!second.status.success());
    let errors = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(errors.contains("another joulemark server uses"), "{errors}");
    let shown = first.show(&id).await;
    assert_eq!(
        (shown["state"].as_str(), shown["attempt"].as_u64()),
        (Some("warming_up"), Some(1))
    );
    assert_eq!(first.cancel(&id).await.0.as_u16(), 200);
}
