//! Models and configurations that are not what they should be: too large, of another kind, or without an end. The rows
//! are those of the list of what users met.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::server::Server;

/// Runs `joulemark flops` on a path and returns what it says on standard error; it must fail, and not wait for what
/// never comes.
fn refusal(path: &Path) -> String {
    const PATIENCE_SEC: &str = "60";
    /// What `timeout` exits with when it ended the command.
    const TIMED_OUT: i32 = 124;
    let output = Command::new("timeout")
        .args([
            PATIENCE_SEC,
            env!("CARGO_BIN_EXE_joulemark"),
            "flops",
            "--json",
            "--model",
        ])
        .arg(path)
        .output()
        .unwrap();
    assert_ne!(output.status.code(), Some(TIMED_OUT), "it waits for {}", path.display());
    assert!(!output.status.success(), "{}", path.display());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `[[0],[0],…]` of so many bytes.
fn lists(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes);
    text.push_str("[[0]");
    while text.len() + 5 < bytes {
        text.push_str(",[0]");
    }
    text.push(']');
    text
}

/// A line of `/proc/PID/status` in bytes.
fn memory(pid: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let found = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    let kib: u64 = found.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

#[test]
fn row_17_a_configuration_of_66_megabytes_takes_a_small_multiple_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let config = format!(r#"{{"model_type": "llama", "hidden_size": {}}}"#, lists(66_000_000));
    std::fs::write(&path, config).unwrap();
    // Beyond the limit an allocation fails, which ends the process without its words.
    let limited = r#"ulimit -v 600000 && exec "$0" flops --json --model "$1""#;
    let output = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_joulemark")])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("values"), "{said}");
}

#[tokio::test]
async fn row_17_a_body_of_33_megabytes_takes_a_small_multiple_of_it_and_gives_it_back() {
    const BODY_BYTES: usize = 33_000_000;
    let server = Server::start();
    let before = memory(server.pid(), "VmHWM:");
    let of_flops = format!(r#"{{"config": {{"model_type": "llama", "a": {}}}}}"#, lists(BODY_BYTES));
    let experiment = format!(r#"{{"config_name": "a", "prompts": {}}}"#, lists(BODY_BYTES));
    let (json, yaml) = ("application/json", "application/yaml");
    for (path, content_type, body) in [
        ("/v1/flops", json, &of_flops),
        ("/v1/experiments", json, &experiment),
        ("/v1/flops", yaml, &of_flops),
    ] {
        let post = || server.post(path, content_type, body.clone());
        let both = tokio::join!(post(), post());
        for response in [both.0, both.1] {
            assert_eq!(response.status(), 400, "{path} {content_type}");
            let problem: Value = response.json().await.unwrap();
            assert!(problem["detail"].as_str().unwrap().len() < 1000);
        }
    }
    let most = memory(server.pid(), "VmHWM:") - before;
    assert!(most < 12 * BODY_BYTES as u64, "two bodies at once took {most} bytes");
    let kept = memory(server.pid(), "VmRSS:").saturating_sub(before);
    assert!(kept < 6 * BODY_BYTES as u64, "{kept} bytes were kept");
}

#[test]
fn row_20_a_pointer_or_a_page_in_place_of_a_model_is_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1234\n";
    let page = "<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n";
    for name in ["model.safetensors", "model.gguf", "config.json"] {
        for (content, words) in [(pointer, "Git LFS pointer"), (page, "HTML page")] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("config.json"), r#"{"model_type": "llama"}"#).unwrap();
            std::fs::write(folder.path().join(name), content).unwrap();
            let path = match name {
                "model.gguf" => folder.path().join(name),
                _ => folder.path().to_owned(),
            };
            let said = refusal(&path);
            assert!(said.contains(words) && said.contains(name), "{said}");
        }
    }
}

#[tokio::test]
async fn row_20_the_server_names_them_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("a.gguf"),
        "version https://git-lfs.github.com/spec/v1\n",
    )
    .unwrap();
    let server = Server::start_with(&["--models-dir", folder.path().to_str().unwrap()]);
    let question = json!({"model": "a.gguf"}).to_string();
    let response = server.post("/v1/flops", "application/json", question).await;
    assert_eq!(response.status(), 422);
    let problem: Value = response.json().await.unwrap();
    assert!(problem.to_string().contains("Git LFS pointer"), "{problem}");
}

#[test]
fn row_21_a_pipe_is_refused_at_once_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        path
    };
    let config = |name: &str| std::fs::write(folder.path().join(name), r#"{"model_type": "llama"}"#).unwrap();
    for name in ["x.gguf", "x.json", "x.safetensors", "bare"] {
        let said = refusal(&pipe(name));
        assert!(said.contains("a pipe, a socket or a device"), "{said}");
    }
    std::fs::write(folder.path().join("b-00001-of-00002.gguf"), "").unwrap();
    pipe("b-00002-of-00002.gguf");
    assert!(!refusal(&folder.path().join("b-00002-of-00002.gguf")).is_empty());
    for name in [
        "shards/model-00002-of-00002.safetensors",
        "index/model.safetensors.index.json",
        "single/model.safetensors",
    ] {
        let model = pipe(name).parent().unwrap().to_owned();
        config(&format!("{}/config.json", model.file_name().unwrap().to_str().unwrap()));
        if name.starts_with("shards") {
            let header = br#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
            let content = [&(header.len() as u64).to_le_bytes()[..], header, &[0]].concat();
            std::fs::write(model.join("model-00001-of-00002.safetensors"), content).unwrap();
        }
        let said = refusal(&model);
        assert!(said.contains("a pipe, a socket or a device"), "{name}: {said}");
    }
    pipe("config/config.json");
    assert!(refusal(&folder.path().join("config")).contains("a pipe, a socket or a device"));
    let socket = folder.path().join("s.gguf");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(refusal(&socket).contains("a pipe, a socket or a device"));
    assert!(refusal(Path::new("/dev/zero")).contains("a pipe, a socket or a device"));
}

#[test]
fn a_file_of_a_model_is_as_good_as_its_folder_or_says_what_to_pass() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("params.json"), r#"{"dim": 64}"#).unwrap();
    assert!(refusal(&path("params.json")).contains("config.json"));
    std::fs::write(path("model.safetensors"), "").unwrap();
    assert!(refusal(&path("model.safetensors")).contains("config.json"));
    std::fs::write(path("config.json"), r#"{"model_type": "llama"}"#).unwrap();
    assert!(refusal(&path("model.safetensors")).contains("it is empty"));
    std::fs::write(
        path("model.safetensors.index.json"),
        r#"{"weight_map": {"a": "b.safetensors"}}"#,
    )
    .unwrap();
    assert!(refusal(&path("model.safetensors.index.json")).contains("b.safetensors is missing"));
}
