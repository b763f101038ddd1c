use serde_json::{Value, json};

use joulemark_testkit::fake_engine;
use joulemark_worker::protocol;

use crate::models::{MODEL, models_dir};
use crate::server::Server;
use crate::tiny_llama;

/// What is put over a good submission, and the field that must be named.
fn cases() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"model_name": null}), "/model_name"),
        (json!({"model_name": ""}), "/model_name"),
        (json!({"model_name": 7}), "/model_name"),
        (json!({"model_name": "nowhere.gguf"}), "/model_name"),
        (json!({"model_name": "../secret.gguf"}), "/model_name"),
        (json!({"model_name": "/etc/passwd"}), "/model_name"),
        (json!({"model_name": "a\u{0}b"}), "/model_name"),
        (json!({"model_name": "meta-llama/Llama-2-7b-hf"}), "/model_name"),
        (json!({"model_name": "synthetic:speed=1"}), "/model_name"),
        (json!({"config_name": ""}), "/config_name"),
        (json!({"config_name": "x".repeat(501)}), "/config_name"),
        (json!({"idle_baseline_sec": 61}), "/idle_baseline_sec"),
        (json!({"priority": 101}), "/priority"),
        (json!({"priority": 0.5}), "/priority"),
        (json!({"user": ""}), "/user"),
        (json!({"user": "x".repeat(101)}), "/user"),
        (json!({"isolation": "room"}), "/isolation"),
        (json!({"gpu_count": -1}), "/gpu_count"),
        (json!({"gpu_count": 2, "device": "cpu"}), "/gpu_count"),
        (json!({"gpus": [0], "gpu_count": 2, "device": "cpu"}), "/gpu_count"),
        (json!({"node": "nowhere"}), "/node"),
        (json!({"node_labels": {"rack": 7}}), "/node_labels/rack"),
        (json!({"node_labels": {"rack": "7"}}), "/node_labels"),
        (json!({"prompts": "hello"}), "/prompts"),
        (json!({"prompts": []}), "/prompts"),
        (json!({"prompts": ["fine", 3]}), "/prompts/1"),
        (json!({"prompts": ["   "]}), "/prompts/0"),
        (json!({"prompts": {}}), "/prompts"),
        (json!({"prompts": {"dataset": "no-such-set"}}), "/prompts/dataset"),
        (
            json!({"prompts": {"dataset": "short-32", "count": 33}}),
            "/prompts/count",
        ),
        (
            json!({"prompts": {"dataset": "short-32", "count": 0}}),
            "/prompts/count",
        ),
        (json!({"prompts": {"dataset": "short-32", "n": 3}}), "/prompts/n"),
        (
            json!({"prompts": {"synthetic": {"input_tokens": 8, "count": 1}}}),
            "/prompts/synthetic/seed",
        ),
        (
            json!({"prompts": {"synthetic": {"input_tokens": 0, "count": 1, "seed": 1}}}),
            "/prompts/synthetic/input_tokens",
        ),
        (
            json!({"prompts": {"synthetic": {"input_tokens": 8, "count": 1, "seed": -1}}}),
            "/prompts/synthetic/seed",
        ),
        (
            json!({"prompts": {"synthetic": {"input_tokens": 100_000, "count": 1, "seed": 1}}}),
            "/prompts/synthetic/input_tokens",
        ),
        (json!({"raw_prompt": "yes"}), "/raw_prompt"),
        (json!({"max_input_tokens": 0}), "/max_input_tokens"),
        (json!({"max_input_tokens": 100_000}), "/max_input_tokens"),
        (json!({"max_output_tokens": 0}), "/max_output_tokens"),
        (json!({"max_output_tokens": -4}), "/max_output_tokens"),
        (json!({"max_output_tokens": 1.5}), "/max_output_tokens"),
        (json!({"max_output_tokens": "32"}), "/max_output_tokens"),
        (json!({"max_output_tokens": 1_000_000}), "/max_output_tokens"),
        (
            json!({"max_output_tokens": 4, "min_output_tokens": 5}),
            "/min_output_tokens",
        ),
        (json!({"decoder": "greedy"}), "/decoder"),
        (json!({"decoder": {"temperature": -1}}), "/decoder/temperature"),
        (json!({"decoder": {"temperature": "hot"}}), "/decoder/temperature"),
        (
            json!({"decoder": {"temperature": 0, "do_sample": true}}),
            "/decoder/do_sample",
        ),
        (
            json!({"decoder": {"temperature": 0.7, "do_sample": false}}),
            "/decoder/temperature",
        ),
        (json!({"decoder": {"top_p": 1.5, "temperature": 1}}), "/decoder/top_p"),
        (json!({"decoder": {"top_p": 0.9}}), "/decoder/top_p"),
        (json!({"decoder": {"min_p": 1.5, "temperature": 1}}), "/decoder/min_p"),
        (json!({"decoder": {"min_p": 0.1}}), "/decoder/min_p"),
        (
            json!({"decoder": {"no_repeat_ngram_size": -1}}),
            "/decoder/no_repeat_ngram_size",
        ),
        (json!({"decoder": {"top_k": 0, "temperature": 1}}), "/decoder/top_k"),
        (json!({"decoder": {"seed": 1}}), "/decoder/seed"),
        (
            json!({"decoder": {"repetition_penalty": 0}}),
            "/decoder/repetition_penalty",
        ),
        (json!({"decoder": {"beams": 4}}), "/decoder/beams"),
        (json!({"num_processes": 0}), "/num_processes"),
        (json!({"num_processes": 1000}), "/num_processes"),
        (json!({"num_processes": 2, "prompts": ["only one"]}), "/prompts"),
        (json!({"gpus": {}}), "/gpus"),
        (json!({"gpus": "all"}), "/gpus"),
        (json!({"gpus": [0]}), "/gpus/0"),
        (json!({"gpus": ["GPU-00000000-0000-0000-0000-000000000000"]}), "/gpus/0"),
        (json!({"gpus": [-1]}), "/gpus/0"),
        (json!({"gpus": [1, 1]}), "/gpus/1"),
        (json!({"device": "tpu"}), "/device"),
        (json!({"device": "cuda"}), "/device"),
        (json!({"distribution": "random"}), "/distribution"),
        (json!({"fp_precision": "float8"}), "/fp_precision"),
        (json!({"fp_precision": "float16"}), "/fp_precision"),
        (
            json!({"model_name": "tiny", "fp_precision": "bfloat16"}),
            "/fp_precision",
        ),
        (json!({"quantization": "q9"}), "/quantization"),
        (json!({"quantization": "q4k"}), "/quantization"),
        (json!({"batch_size": 0}), "/batch_size"),
        (json!({"warmup_iterations": -1}), "/warmup_iterations"),
        (json!({"num_cycles": 0}), "/num_cycles"),
        (json!({"labels": ["a"]}), "/labels"),
        (json!({"labels": {"team": 4}}), "/labels/team"),
        (json!({"max_new_tokens": 4}), "/max_new_tokens"),
    ]
}

#[tokio::test]
async fn every_bad_submission_is_refused_with_a_problem_that_names_the_field() {
    let models = tempfile::tempdir().unwrap();
    tiny_llama::write(&models.path().join("tiny"), 1);
    std::fs::copy(format!("{}/{MODEL}", models_dir()), models.path().join(MODEL)).unwrap();
    // So that a model is not refused for want of an engine alone.
    let engines = tempfile::tempdir().unwrap();
    fake_engine::write(engines.path(), protocol::VERSION);
    let (folder, engine_dir) = (
        models.path().display().to_string(),
        engines.path().display().to_string(),
    );
    let server = Server::start_with(&[
        "--models-dir",
        &folder,
        "--engine-dir",
        &engine_dir,
        "--allow-synthetic-engine",
    ]);
    assert!(cases().len() >= 40);
    for (change, pointer) in cases() {
        let mut experiment = json!({"model_name": MODEL, "prompts": ["hello"], "max_output_tokens": 8});
        experiment
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let (status, problem) = server.submit(&experiment).await;
        assert!(status.is_client_error(), "{change}: {status} {problem:#}");
        let named = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .find(|error| error["pointer"] == pointer);
        let detail =
            named.unwrap_or_else(|| panic!("{change}: {pointer} is not named in {problem:#}"))["detail"].clone();
        assert!(
            detail.as_str().unwrap().len() > 20,
            "{change}: {detail} does not say what is accepted"
        );
    }
    assert_eq!(
        server.get("/v1/experiments").await.1["items"],
        json!([]),
        "nothing refused is kept"
    );
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused() {
    let server = Server::start_with(&["--max-body-bytes", "1000"]);
    for (content_type, body, status) in [
        ("application/json", "{".to_owned(), 400),
        ("application/json", String::new(), 400),
        (
            "application/json",
            r#"{"model_name": "a", "model_name": "b"}"#.to_owned(),
            400,
        ),
        ("application/yaml", "a: [".to_owned(), 400),
        ("application/yaml", "model_name: a\nmodel_name: b\n".to_owned(), 400),
        ("application/json", "[]".to_owned(), 422),
        ("text/plain", "{}".to_owned(), 415),
        ("application/x-www-form-urlencoded", "{}".to_owned(), 415),
        (
            "application/json",
            format!("{{\"model_name\": \"{}\"}}", "x".repeat(2000)),
            413,
        ),
    ] {
        let response = server.post("/v1/experiments", content_type, body.clone()).await;
        assert_eq!(response.status().as_u16(), status, "{content_type} {body}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{body}");
    }
}

#[tokio::test]
async fn a_link_that_leaves_the_models_folder_is_refused() {
    let server = Server::start();
    std::os::unix::fs::symlink(
        format!("{}/{MODEL}", models_dir()),
        server.folder.join("models/link.gguf"),
    )
    .unwrap();
    let (status, problem) = server.submit(&json!({"model_name": "link.gguf"})).await;
    assert_eq!(status.as_u16(), 422);
    assert_eq!(problem["errors"][0]["pointer"], "/model_name");
}
