//! Two experiments that run at once, each on a GPU of its own, through the server's whole path: each gets exactly its
//! GPU's energy, and what they get of the host is never more than there was.

use joulemark_measurement::Window;
use serde_json::{Value, json};

use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::nvml::{MockNvml, truth, uuid};
use crate::server::Server;

const GPU_SHAPES: [&str; 2] = ["square:90:310:0.7", "sine:200:80:1.9"];

fn on_gpu(gpu: u32) -> Value {
    json!({
        "config_name": format!("on GPU {gpu}"), "model_name": "synthetic:prefill_ms=30,decode_ms=10,busy_ms=10",
        "prompts": ["one", "two", "three"], "max_output_tokens": 20, "device": "cuda", "gpus": [gpu], "num_cycles": 2,
        "warmup_iterations": 0, "idle_baseline_sec": 0,
    })
}

fn window_of(entry: &Value) -> Window {
    serde_json::from_value(entry["window"].clone()).expect("each entry has its window")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

async fn entries(server: &Server, id: &str) -> Vec<Value> {
    let items = server.processes(id).await["items"].clone();
    items.as_array().expect("entries").clone()
}

#[tokio::test]
async fn two_experiments_at_once_on_two_gpus_get_their_own_gpu_and_no_more_than_the_host_together() {
    let mock = MockNvml::new(&format!("devices=2\nrefresh_ms=50\nshape={}", GPU_SHAPES.join(",")));
    let tree = FakePowercap::start(vec![
        FakeZone::new("intel-rapl:0", "package-0", "square:60:120:1.1"),
        FakeZone::new("intel-rapl:0:0", "dram", "constant:15"),
    ]);
    let (library, root) = (mock.library(), tree.root());
    let server = Server::start_with(&[
        "--allow-synthetic-engine",
        "--nvml-lib",
        library.to_str().unwrap(),
        "--rapl-root",
        root.to_str().unwrap(),
    ]);
    let ids = [server.accepted(&on_gpu(0)).await, server.accepted(&on_gpu(1)).await];
    for id in &ids {
        server.until_state(id, "completed").await;
    }
    let of = [entries(&server, &ids[0]).await, entries(&server, &ids[1]).await];
    for (gpu, entries) in (0..).zip(&of) {
        assert_eq!(entries.len(), 2, "one rank in two cycles");
        for entry in entries {
            let (window, energy) = (window_of(entry), &entry["energy"]);
            assert_eq!(entry["gpus"], json!([uuid(gpu)]));
            let expected_j = truth(GPU_SHAPES[gpu as usize], &window);
            let gpu_j = number(&energy["gpu_energy_j"]);
            let stated_j = energy["sources"].as_array().unwrap().iter().find(|s| s["gpu"] == gpu);
            let stated_j = number(&stated_j.expect("its own GPU")["uncertainty_j"]);
            assert!(
                (gpu_j - expected_j).abs() < (0.01 * expected_j).max(2.0 * stated_j),
                "{gpu_j} ± {stated_j} for {expected_j}"
            );
            assert!(number(&energy["cpu_energy_j"]) > 0.0, "it computed: {energy:#}");
        }
    }
    let windows = of.iter().flatten().map(window_of).collect::<Vec<_>>();
    assert!(
        of[0]
            .iter()
            .any(|a| of[1].iter().any(|b| overlap_sec(&window_of(a), &window_of(b)) > 0.5)),
        "they ran at once: {windows:?}"
    );
    for (key, zone) in [("cpu_energy_j", 0), ("dram_energy_j", 1)] {
        let given_j: f64 = of.iter().flatten().map(|entry| number(&entry["energy"][key])).sum();
        let there_j: f64 = merged(&windows)
            .iter()
            .map(|window| tree.zones[zone].truth_j(window.start_monotonic_sec, window.end_monotonic_sec))
            .sum();
        assert!(given_j > 0.0 && given_j <= there_j, "{key}: {given_j} of {there_j}");
    }
}

fn overlap_sec(a: &Window, b: &Window) -> f64 {
    a.end_monotonic_sec.min(b.end_monotonic_sec) - a.start_monotonic_sec.max(b.start_monotonic_sec)
}

/// The stretches in which at least one of them ran.
fn merged(windows: &[Window]) -> Vec<Window> {
    let mut sorted = windows.to_vec();
    sorted.sort_by(|a, b| a.start_monotonic_sec.total_cmp(&b.start_monotonic_sec));
    let mut merged: Vec<Window> = Vec::new();
    for window in sorted {
        match merged.last_mut() {
            Some(last) if window.start_monotonic_sec <= last.end_monotonic_sec => {
                last.end_monotonic_sec = last.end_monotonic_sec.max(window.end_monotonic_sec);
            }
            _ => merged.push(window),
        }
    }
    merged
}
