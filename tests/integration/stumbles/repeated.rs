//! What the server says of an experiment, it accepts as one.

use serde_json::{Value, json};

use super::quick;
use crate::client_command::{run, run_with_input};
use crate::description::{DOCUMENT, resolved};
use crate::mock_nvml::MockNvml;
use crate::server::Server;
use crate::timeseries::server_with;

/// Keys of a spec: what `experiment` of a result has, and a shown experiment beside what the server adds.
fn of_spec() -> Vec<String> {
    let spec = resolved(&DOCUMENT, &DOCUMENT["components"]["schemas"]["Spec"]);
    spec["properties"].as_object().unwrap().keys().cloned().collect()
}

pub fn spec_of(shown: &Value) -> Value {
    let keys = of_spec();
    let object = shown.as_object().unwrap().iter();
    Value::Object(
        object
            .filter(|(key, _)| keys.contains(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    )
}

fn variants() -> Vec<Value> {
    vec![
        json!({}),
        json!({"decoder": {"do_sample": true}}),
        json!({"decoder": {"temperature": 0.1 + 0.2, "top_p": 0.9, "top_k": 5, "seed": u64::MAX}}),
        json!({"decoder": {"temperature": 7.038531e-5, "top_p": 0.017_976_931_348_623_157}}),
        json!({"decoder": {"temperature": 17.976_931_348_623_157, "repetition_penalty": 1.000_000_000_000_000_2}}),
        json!({"decoder": {"temperature": 0.0, "repetition_penalty": 1.1, "top_k": 1, "top_p": 1.0}}),
        json!({"prompts": {"dataset": "short-32"}}),
        json!({"prompts": {"synthetic": {"input_tokens": 3, "count": 2, "seed": u64::MAX}}}),
        json!({"num_processes": 2, "distribution": "replicate", "isolation": "host", "priority": -3}),
        json!({"user": "ada", "labels": {"größe": "½", "v": "1.10"}, "max_input_tokens": 2}),
        json!({"gpus": [], "gpu_count": 0, "quantization": null, "node": null, "user": null, "device": "cpu"}),
    ]
}

#[tokio::test]
async fn what_is_shown_of_an_experiment_is_accepted_and_gives_the_same_one() {
    let server = Server::start();
    for change in variants() {
        let mut experiment = quick();
        experiment
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let id = server.accepted(&experiment).await;
        let shown = spec_of(&server.until_state(&id, "completed").await);
        let again = server.accepted(&shown).await;
        assert_eq!(spec_of(&server.show(&again).await), shown, "{change}");
        let of_result = server.results(&id).await["experiment"].clone();
        let third = server.accepted(&of_result).await;
        let report = server.until_state(&third, "completed").await;
        assert_eq!(spec_of(&report), of_result, "{change}");
    }
}

#[tokio::test]
async fn an_experiment_with_gpus_is_accepted_as_it_is_shown_whether_it_named_them_or_not() {
    let mock = MockNvml::new("devices=2");
    let server = server_with(&mock);
    for change in [
        json!({"gpus": [1], "device": "cpu"}),
        json!({"gpu_count": 1, "device": "cpu"}),
        json!({"gpus": [0, 1], "device": "cuda", "num_processes": 2}),
        json!({"gpus": [], "gpu_count": 0, "device": "cpu"}),
    ] {
        let mut experiment = quick();
        experiment
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let id = server.accepted(&experiment).await;
        server.until_state(&id, "completed").await;
        let of_result = server.results(&id).await["experiment"].clone();
        let again = server.accepted(&of_result).await;
        assert_eq!(
            spec_of(&server.until_state(&again, "completed").await),
            of_result,
            "{change}"
        );
    }
    let mut none = quick();
    none.as_object_mut()
        .unwrap()
        .extend(json!({"device": "cuda", "gpu_count": 0}).as_object().unwrap().clone());
    let (status, problem) = server.submit(&none).await;
    assert!(
        status == 422 && problem["errors"][0]["pointer"] == "/gpu_count",
        "{problem:#}"
    );
}

#[tokio::test]
async fn submit_repeats_what_the_server_says_of_an_experiment() {
    let server = Server::start();
    let mut experiment = quick();
    experiment["prompts"] = json!({"dataset": "short-32", "count": 2});
    experiment["decoder"] = json!({"temperature": 0.5, "seed": 7});
    let id = server.accepted(&experiment).await;
    let shown = server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    let line = server.get(&format!("/v1/experiments/{id}/export?format=jsonl")).await.1;
    for document in [results.clone(), shown.clone(), line] {
        let said = run_with_input(
            &server.url,
            &["submit", "--quiet", "--wait", "-"],
            &document.to_string(),
        )
        .ended(0);
        let again = server.show(said.out.trim()).await;
        assert_eq!(spec_of(&again), spec_of(&shown), "of {document:#}");
    }
    let file = server.folder.join("results.json");
    let mut other = results;
    other["model"]["sha256"] = json!([{"file": "model.gguf", "sha256": "00"}, {"file": "part-2.gguf", "sha256": "11"}]);
    std::fs::write(&file, other.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let said = run(&server.url, &["submit", "--wait", file]).ended(0);
    assert!(said.errors.contains("warning: the model differs"), "{}", said.errors);
    let said = run(&server.url, &["submit", "--wait", "--strict", file]);
    assert!(
        said.code != Some(0) && said.errors.contains("model.gguf had 00") && said.errors.contains("part-2.gguf had 11"),
        "{}",
        said.errors
    );
}

#[tokio::test]
async fn strict_needs_digests_to_compare_and_says_which_it_lacks() {
    let server = Server::start();
    let results = |digests: Value| {
        json!({"experiment": {"model_name": "m.gguf"}, "validation": {}, "model": {"sha256": digests}}).to_string()
    };
    for (digests, lacks) in [
        (json!([]), "model.sha256"),
        (json!([{"file": "m.gguf", "sha256": null}]), "no digest of m.gguf"),
    ] {
        let said = run_with_input(
            &server.url,
            &["submit", "--wait", "--strict", "-"],
            &results(digests.clone()),
        )
        .ended(2);
        assert!(
            said.errors.contains(lacks) && said.errors.contains("--strict"),
            "{}",
            said.errors
        );
        // The model is not there: what is looked at is what was said before.
        let said = run_with_input(&server.url, &["submit", "--wait", "-"], &results(digests)).ended(2);
        assert!(
            said.errors.contains("warning: ") && said.errors.contains(lacks),
            "{}",
            said.errors
        );
    }
}

#[tokio::test]
async fn a_line_of_an_export_keeps_the_node_that_was_asked_for() {
    let server = Server::start_with(&[
        "--allow-synthetic-engine",
        "--node-name",
        "box",
        "--node-label",
        "rack=7",
    ]);
    let mut experiment = quick();
    experiment["prompts"] = json!({"dataset": "short-32", "count": 1});
    experiment["node"] = json!("box");
    experiment["node_labels"] = json!({"rack": "7"});
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "completed").await;
    let line = server.get(&format!("/v1/experiments/{id}/export?format=jsonl")).await.1;
    assert_eq!(
        (&line["node"], &line["node_labels"]),
        (&json!("box"), &json!({"rack": "7"}))
    );
    let said = run_with_input(&server.url, &["submit", "--quiet", "-"], &line.to_string()).ended(0);
    let again = server.show(said.out.trim()).await;
    assert_eq!(
        (&again["node"], &again["node_labels"]),
        (&json!("box"), &json!({"rack": "7"}))
    );
}

#[tokio::test]
async fn an_experiment_whose_prompts_are_left_out_is_not_repeated_without_them() {
    let server = Server::start();
    let id = server.accepted(&quick()).await;
    let mut shown = server.until_state(&id, "completed").await;
    let line = server.get(&format!("/v1/experiments/{id}/export?format=jsonl")).await.1;
    shown["prompts"] = json!([]);
    shown["prompts_withheld"] = json!(2);
    for document in [shown, line] {
        let said = run_with_input(&server.url, &["submit", "-"], &document.to_string()).ended(2);
        assert!(said.errors.contains("omits 2 prompts"), "{}", said.errors);
    }
}

#[tokio::test]
async fn the_example_is_accepted_as_it_is_printed_and_stands_for_the_defaults() {
    let server = Server::start();
    let said = run(&server.url, &["example"]).ended(0);
    let model = "model_name: SmolLM2-135M-Instruct.Q4_1.gguf";
    assert!(said.out.contains(model), "{}", said.out);
    let example = said.out.replace(model, "model_name: 'synthetic:'");
    let said = run_with_input(&server.url, &["submit", "--quiet", "-"], &example).ended(0);
    let shown = server.show(said.out.trim()).await;
    let plain = server.accepted(&json!({"model_name": "synthetic:"})).await;
    assert_eq!(spec_of(&shown), spec_of(&server.show(&plain).await));
    for id in [said.out.trim(), &plain] {
        server.cancel(id).await;
    }
}

#[tokio::test]
async fn what_is_not_there_is_named_in_plain_words() {
    let server = Server::start();
    let said = run(&server.url, &["status", "abc"]).ended(2);
    assert!(said.errors.contains("`abc` is not an experiment id"), "{}", said.errors);
    let missing = server.folder.join("nothere.db");
    let url = format!("sqlite://{}", missing.display());
    let said = run(&server.url, &["db", "check", "--database-url", &url]).ended(1);
    let expected = format!("{} does not exist", missing.display());
    assert!(said.errors.contains(&expected) && !missing.exists(), "{}", said.errors);
}
