//! What decided a result, its repetition, and its figures computed anew from all that was measured.

use std::path::{Path, PathBuf};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::client_command::{Said, run};
use crate::guarded::Guarded;
use crate::postgres_cluster::PostgresCluster;
use crate::server::Server;

fn experiment() -> Value {
    json!({
        "model_name": "synthetic:prefill_ms=2,decode_ms=1", "prompts": ["my secret prompt", "two"], "max_output_tokens": 8,
        "min_output_tokens": 8, "num_cycles": 3, "warmup_iterations": 0, "idle_baseline_sec": 0, "slo": {"e2e_ms": 10_000},
    })
}

async fn completed(server: &Server) -> String {
    let id = server.accepted(&experiment()).await;
    server.until_state(&id, "completed").await;
    id
}

async fn manifest(server: &Server, id: &str) -> Value {
    let (status, manifest) = server.get(&format!("/v1/experiments/{id}/manifest")).await;
    assert_eq!(status, StatusCode::OK, "{manifest:#}");
    manifest
}

fn verified(bundle: &Path) -> Said {
    run("http://127.0.0.1:1", &["verify", bundle.to_str().expect("text")])
}

/// Fetches a bundle as a user does.
fn fetched(server: &Server, id: &str, folder: &Path) -> PathBuf {
    let path = folder.join("bundle.tar");
    run(&server.url, &["bundle", id, "-o", path.to_str().expect("text")]).ended(0);
    path
}

/// The files of a bundle, by their paths.
fn files(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = tar;
    while rest[0] != 0 {
        let name = rest[..100].split(|byte| *byte == 0).next().expect("a name");
        let size = std::str::from_utf8(&rest[124..135]).expect("digits");
        let size = usize::from_str_radix(size, 8).expect("octal digits");
        found.push((
            String::from_utf8(name.to_vec()).expect("text"),
            rest[512..512 + size].to_vec(),
        ));
        rest = &rest[512 + size.div_ceil(512) * 512..];
    }
    found
}

/// Writes files as a tar, with sums that are right: as one does who forges a bundle with care.
fn forged(mut files: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let sums = files[..files.len() - 1].iter().map(|(path, content)| {
        let name = path.split_once('/').expect("a folder").1;
        format!("{}  {name}\n", hex::encode(Sha256::digest(content)))
    });
    let sums: String = sums.collect();
    files.last_mut().expect("sums").1 = sums.into_bytes();
    let mut tar = Vec::new();
    for (path, content) in &files {
        let mut header = [0_u8; 512];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, path);
        for at in [100, 108, 116] {
            put(at, if at == 100 { "0000644\0" } else { "0000000\0" });
        }
        put(124, &format!("{:011o}\0", content.len()));
        put(136, "00000000000\0");
        put(148, "        ");
        put(156, "0");
        put(257, "ustar\0");
        put(263, "00");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend_from_slice(&header);
        tar.extend_from_slice(content);
        tar.resize(tar.len().div_ceil(512) * 512, 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// Changes a value of one of the documents, and seals the bundle again.
fn with_value(tar: &[u8], file: &str, pointer: &str, change: impl Fn(&Value) -> Value) -> Vec<u8> {
    let mut files = files(tar);
    let (_, content) = files
        .iter_mut()
        .find(|(path, _)| path.ends_with(file))
        .expect("the file");
    let mut document: Value = serde_json::from_slice(content).expect("JSON");
    let value = document.pointer_mut(pointer).expect(pointer);
    *value = change(value);
    *content = document.to_string().into_bytes();
    forged(files)
}

async fn assert_repeats_and_verifies(server: &Server, folder: &Path) {
    let id = completed(server).await;
    let of_first = manifest(server, &id).await;
    assert_eq!(of_first["experiment"]["prompts"], experiment()["prompts"]);
    assert_eq!(of_first["conditions"]["engine"]["name"], "synthetic");
    assert!(
        of_first["conditions"]["memory_bytes"].as_u64().is_some(),
        "{of_first:#}"
    );
    assert_eq!(of_first["outputs"]["of"], "token_ids");
    let again = server.accepted(&of_first).await;
    server.until_state(&again, "completed").await;
    let of_second = manifest(server, &again).await;
    for part in ["experiment", "prompts", "model", "outputs", "seeds"] {
        assert_eq!(of_first[part], of_second[part], "{part}");
    }
    let results = server.results(&again).await;
    assert_eq!(results["outputs"], of_second["outputs"]);
    assert!(results.get("readings").is_none());

    let said = verified(&fetched(server, &id, folder)).ended(0);
    assert!(said.out.contains("every file is unaltered"), "{}", said.out);
}

#[tokio::test]
async fn a_manifest_repeats_its_experiment_with_the_same_tokens_and_its_bundle_holds() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    assert_repeats_and_verifies(&server, folder.path()).await;
}

#[tokio::test]
async fn a_manifest_repeats_its_experiment_and_its_bundle_holds_on_postgres() {
    let cluster = PostgresCluster::start();
    let folder = tempfile::tempdir().unwrap();
    let url = cluster.url();
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine", "--database-url", &url]);
    assert_repeats_and_verifies(&server, folder.path()).await;
}

#[tokio::test]
async fn a_manifest_with_other_prompts_or_another_model_is_refused_and_the_field_named() {
    let server = Server::start();
    let id = completed(&server).await;
    let whole = manifest(&server, &id).await;
    let with = |pointer: &str, value: Value| {
        let mut changed = whole.clone();
        *changed.pointer_mut(pointer).expect(pointer) = value;
        changed
    };
    for (document, pointer, said) in [
        (
            with("/experiment/prompts/0", json!("another")),
            "/prompts/sha256",
            "the prompts of this experiment have",
        ),
        (
            with("/prompts/sha256", json!("0".repeat(64))),
            "/prompts/sha256",
            "the prompts of this experiment have",
        ),
        (
            with("/model/sha256", json!([{"file": "m.gguf", "sha256": "0".repeat(64)}])),
            "/model/sha256/0/sha256",
            "not among the files",
        ),
        (
            with("/experiment/max_output_tokens", json!("x")),
            "/experiment/max_output_tokens",
            "an integer",
        ),
        (with("/manifest", json!(9)), "/manifest", "accepted is 1"),
    ] {
        let (status, problem) = server.submit(&document).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem:#}");
        assert!(problem["errors"][0]["detail"].to_string().contains(said), "{problem:#}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifest.json");
    std::fs::write(&file, with("/prompts/sha256", json!("0".repeat(64))).to_string()).unwrap();
    let said = run(&server.url, &["submit", file.to_str().unwrap()]).ended(2);
    assert!(said.errors.contains("/prompts/sha256"), "{}", said.errors);
    std::fs::write(&file, run(&server.url, &["manifest", &id]).ended(0).out).unwrap();
    let said = run(&server.url, &["submit", file.to_str().unwrap(), "--wait", "--strict"]).ended(0);
    assert!(
        said.errors
            .contains("the same as in the repeated results, token for token"),
        "{}",
        said.errors
    );
    let said = run(&server.url, &["submit", file.to_str().unwrap(), "--repeat", "2"]).ended(2);
    assert!(said.errors.contains("is a manifest"), "{}", said.errors);
}

#[tokio::test]
async fn one_changed_byte_is_found_wherever_it_is() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let id = completed(&server).await;
    let path = fetched(&server, &id, folder.path());
    let whole = std::fs::read(&path).unwrap();
    let mut places = vec![0, 130, 300, whole.len() - 1, whole.len() - 1500];
    let mut at = 0;
    for (name, content) in files(&whole) {
        // A digit within the content, and the content's last byte.
        let digit = content.iter().position(u8::is_ascii_digit).unwrap_or_default();
        places.extend([at + 512 + digit, at + 512 + content.len() - 1, at + name.len()]);
        at += 512 + content.len().div_ceil(512) * 512;
    }
    for at in places {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        let said = verified(&path).ended(9);
        assert!(said.out.contains("damaged or altered:\n  "), "byte {at}: {}", said.out);
    }
    for end in [0, 100, 512, 5000, whole.len() - 512] {
        std::fs::write(&path, &whole[..end]).unwrap();
        let said = verified(&path).ended(9);
        assert!(said.out.contains("ends at byte"), "{end}: {}", said.out);
    }
}

#[tokio::test]
async fn a_figure_that_is_forged_with_its_sums_is_named_with_both_values() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let id = completed(&server).await;
    let path = fetched(&server, &id, folder.path());
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(forged(files(&whole)), whole, "sealed again it is the same");
    let tenth_more = |value: &Value| json!(value.as_f64().expect("a number") * 1.1);
    for (file, pointer) in [
        ("report.json", "/inference/output_throughput"),
        ("report.json", "/cycles/1/energy/total_energy_j"),
        ("report.json", "/efficiency/joules_per_output_token"),
        ("report.json", "/statistics/mean_ttft_ms/ci_high"),
        ("report.json", "/request_percentiles/median_e2e_ms/value"),
        ("report.json", "/load_report/achieved_per_sec"),
        ("report.json", "/timing/measuring_sec"),
        ("rank-0000.json", "/inference/mean_ttft_ms"),
        ("rank-0000.json", "/energy/total_energy_j"),
        ("readings.json", "/hosts/0/energy/host_cpu_energy_j"),
    ] {
        std::fs::write(&path, with_value(&whole, file, pointer, tenth_more)).unwrap();
        let said = verified(&path).ended(9);
        let name = pointer.rsplit('/').next().unwrap();
        assert!(!said.out.contains("damaged or altered"), "{pointer}: {}", said.out);
        assert!(
            said.out.contains("figures that differ:") && said.out.contains(name),
            "{pointer}: {}",
            said.out
        );
        assert!(said.out.contains(", recomputed "), "{pointer}: {}", said.out);
    }
    let other_token = |value: &Value| json!(value.as_u64().expect("a token") + 1);
    std::fs::write(
        &path,
        with_value(&whole, "rank-0000.json", "/requests/0/output_token_ids/0", other_token),
    )
    .unwrap();
    let said = verified(&path).ended(9);
    assert!(said.out.contains("report.json/outputs/sha256"), "{}", said.out);
    let other = |_: &Value| json!("other");
    std::fs::write(
        &path,
        with_value(&whole, "manifest.json", "/experiment/prompts/0", other),
    )
    .unwrap();
    let said = verified(&path).ended(9);
    assert!(said.out.contains("manifest.json/prompts/sha256"), "{}", said.out);
}

#[tokio::test]
async fn what_is_taken_out_with_its_sums_is_missed() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    experiment["electricity_price_per_kwh"] = json!(0.3);
    experiment["electricity_currency"] = json!("EUR");
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "completed").await;
    let path = fetched(&server, &id, folder.path());
    let whole = std::fs::read(&path).unwrap();
    let said = verified(&path).ended(0);
    assert!(said.out.contains("  power limits, clocks, "), "{}", said.out);
    for (file, parent, name) in [
        ("report.json", "", "footprint"),
        ("report.json", "", "statistics"),
        ("report.json", "", "repetition"),
        ("report.json", "", "power_limits"),
        ("report.json", "", "outputs"),
        ("report.json", "/inference", "output_throughput"),
        ("report.json", "/footprint", "cost"),
        ("rank-0000.json", "/energy", "total_energy_j"),
    ] {
        let pointer = format!("{parent}/{name}");
        let without = |value: &Value| {
            let mut value = value.clone();
            let taken = value.as_object_mut().expect("an object").shift_remove(name);
            assert!(taken.is_some_and(|taken| !taken.is_null()), "{pointer}");
            value
        };
        std::fs::write(&path, with_value(&whole, file, parent, without)).unwrap();
        let said = verified(&path).ended(9);
        assert!(
            said.out.contains(&format!("{file}{pointer} is null, recomputed ")),
            "{pointer}: {}",
            said.out
        );
    }
    let none = |_: &Value| Value::Null;
    std::fs::write(&path, with_value(&whole, "readings.json", "", none)).unwrap();
    let said = verified(&path).ended(9);
    assert!(said.out.contains("readings.json is null"), "{}", said.out);
    // Another version may have other figures, and is told to be another.
    let other = |_: &Value| json!("0.0.1");
    let tar = with_value(&whole, "report.json", "/machine/joulemark_version", other);
    let tar = with_value(&tar, "manifest.json", "/machine/joulemark_version", other);
    let without = |value: &Value| {
        let mut value = value.clone();
        value.as_object_mut().expect("an object").shift_remove("footprint");
        value
    };
    std::fs::write(&path, with_value(&tar, "report.json", "", without)).unwrap();
    let said = verified(&path).ended(0);
    assert!(said.out.contains("whether a figure is missing"), "{}", said.out);
}

#[tokio::test]
async fn who_may_not_read_prompts_has_neither_them_nor_tokens_and_is_told_what_was_not_checked() {
    let guarded = Guarded::start(&[]);
    let [owner, other] = ["owner", "other"].map(|name| guarded.key(name, "submitter"));
    let id = guarded.accepted(&owner, &experiment()).await;
    loop {
        let (_, shown) = guarded.get(&format!("/v1/experiments/{id}"), &owner).await;
        if shown["state"] == "completed" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let path = format!("/v1/experiments/{id}/manifest");
    let (_, of_owner) = guarded.get(&path, &owner).await;
    let (_, of_other) = guarded.get(&path, &other).await;
    assert!(of_owner.to_string().contains("my secret prompt") && of_owner["outputs"].is_object());
    assert!(!of_other.to_string().contains("my secret prompt"), "{of_other:#}");
    assert_eq!(
        (&of_other["prompts_withheld"], &of_other["outputs"]),
        (&json!(2), &Value::Null)
    );
    let (status, problem) = guarded.submit(&other, &of_other).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert_eq!(problem["errors"][0]["pointer"], "/experiment/prompts");

    let folder = tempfile::tempdir().unwrap();
    for (key, is_whole) in [(&owner, true), (&other, false)] {
        let response = guarded
            .send(Method::GET, &format!("/v1/experiments/{id}/bundle"), key, None)
            .await;
        let bytes = response.bytes().await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.contains("my secret prompt"), is_whole);
        assert_eq!(text.contains("\"output_token_ids\":[]"), !is_whole);
        let file = folder.path().join("bundle.tar");
        std::fs::write(&file, &bytes).unwrap();
        let said = verified(&file).ended(0);
        assert_eq!(
            said.out.contains("the answers: their tokens are withheld"),
            !is_whole,
            "{}",
            said.out
        );
        assert_eq!(
            said.out.contains("the prompts, which are withheld"),
            !is_whole,
            "{}",
            said.out
        );
    }
}

#[tokio::test]
async fn what_has_no_results_has_neither_manifest_nor_bundle() {
    let server = Server::start();
    let id = server
        .accepted(&json!({"model_name": "synthetic:decode_ms=60000", "prompts": ["a"], "max_output_tokens": 4}))
        .await;
    for what in ["manifest", "bundle"] {
        let (status, problem) = server.get(&format!("/v1/experiments/{id}/{what}")).await;
        assert_eq!(status, StatusCode::CONFLICT, "{problem:#}");
        let (status, _) = server
            .get(&format!("/v1/experiments/{}/{what}", uuid::Uuid::now_v7()))
            .await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    server.cancel(&id).await;
}
