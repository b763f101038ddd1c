//! What an engine and a worker are told of the server's environment.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn a_worker_gets_none_of_the_servers_secrets() {
    let server = Server::start_with_environment(
        &["--allow-synthetic-engine"],
        &[
            ("JOULEMARK_API_KEY", "jm_secret"),
            ("DATABASE_URL", "postgres://user:secret@db/jm"),
            ("PGPASSWORD", "secret"),
            ("PGUSER", "secret"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "secret"),
            ("HF_TOKEN", "secret"),
            ("NVIDIA_API_KEY", "secret"),
            ("CUDA_API_KEY", "secret"),
            ("NCCL_TOKEN", "secret"),
            ("LC_PASSWORD", "secret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret"),
            ("A_NAME_THAT_SAYS_NOTHING", "secret"),
            ("HF_ENDPOINT", "https://user:secret@mirror"),
            ("HTTPS_PROXY", "http://user:secret@proxy:3128"),
            ("HTTP_PROXY", "http://proxy:3128"),
            ("HF_HOME", "/cache"),
        ],
    );
    let slow = json!({"model_name": "synthetic:decode_ms=5000", "prompts": ["a"], "max_output_tokens": 4});
    let id = server.accepted(&slow).await;
    server.until_state(&id, "warming_up").await;
    let worker = server.workers()[0];
    let environment = std::fs::read(format!("/proc/{worker}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).replace('\0', "\n");
    assert!(!environment.contains("secret"), "{environment}");
    let own = ["JOULEMARK_", "PG", "AWS_", "DATABASE_URL"];
    let is_own = |line: &str| own.iter().any(|name| line.starts_with(name));
    assert!(!environment.lines().any(is_own), "{environment}");
    for kept in [
        "PATH=",
        "HF_HOME=/cache",
        "HTTP_PROXY=http://proxy:3128",
        "CUDA_VISIBLE_DEVICES=",
        "RAYON_NUM_THREADS=",
    ] {
        assert!(
            environment.lines().any(|line| line.starts_with(kept)),
            "{kept}: {environment}"
        );
    }
    server.cancel(&id).await;
}

#[tokio::test]
async fn an_engine_that_describes_itself_gets_none_of_the_servers_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let engine = folder.path().join("joulemark-mistral");
    let seen = folder.path().join("seen");
    std::fs::write(&engine, format!("#!/bin/sh\nenv >>'{}'\n", seen.display())).unwrap();
    std::fs::set_permissions(&engine, std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::start_with_environment(
        &["--engine-dir", folder.path().to_str().unwrap()],
        &[
            ("PGPASSWORD", "secret"),
            ("NVIDIA_API_KEY", "secret"),
            ("HF_HOME", "/cache"),
        ],
    );
    let environment = std::fs::read_to_string(&seen).unwrap();
    assert!(
        environment.contains("HF_HOME=/cache") && !environment.contains("secret"),
        "{environment}"
    );
    drop(server);
}

#[tokio::test]
async fn where_memory_runs_out_a_worker_goes_before_the_server() {
    let server = Server::start_with(&["--allow-synthetic-engine"]);
    let slow = json!({"model_name": "synthetic:decode_ms=5000", "prompts": ["a"], "max_output_tokens": 4});
    let id = server.accepted(&slow).await;
    server.until_state(&id, "warming_up").await;
    let score = |pid: u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        text.trim().parse::<i32>().unwrap()
    };
    let (worker, own) = (score(server.workers()[0]), score(server.pid()));
    assert_eq!(worker, (own + 500).min(1000), "the server has {own}");
    server.cancel(&id).await;
}

#[tokio::test]
async fn prompts_made_from_a_seed_take_no_memory_by_their_number() {
    let server = Server::start_with(&["--allow-synthetic-engine"]);
    let of = |count: u32| {
        json!({
            "model_name": "synthetic:decode_ms=60000", "max_output_tokens": 2, "num_cycles": 1, "warmup_iterations": 0,
            "idle_baseline_sec": 0,
            "prompts": {"synthetic": {"input_tokens": 1000, "count": count, "seed": 7}},
        })
    };
    let mut peaks = Vec::new();
    for count in [10, 100_000] {
        let id = server.accepted(&of(count)).await;
        server.until_state(&id, "measuring").await;
        peaks.push([server.workers()[0], server.pid()].map(peak_mb));
        server.cancel(&id).await;
        server.until_state(&id, "cancelled").await;
    }
    // As tokens they are 400 MB.
    for (few, many) in peaks[0].into_iter().zip(peaks[1]) {
        assert!(many < few + 50, "{peaks:?}");
    }
}

/// Most memory that a process had so far.
fn peak_mb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    kilobytes / 1024
}

#[test]
fn a_variable_that_no_command_knows_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_joulemark"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("JOULEMARK_LISTN", "0.0.0.0:80")
        .env("JOULEMARK_API_KEY", "jm_x")
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("JOULEMARK_LISTN is not an option"),
        "{said}"
    );
    assert!(!folder.path().join("joulemark.db").exists(), "nothing was begun");
}
