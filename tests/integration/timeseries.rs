//! Devices over time through the real server, on the mock NVML.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::mock_nvml::{MockNvml, uuid};
use crate::server::Server;

/// A server that sees the mock's GPUs and samples every 50 ms.
pub fn server_with(mock: &MockNvml) -> Server {
    let library = mock.library();
    let library = library.to_str().expect("a path");
    Server::start_with(&[
        "--allow-synthetic-engine",
        "--nvml-lib",
        library,
        "--sample-interval-ms",
        "50",
    ])
}

/// Runs on the CPU for `cycle_ms` a cycle and leases `gpus`.
pub fn metering(gpus: &[u32], cycle_ms: u32, num_cycles: u32) -> Value {
    json!({
        "model_name": "synthetic:decode_ms=50", "prompts": ["a"], "max_output_tokens": cycle_ms / 50, "device": "cpu",
        "gpus": gpus, "num_cycles": num_cycles, "warmup_iterations": 0,
    })
}

async fn timeseries(server: &Server, id: &str, query: &str) -> Value {
    let (status, body) = server.get(&format!("/v1/experiments/{id}/timeseries{query}")).await;
    assert_eq!(status, StatusCode::OK, "{body:#}");
    body
}

fn points(item: &Value) -> &Vec<Value> {
    item["points"].as_array().expect("points")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Power times the time since the point before, as far as that lies in the window.
fn energy_j(series: &Value, item: &Value, window: &Value) -> f64 {
    let (start, end) = (
        number(&window["start_monotonic_sec"]),
        number(&window["end_monotonic_sec"]),
    );
    let mut since = number(&series["window"]["start_monotonic_sec"]);
    let mut sum = 0.0;
    for point in points(item) {
        let at = number(&point["at_monotonic_sec"]);
        sum += number(&point["power_w"]) * (at.min(end) - since.max(start)).max(0.0);
        since = at;
    }
    sum
}

#[tokio::test]
async fn power_over_time_adds_up_to_the_energy_of_each_cycle_at_every_resolution() {
    let mock = MockNvml::new("devices=2\nshape=step:100:300:0.9,sine:200:90:1.3");
    let server = server_with(&mock);
    let id = server.accepted(&metering(&[1, 0], 2000, 2)).await;
    server.until_state(&id, "completed").await;
    let (fine, coarse) = (
        timeseries(&server, &id, "").await,
        timeseries(&server, &id, "?resolution_ms=400").await,
    );
    let gpus = |series: &Value| series["items"].as_array().unwrap()[..2].to_vec();
    for (item, device) in gpus(&fine).iter().zip([1, 0]) {
        assert_eq!(
            (&item["gpu"], &item["gpu_uuid"]),
            (&json!(device), &json!(uuid(device))),
            "as they were asked for"
        );
    }
    for cycle in server.processes(&id).await["items"].as_array().unwrap() {
        let sum: f64 = gpus(&fine)
            .iter()
            .map(|item| energy_j(&fine, item, &cycle["window"]))
            .sum();
        let read = number(&cycle["energy"]["gpu_energy_j"]);
        assert!((sum - read).abs() < 0.02 * read, "{sum} J over time, {read} J read");
    }
    assert_eq!(
        (&fine["resolution_ms"], &coarse["resolution_ms"]),
        (&Value::Null, &json!(400))
    );
    for (fine_item, coarse_item) in gpus(&fine).iter().zip(gpus(&coarse)) {
        let whole = |series, item| energy_j(series, item, &fine["window"]);
        let (fine_j, coarse_j) = (whole(&fine, fine_item), whole(&coarse, &coarse_item));
        assert!((fine_j - coarse_j).abs() < 0.001 * fine_j, "{fine_j} {coarse_j}");
        assert!(
            points(fine_item).len() > 4 * points(&coarse_item).len(),
            "{}",
            points(fine_item).len()
        );
    }
}

#[tokio::test]
async fn a_point_shows_what_the_gpu_tells_and_null_for_what_it_does_not() {
    let mock = MockNvml::new("devices=2\nclock_events=0x45\ntemperature=61,none\npids=none\nmemory_used_gib=3");
    let server = server_with(&mock);
    let id = server.accepted(&metering(&[0, 1], 1000, 1)).await;
    server.until_state(&id, "completed").await;
    let series = timeseries(&server, &id, "").await;
    let told = &points(&series["items"][0])[10];
    let expected = json!({
        "at_monotonic_sec": told["at_monotonic_sec"], "power_w": told["power_w"], "utilisation_percent": 87.0,
        "temperature_c": 61.0, "sm_clock_mhz": 1410.0, "memory_clock_mhz": 1593.0, "memory_used_bytes": 3_221_225_472.0_f64,
        "power_limit_w": 400.0, "throttle_reasons": ["gpu_idle", "sw_power_cap", "hw_thermal_slowdown"],
    });
    assert_eq!(told, &expected);
    assert!((number(&told["power_w"]) - 200.0).abs() < 2.0, "{told}");
    let untold = &points(&series["items"][1])[10];
    assert_eq!(
        (&untold["temperature_c"], &untold["sm_clock_mhz"]),
        (&Value::Null, &json!(1410.0))
    );
    assert_eq!(series["sample_interval_ms"], 50.0);
    let cpu = series["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["gpu"].is_null())
        .expect("the host's CPUs");
    assert!(
        cpu["zone"].is_string() && points(cpu).iter().any(|point| point["power_w"].is_number()),
        "{cpu:#}"
    );
}

#[tokio::test]
async fn a_running_experiment_s_series_grows_and_a_cancelled_one_s_stays() {
    let mock = MockNvml::new("devices=1");
    let server = server_with(&mock);
    let id = server.accepted(&metering(&[0], 60_000, 1)).await;
    let waiting = server.accepted(&metering(&[0], 1000, 1)).await;
    server.until_state(&id, "measuring").await;
    let first = timeseries(&server, &id, "").await;
    assert_eq!(first["state"], "measuring");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let second = timeseries(&server, &id, "").await;
    let (before, after) = (points(&first["items"][0]).len(), points(&second["items"][0]).len());
    assert!(after >= before + 5, "{before} {after}");

    let (status, problem) = server.get(&format!("/v1/experiments/{waiting}/timeseries")).await;
    assert_eq!(
        (status, &problem["state"]),
        (StatusCode::CONFLICT, &json!("queued")),
        "{problem:#}"
    );
    server.cancel(&waiting).await;
    let (status, problem) = server.get(&format!("/v1/experiments/{waiting}/timeseries")).await;
    assert_eq!(
        (status, &problem["state"]),
        (StatusCode::CONFLICT, &json!("cancelled")),
        "{problem:#}"
    );

    server.cancel(&id).await;
    let last = timeseries(&server, &id, "").await;
    assert_eq!(last["state"], "cancelled");
    assert!(points(&last["items"][0]).len() >= after);
    assert_eq!(timeseries(&server, &id, "").await, last, "it stands still");
}

#[tokio::test]
async fn a_resolution_that_cannot_be_is_refused_by_its_name() {
    let mock = MockNvml::new("devices=1");
    let server = server_with(&mock);
    let id = server.accepted(&metering(&[0], 200, 1)).await;
    server.until_state(&id, "completed").await;
    for (resolution, accepted) in [
        ("49", "50 ms"),
        ("0", "50 ms"),
        ("-5", "whole number"),
        ("soon", "whole number"),
    ] {
        let (status, problem) = server
            .get(&format!("/v1/experiments/{id}/timeseries?resolution_ms={resolution}"))
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{resolution}");
        assert_eq!(problem["errors"][0]["pointer"], "resolution_ms", "{problem:#}");
        assert!(problem["detail"].as_str().unwrap().contains(accepted), "{problem:#}");
    }
    assert_eq!(timeseries(&server, &id, "?resolution_ms=50").await["resolution_ms"], 50);
    let unknown = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11";
    for (path, expected) in [
        (format!("/v1/experiments/{unknown}/timeseries"), StatusCode::NOT_FOUND),
        (
            format!("/v1/experiments/{id}/timeseries?step=5"),
            StatusCode::BAD_REQUEST,
        ),
    ] {
        assert_eq!(server.get(&path).await.0, expected, "{path}");
    }
}
