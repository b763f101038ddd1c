//! What an engine and a worker are told of the server's environment.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn a_worker_gets_none_of_the_servers_secrets() {
    let server = Server::start_with_environment(
        &["--allow-synthetic-engine"],
        &[
            ("JOULEMARK_API_KEY", "jm_secret"),
            ("PGPASSWORD", "secret"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
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
