use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::client_command::{command, run, run_with_input, slow, submit, synthetic};
use crate::guarded::Guarded;
use crate::server::Server;

#[tokio::test]
async fn submit_takes_files_and_standard_input_as_json_and_yaml_and_prints_json_for_a_pipe() {
    let server = Server::start();
    let (json_file, yaml_file) = (server.folder.join("a.json"), server.folder.join("b.yaml"));
    std::fs::write(&json_file, synthetic("").to_string()).unwrap();
    std::fs::write(
        &yaml_file,
        "model_name: 'synthetic:'\nprompts: [a]\nlabels: {paper: fig3}\n",
    )
    .unwrap();
    let said = run(
        &server.url,
        &["submit", json_file.to_str().unwrap(), yaml_file.to_str().unwrap()],
    )
    .ended(0);
    let lines = said.lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["state"], &lines[1]["labels"]["paper"]),
        (&json!("queued"), &json!("fig3"))
    );
    assert!(said.errors.contains("warning: synthetic_engine: "), "{}", said.errors);
    let said = run_with_input(
        &server.url,
        &["submit", "--quiet", "-"],
        "model_name: 'synthetic:'\nprompts: [a]\n",
    )
    .ended(0);
    assert_eq!(said.errors, "");
    assert_eq!(server.show(said.out.trim()).await["model_name"], "synthetic:");
    let said = run_with_input(&server.url, &["submit", "--table", "-"], &synthetic("").to_string()).ended(0);
    let id = said.out.trim();
    assert!(
        said.errors.contains(&format!("joulemark status {id} --watch")),
        "{}",
        said.errors
    );
}

#[tokio::test]
async fn a_bad_submission_is_refused_field_by_field_and_keeps_the_good_ones_not_back() {
    let server = Server::start();
    let bad = r#"{"model_name": "synthetic:", "num_cycles": 0, "max_otput_tokens": 3}"#;
    let said = run_with_input(&server.url, &["submit", "-"], bad).ended(2);
    assert_eq!(said.out, "");
    for part in [
        "standard input: The experiment is not valid",
        "/num_cycles ",
        "accepted",
        "/max_otput_tokens ",
    ] {
        assert!(said.errors.contains(part), "{part} is not in:\n{}", said.errors);
    }
    let (bad_file, good_file) = (server.folder.join("bad.json"), server.folder.join("good.json"));
    std::fs::write(&bad_file, bad).unwrap();
    std::fs::write(&good_file, synthetic("").to_string()).unwrap();
    let said = run(
        &server.url,
        &["submit", bad_file.to_str().unwrap(), good_file.to_str().unwrap()],
    )
    .ended(2);
    assert_eq!(said.lines().len(), 1);
    assert!(
        said.errors.contains("bad.json: The experiment is not valid"),
        "{}",
        said.errors
    );
    for (input, part) in [
        ("", "is empty; it must contain"),
        ("{\"model_name\": ", "The body cannot be read"),
    ] {
        let said = run_with_input(&server.url, &["submit", "-"], input).ended(2);
        assert!(said.errors.contains(part), "{}", said.errors);
    }
    run(&server.url, &["submit", "/does/not/exist.json"]).ended(7);
}

#[tokio::test]
async fn results_are_the_servers_bytes_in_a_pipe_and_a_table_with_reasons_for_people() {
    let server = Server::start();
    let id = submit(&server.url, &synthetic(""));
    server.until_state(&id, "completed").await;
    let said = run(&server.url, &["results", &id]).ended(0);
    let served = reqwest::get(format!("{}/v1/experiments/{id}/results", server.url))
        .await
        .unwrap();
    assert_eq!(said.out.trim_end(), served.text().await.unwrap().trim_end());
    let table = run(&server.url, &["results", "--table", &id]).ended(0).out;
    let line = |name: &str| {
        let found = table.lines().find(|line| line.split_whitespace().next() == Some(name));
        found.unwrap_or_else(|| panic!("{name} is not in:\n{table}")).to_owned()
    };
    let tokens = said.lines()[0]["inference"]["output_tokens"].to_string();
    assert_eq!(
        line("output_tokens").split_whitespace().collect::<Vec<_>>(),
        ["output_tokens", &tokens, "tokens"]
    );
    assert!(line("gpu_energy_j").ends_with("null  (no GPU was leased)"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours but on a terminal");
    let first = line("output_throughput");
    assert!(first.contains("(of the whole experiment"), "{table}");
    assert!(line("tokens_per_second").contains("mean over"), "{table}");
    assert!(
        !table.contains("_uncertainty_j"),
        "beside its energy and on no line of its own:\n{table}"
    );
}

#[tokio::test]
async fn a_figure_is_explained_without_a_server_and_by_the_server_alike() {
    let nowhere = "http://127.0.0.1:9";
    let said = run(nowhere, &["results", "--explain", "tokens_per_second"])
        .ended(0)
        .out;
    let server = Server::start();
    let (status, answer) = server.get("/v1/metrics/inference.tokens_per_second").await;
    assert_eq!(status, 200, "{answer:#}");
    for field in ["unit", "source", "limits"] {
        let text = answer[field].as_str().unwrap().replace('`', "");
        assert!(said.contains(&text), "{field}: {text} is not in:\n{said}");
    }
    let said = run(nowhere, &["results", "--explain", "speed"]).ended(2);
    assert!(said.errors.contains("there is no metric \"speed\""), "{}", said.errors);
    let (status, problem) = server.get("/v1/metrics/speed").await;
    assert_eq!(
        (status.as_u16(), &problem["type"]),
        (404, &"urn:problem-type:joulemark:no-such-metric".into())
    );
    let (_, all) = server.get("/v1/metrics").await;
    assert!(all["items"].as_array().unwrap().contains(&answer));
}

#[tokio::test]
async fn what_has_no_results_ends_by_its_own_code() {
    let server = Server::start();
    let running = submit(&server.url, &slow());
    let said = run(&server.url, &["results", &running]).ended(6);
    assert!(
        said.errors.contains("it has results once it is completed"),
        "{}",
        said.errors
    );
    let said = run(&server.url, &["cancel", &running]).ended(0);
    assert_eq!(said.lines()[0]["id"], running.as_str());
    run(&server.url, &["results", &running]).ended(4);
    let failed = submit(&server.url, &synthetic("error_at=0"));
    server.until_state(&failed, "failed").await;
    run(&server.url, &["results", &failed]).ended(1);
    let said = run(&server.url, &["cancel", &failed, &running]).ended(2);
    assert!(
        said.errors
            .contains("is failed; only an unfinished experiment or sweep"),
        "{}",
        said.errors
    );
    assert_eq!(said.lines().len(), 1, "the other one was tried");
    let said = run(&server.url, &["status", &failed, "--table"]).ended(0);
    assert!(said.out.contains("worker_error: "), "{}", said.out);
    run(&server.url, &["status", "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11"]).ended(2);
    run(&server.url, &["status", "not-an-id"]).ended(2);
}

#[tokio::test]
async fn the_list_is_filtered_and_goes_over_pages() {
    let server = Server::start();
    let mut ids = Vec::new();
    for number in 0..4 {
        let mut experiment = synthetic("");
        experiment["labels"] = json!({"half": (number / 2).to_string()});
        ids.insert(0, submit(&server.url, &experiment));
    }
    server.until_state(&ids[0], "completed").await;
    let listed = |arguments: &[&str]| -> Vec<Value> {
        let mut all = vec!["list"];
        all.extend(arguments);
        run(&server.url, &all)
            .ended(0)
            .lines()
            .iter()
            .map(|line| line["id"].clone())
            .collect()
    };
    assert_eq!(listed(&["--all"]), ids[..]);
    assert_eq!(listed(&["-n", "2"]), ids[..2]);
    assert_eq!(listed(&["--label", "half=0", "--state", "completed"]), ids[2..]);
    assert_eq!(listed(&["--model", "other"]), Vec::<Value>::new());
    assert_eq!(listed(&["--sort", "created_at", "-n", "1"]), ids[3..]);
    let table = run(&server.url, &["list", "--table", "-n", "3"]).ended(0);
    assert!(
        table.out.starts_with("ID ") && table.out.lines().count() == 4,
        "{}",
        table.out
    );
    assert!(table.errors.contains("use --limit N or --all"), "{}", table.errors);
    let said = run(&server.url, &["list", "--label", "half"]).ended(2);
    assert!(
        said.errors.contains("it must have the form NAME=VALUE"),
        "{}",
        said.errors
    );
}

#[tokio::test]
async fn a_key_comes_from_a_file_of_its_owner_or_the_environment() {
    let guarded = Guarded::start(&[]);
    let url = &guarded.server.url;
    let key = guarded.key("ada", "submitter");
    let said = run(url, &["list"]).ended(2);
    assert!(said.errors.contains("JOULEMARK_API_KEY"), "{}", said.errors);
    let file = guarded.server.folder.join("key");
    std::fs::write(&file, format!("{key}\n")).unwrap();
    let path = file.to_str().unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let said = run(url, &["list", "--api-key-file", path]).ended(2);
    assert!(said.errors.contains("chmod 600"), "{}", said.errors);
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    run(url, &["list", "--api-key-file", path]).ended(0);
    for (name, value) in [("JOULEMARK_API_KEY", key.as_str()), ("JOULEMARK_API_KEY_FILE", path)] {
        let output = command(url, &["list"]).env(name, value).output().unwrap();
        assert!(output.status.success(), "{name}");
    }
    let said = run(url, &["list", "--api-key", &key]).ended(2);
    assert!(
        said.errors.contains("--api-key-file"),
        "the way that is safe is named: {}",
        said.errors
    );
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error_to_speak_of() {
    let server = Server::start();
    submit(&server.url, &synthetic(""));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    for arguments in [&["list"][..], &["completions", "bash"], &["man"]] {
        let mut command = command(&server.url, arguments);
        let output = command
            .stdout(writer.try_clone().unwrap())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(
            (output.status.code(), output.stderr),
            (Some(141), Vec::new()),
            "{arguments:?}"
        );
    }
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(
        command(&server.url, &["list"])
            .stdout(full)
            .output()
            .unwrap()
            .status
            .code(),
        Some(7)
    );
}

#[tokio::test]
async fn exports_are_whole_files_or_none() {
    let server = Server::start();
    let id = submit(&server.url, &synthetic(""));
    server.until_state(&id, "completed").await;
    let said = run(&server.url, &["export"]).ended(0);
    assert!(said.out.starts_with("id,") && said.out.contains(&id), "{}", said.out);
    let rows = run(&server.url, &["export", &id, "--what", "requests", "--format", "jsonl"])
        .ended(0)
        .lines();
    assert_eq!(rows.len(), 4, "2 prompts, 2 cycles");
    let folder = server.folder.join("exports");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("all.parquet");
    let said = run(
        &server.url,
        &["export", "--state", "completed", "-o", file.to_str().unwrap()],
    )
    .ended(0);
    assert!(said.errors.contains("all.parquet: "), "{}", said.errors);
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    run(
        &server.url,
        &[
            "export",
            "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11",
            "-o",
            file.to_str().unwrap(),
        ],
    )
    .ended(2);
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "what was there stays");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "and nothing beside it");
    run(&server.url, &["export", &id, "--state", "completed"]).ended(2);
    run(&server.url, &["export", "-o", "/does/not/exist.csv"]).ended(7);
}
