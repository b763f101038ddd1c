use serde_json::json;

use joulemark_testkit::server::Server;
use joulemark_testkit::tiny_llama;

async fn run(experiment: serde_json::Value) -> serde_json::Value {
    let server = Server::start();
    tiny_llama::write(&server.folder.join("models/tiny"), 1);
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "completed").await;
    server.results(&id).await
}

#[tokio::test]
async fn a_folder_with_safetensors_is_run_in_float32() {
    let results = run(json!({
        "model_name": "tiny", "prompts": ["ab", "cd", "ef"], "max_output_tokens": 6, "min_output_tokens": 6,
        "num_cycles": 1, "fp_precision": "float32",
    }))
    .await;
    assert_eq!(results["inference"]["output_tokens"], 3 * 6);
    assert_eq!(results["loads"][0]["activation_dtype"], "f32");
    assert_eq!(results["loads"][0]["eos"], "ignored");
    assert_eq!(results["model"]["format"], "safetensors");
    assert!(results["compute"]["flops_total"].as_f64().unwrap() > 0.0);
    assert_eq!(results["compute"]["flops_method"], "traced", "{:#}", results["compute"]);
    assert!(results["compute"]["bytes_per_token"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn in_situ_quantization_is_honoured() {
    let results = run(json!({
        "model_name": "tiny", "prompts": ["ab"], "max_output_tokens": 4, "min_output_tokens": 4, "num_cycles": 1,
        "quantization": "q8_0",
    }))
    .await;
    assert_eq!(results["inference"]["output_tokens"], 4);
    // How the engine stores what it quantizes is unknown.
    assert_eq!(results["compute"]["bytes_per_token"], serde_json::Value::Null);
}
