//! How much memory an experiment took, through the real server and its workers.

use serde_json::{Value, json};

use crate::mock_nvml::MockNvml;
use crate::server::Server;
use crate::timeseries::server_with;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

fn bytes(figures: &Value, name: &str) -> u64 {
    figures[name].as_u64().unwrap_or_else(|| panic!("{name}: {figures:#}"))
}

#[tokio::test]
async fn peaks_of_memory_are_told_of_each_rank_and_of_all_together() {
    let mock = MockNvml::new("devices=2\nmemory_used_gib=3,5");
    let server = server_with(&mock);
    let experiment = json!({
        "model_name": "synthetic:decode_ms=20,memory_mb=96", "prompts": ["a", "b"], "max_output_tokens": 50,
        "device": "cpu", "gpus": [0, 1], "num_processes": 2, "num_cycles": 2, "warmup_iterations": 0,
    });
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "completed").await;
    let processes = server.processes(&id).await;
    for rank in processes["items"].as_array().expect("a list") {
        let own = if rank["rank"] == 0 { 3 } else { 5 };
        assert_eq!(bytes(&rank["inference"], "peak_gpu_memory_bytes"), own * GIB);
        let host = bytes(&rank["inference"], "peak_host_memory_bytes");
        assert!((96 * MIB..GIB).contains(&host), "{host}");
    }
    let results = server.results(&id).await;
    let all = &results["inference"];
    assert_eq!(bytes(all, "peak_gpu_memory_bytes"), 8 * GIB);
    assert!(bytes(all, "peak_host_memory_bytes") >= 2 * 96 * MIB, "{all:#}");
    let of_cycles = results["cycles"].as_array().expect("a list").iter();
    let most = of_cycles
        .map(|cycle| bytes(&cycle["inference"], "peak_host_memory_bytes"))
        .max();
    assert_eq!(most, Some(bytes(all, "peak_host_memory_bytes")));
}

#[tokio::test]
async fn without_a_gpu_its_memory_is_unknown_and_a_warning_says_why() {
    let server = Server::start();
    let quick = json!({"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 2});
    let id = server.accepted(&quick).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    assert_eq!(results["inference"]["peak_gpu_memory_bytes"], Value::Null);
    let warnings = results["validation"]["warnings"].as_array().expect("a list");
    let told = |warning: &Value| warning["message"] == "peak_gpu_memory_bytes: no GPU was leased";
    assert!(warnings.iter().any(told), "{warnings:#?}");
}
