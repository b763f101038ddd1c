//! Prompts from files: the admin's, named by a submission, and one's own, sent by the client.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::client_command::{run, run_with_input};
use crate::guarded::Guarded;
use crate::postgres_cluster::PostgresCluster;
use crate::server::Server;

const FILE: &str = "{\"prompt\": \"abc\"}\n\
    {\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": \"hi\"}], \
    \"max_output_tokens\": 2}\n\
    {\"prompt\": \"abcde\", \"max_output_tokens\": 7}\n";

fn quick() -> Value {
    json!({
        "model_name": "synthetic:decode_ms=0", "max_output_tokens": 4, "num_cycles": 2, "warmup_iterations": 4,
        "idle_baseline_sec": 0,
    })
}

fn with(mut experiment: Value, fields: Value) -> Value {
    for (key, value) in fields.as_object().expect("fields") {
        experiment[key] = value.clone();
    }
    experiment
}

fn prompts_in(folder: &Path, files: &[(&str, &str)]) -> String {
    std::fs::create_dir_all(folder).expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    folder.to_str().expect("a path").to_owned()
}

/// A server with a folder of prompts, which goes with it.
fn server_with(files: &[(&str, &str)]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let prompts = prompts_in(folder.path(), files);
    let server = Server::start_with(&["--allow-synthetic-engine", "--prompts-dir", &prompts]);
    (server, folder)
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Input and output tokens of the requests of the first cycle.
async fn lengths(server: &Server, id: &str) -> Vec<(u64, u64)> {
    let processes = server.processes(id).await;
    let requests = processes["items"][0]["requests"].as_array().cloned();
    let requests = requests.unwrap_or_else(|| panic!("requests in {processes:#}"));
    let count = |request: &Value, name: &str| request[name].as_u64().expect("a count");
    requests
        .iter()
        .map(|request| (count(request, "input_tokens"), count(request, "output_tokens")))
        .collect()
}

#[tokio::test]
async fn the_prompts_of_a_file_run_each_with_its_own_length_and_the_file_is_named_by_its_hash() {
    let (server, _folder) = server_with(&[("a.jsonl", FILE)]);
    for document in [
        json!({"prompt_source": "a.jsonl"}),
        json!({"prompt_source": "a.jsonl", "prompts": [], "prompt_lines": []}),
    ] {
        let id = server.accepted(&with(quick(), document)).await;
        let shown = server.until_state(&id, "completed").await;
        assert_eq!(
            (&shown["prompts"], &shown["prompt_lines"], &shown["prompt_source"]),
            (&json!([]), &json!([]), &json!("a.jsonl"))
        );
        let results = server.results(&id).await;
        assert_eq!(results["experiment"]["prompt_source_sha256"], sha256(FILE));
        assert_eq!(results["experiment"]["prompt_source_count"], 3);
        // The synthetic engine makes a token of each byte, and one of each message.
        assert_eq!(lengths(&server, &id).await, [(3, 4), (13, 2), (5, 7)]);
        assert_eq!(results["inference"]["output_tokens"], 2 * (4 + 2 + 7));
        let again = server.accepted(&results["experiment"]).await;
        server.until_state(&again, "completed").await;
        assert_eq!(server.results(&again).await["experiment"], results["experiment"]);
    }
    let first = with(quick(), json!({"prompt_source": "a.jsonl", "prompt_source_count": 1}));
    let id = server.accepted(&first).await;
    server.until_state(&id, "completed").await;
    assert_eq!(lengths(&server, &id).await, [(3, 4)]);
}

#[tokio::test]
async fn lines_that_are_sent_run_as_those_of_a_file() {
    let (server, folder) = server_with(&[("a.jsonl", FILE)]);
    let sent: Vec<Value> = FILE.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let id = server
        .accepted(&with(quick(), json!({"prompt_lines": sent, "prompts": []})))
        .await;
    let shown = server.until_state(&id, "completed").await;
    assert_eq!((&shown["prompt_lines"], &shown["prompts"]), (&json!(sent), &json!([])));
    assert_eq!(lengths(&server, &id).await, [(3, 4), (13, 2), (5, 7)]);
    let file = folder.path().join("a.jsonl");
    let arguments = ["submit", "--quiet", "--prompts", file.to_str().unwrap(), "-"];
    for experiment in [
        "model_name: 'synthetic:'\nnum_cycles: 1\n",
        "{\"model_name\": \"synthetic:\", \"prompts\": [\"x\"]}",
    ] {
        let said = run_with_input(&server.url, &arguments, experiment).ended(0);
        let shown = server.show(said.out.trim()).await;
        assert_eq!(
            (&shown["prompt_lines"], &shown["prompts"]),
            (&json!(sent), &json!([])),
            "{experiment}"
        );
        server.cancel(said.out.trim()).await;
    }
    std::fs::write(&file, "{\"prompt\": \"one\"}\n{\"prompt\": \"two\"}").unwrap();
    let said = run_with_input(&server.url, &arguments, "model_name: 'synthetic:'\n").ended(0);
    assert_eq!(server.show(said.out.trim()).await["prompts"], json!(["one", "two"]));
    std::fs::write(&file, "{\"prompt\": \"one\"}\n{\"text\": \"two\"}").unwrap();
    let said = run_with_input(&server.url, &arguments, "model_name: 'synthetic:'\n");
    assert!(
        said.code != Some(0) && said.errors.contains("line 2: text is not a known field"),
        "{}",
        said.errors
    );
}

#[tokio::test]
async fn a_file_that_is_not_had_or_not_right_is_refused_by_field_with_what_is_accepted() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "{\"prompt\": \"secret\"}").unwrap();
    let (server, folder) = server_with(&[
        ("a.jsonl", FILE),
        ("bad.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": 1}\n"),
    ]);
    std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join("out.jsonl")).unwrap();
    nix::unistd::mkfifo(&folder.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let source = |name: &str| json!({"prompt_source": name});
    for (fields, pointer, expected) in [
        (source("none.jsonl"), "/prompt_source", "there is a.jsonl, bad.jsonl"),
        (source("../joulemark.db"), "/prompt_source", "in another folder"),
        (source("/etc/passwd"), "/prompt_source", "an absolute path"),
        (
            source("out.jsonl"),
            "/prompt_source",
            "a link out of the prompts folder",
        ),
        (source("pipe"), "/prompt_source", "not a regular file"),
        (
            source("bad.jsonl"),
            "/prompt_source",
            "line 2: prompt is 1; accepted is a text",
        ),
        (source(""), "/prompt_source", "accepted is a text"),
        (
            with(source("a.jsonl"), json!({"prompts": ["a"]})),
            "/prompt_source",
            "is given together with prompts",
        ),
        (
            json!({"prompts": []}),
            "/prompts",
            "or none together with prompt_source",
        ),
        (
            with(source("a.jsonl"), json!({"prompt_source_count": 4})),
            "/prompt_source_count",
            "has 3 prompts",
        ),
        (
            with(source("a.jsonl"), json!({"prompt_source_sha256": "ab".repeat(32)})),
            "/prompt_source_sha256",
            "leave it out",
        ),
        (
            with(source("a.jsonl"), json!({"raw_prompt": true})),
            "/prompt_source",
            "messages of line 2",
        ),
        (
            with(source("a.jsonl"), json!({"min_output_tokens": 3})),
            "/prompt_source",
            "max_output_tokens of line 2 is 2",
        ),
    ] {
        let (status, problem) = server.submit(&with(quick(), fields.clone())).await;
        let error = &problem["errors"][0];
        assert_eq!(
            (status.as_u16(), error["pointer"].as_str()),
            (422, Some(pointer)),
            "{fields}: {problem:#}"
        );
        assert!(
            error["detail"].as_str().unwrap().contains(expected),
            "{fields}: {problem:#}"
        );
        assert!(
            !problem.to_string().contains(folder.path().to_str().unwrap()),
            "{problem:#}"
        );
    }
}

#[tokio::test]
async fn an_experiment_whose_file_changed_while_it_waited_fails_with_both_hashes() {
    let (server, folder) = server_with(&[("a.jsonl", FILE), ("b.jsonl", FILE)]);
    let first = with(
        quick(),
        json!({"model_name": "synthetic:decode_ms=1000", "prompts": ["a"]}),
    );
    let first = server.accepted(&first).await;
    server.until_state(&first, "warming_up").await;
    let (changed, gone) = (
        server
            .accepted(&with(quick(), json!({"prompt_source": "a.jsonl"})))
            .await,
        server
            .accepted(&with(quick(), json!({"prompt_source": "b.jsonl"})))
            .await,
    );
    let other = "{\"prompt\": \"another\"}\n";
    std::fs::write(folder.path().join("a.jsonl"), other).unwrap();
    std::fs::remove_file(folder.path().join("b.jsonl")).unwrap();
    server.cancel(&first).await;
    let failure = server.until_state(&changed, "failed").await["failure"].clone();
    let message = failure["message"].as_str().unwrap();
    assert!(
        message.contains(&sha256(FILE)) && message.contains(&sha256(other)),
        "{message}"
    );
    assert!(message.contains("\"a.jsonl\" has changed"), "{message}");
    let failure = server.until_state(&gone, "failed").await["failure"].clone();
    let message = failure["message"].as_str().unwrap();
    assert!(
        message.contains("\"b.jsonl\" is not in the prompts folder"),
        "{message}"
    );
}

#[tokio::test]
async fn a_repeat_takes_the_file_as_it_is_now_with_a_warning_and_when_strict_not_at_all() {
    let (server, folder) = server_with(&[("a.jsonl", FILE)]);
    let id = server
        .accepted(&with(quick(), json!({"prompt_source": "a.jsonl"})))
        .await;
    let shown = server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    let line = server.get(&format!("/v1/experiments/{id}/export?format=jsonl")).await.1;
    assert_eq!(
        (&line["prompt_kind"], &line["prompt_count"]),
        (&json!("file"), &json!(3))
    );
    let own_folder = tempfile::tempdir().unwrap();
    let file = own_folder.path().join("repeated.json");
    let file = file.to_str().unwrap();
    for document in [&results, &shown, &line] {
        std::fs::write(file, document.to_string()).unwrap();
        let said = run(&server.url, &["submit", "--wait", "--strict", "--json", file]).ended(0);
        assert_eq!(said.lines()[0]["experiment"]["prompt_source_sha256"], sha256(FILE));
        assert!(!said.errors.contains("prompts differ"), "{}", said.errors);
    }
    let other = "{\"prompt\": \"x\"}\n{\"prompt\": \"y\"}\n{\"prompt\": \"z\"}\n";
    std::fs::write(folder.path().join("a.jsonl"), other).unwrap();
    for document in [&results, &shown, &line] {
        std::fs::write(file, document.to_string()).unwrap();
        let said = run(&server.url, &["submit", "--wait", "--strict", file]).ended(2);
        assert!(said.errors.contains("prompt_source_sha256"), "{}", said.errors);
        let said = run(&server.url, &["submit", file]).ended(0);
        assert!(said.errors.contains("warning: the prompts differ"), "{}", said.errors);
        let again = said.lines()[0]["id"].as_str().unwrap().to_owned();
        let again = server.until_state(&again, "completed").await;
        assert_eq!(again["prompt_source_sha256"], sha256(other));
    }
}

#[tokio::test]
async fn lines_are_their_submitters_and_of_a_file_only_its_name_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let secret = FILE.replace("abc", "secret");
    let prompts = prompts_in(folder.path(), &[("a.jsonl", &secret)]);
    let guarded = Guarded::start(&["--prompts-dir", &prompts]);
    let (ada, bob) = (guarded.key("ada", "submitter"), guarded.key("bob", "reader"));
    let sent: Vec<Value> = secret.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (fields, withheld) in [
        (json!({"prompt_lines": sent}), json!(3)),
        (json!({"prompt_source": "a.jsonl"}), Value::Null),
    ] {
        let id = guarded.accepted(&ada, &with(quick(), fields.clone())).await;
        let wait = format!("/v1/experiments/{id}?wait=60");
        assert_eq!(guarded.get(&wait, &ada).await.1["state"], "completed");
        for path in ["", "/results", "/processes"] {
            let (_, shown) = guarded.get(&format!("/v1/experiments/{id}{path}"), &bob).await;
            assert!(!shown.to_string().contains("secret"), "{path}: {shown:#}");
            match path {
                "/processes" => {
                    let tokens = &shown["items"][0]["requests"][0]["output_token_ids"];
                    assert_eq!(
                        (tokens, &shown["token_ids_withheld"]),
                        (&json!([]), &json!(true)),
                        "{shown:#}"
                    );
                }
                _ => assert_eq!(shown["prompts_withheld"], withheld, "{path}"),
            }
        }
        let (_, shown) = guarded.get(&format!("/v1/experiments/{id}"), &bob).await;
        assert_eq!((&shown["prompts"], &shown["prompt_lines"]), (&json!([]), &json!([])));
        assert_eq!(
            &shown["prompt_source"],
            fields.get("prompt_source").unwrap_or(&Value::Null)
        );
        let (_, own) = guarded.get(&format!("/v1/experiments/{id}"), &ada).await;
        assert_eq!(
            own["prompt_lines"],
            fields.get("prompt_lines").cloned().unwrap_or(json!([]))
        );
    }
}

#[tokio::test]
async fn a_node_without_the_file_never_gets_the_experiment() {
    let cluster = PostgresCluster::start();
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let prompts = prompts_in(&first.path().join("prompts"), &[("a.jsonl", FILE)]);
    let none = prompts_in(&second.path().join("prompts"), &[]);
    let url = cluster.url();
    let start = |folder: &Path, name: &str, prompts: &str| {
        let node = ["--node-name", name, "--database-url", &url, "--prompts-dir", prompts];
        Server::start_in(folder, &[&["--allow-synthetic-engine"], &node[..]].concat())
    };
    let (has, lacks) = (
        start(first.path(), "has", &prompts),
        start(second.path(), "lacks", &none),
    );
    for _ in 0..3 {
        let id = has.accepted(&with(quick(), json!({"prompt_source": "a.jsonl"}))).await;
        assert_eq!(has.until_state(&id, "completed").await["node_name"], "has");
    }
    let (status, problem) = lacks.submit(&with(quick(), json!({"prompt_source": "a.jsonl"}))).await;
    assert!(
        status == 422 && problem.to_string().contains("not in the prompts folder"),
        "{problem:#}"
    );
    let pinned = with(quick(), json!({"prompt_source": "a.jsonl", "node": "lacks"}));
    let (status, problem) = has.submit(&pinned).await;
    assert!(
        status == 422 && problem["errors"][0]["pointer"] == "/prompt_source",
        "{problem:#}"
    );
    let nodes = lacks.get("/v1/nodes").await.1;
    let files: Vec<_> = nodes["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| &node["prompt_files"])
        .collect();
    assert_eq!(files, [&json!(["a.jsonl"]), &json!([])]);
}
