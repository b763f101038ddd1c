//! Cycles that wait for their GPUs to cool, through the real server on the mock NVML.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::mock_nvml::MockNvml;
use crate::timeseries::server_with;

fn experiment(bound_c: u32, max_cooling_sec: u32) -> Value {
    json!({
        "model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 4, "device": "cpu", "gpus": [0, 1], "num_cycles": 2,
        "warmup_iterations": 0, "idle_baseline_sec": 0, "start_below_temperature_c": bound_c,
        "max_cooling_sec": max_cooling_sec,
    })
}

fn warned(results: &Value) -> Vec<&str> {
    let warnings = results["validation"]["warnings"].as_array().expect("a list").iter();
    let cold = warnings.filter(|warning| warning["code"] == "not_cooled");
    cold.map(|warning| warning["message"].as_str().expect("a text"))
        .collect()
}

#[tokio::test]
async fn each_cycle_waits_for_the_warmest_board_and_the_wait_is_no_overhead() {
    // It is below 60 degrees ten seconds after the driver's library was opened.
    let mock = MockNvml::new("devices=2\ntemperature=40,100:-4");
    let server = server_with(&mock);
    let id = server.accepted(&experiment(60, 300)).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    let starts = results["cycle_starts"].as_array().expect("a list");
    assert_eq!(starts.len(), 2);
    for (cycle, start) in starts.iter().enumerate() {
        assert_eq!((&start["cycle"], &start["is_below"]), (&json!(cycle), &json!(true)));
        let temperature = start["temperature_c"].as_u64().expect("known");
        assert!((41..60).contains(&temperature), "{start}");
    }
    let waited = |cycle: usize| starts[cycle]["waited_sec"].as_f64().expect("a number");
    assert!(waited(0) > waited(1), "the board cools once: {starts:#?}");
    let told = results["timing"]["cooldown_sec"].as_f64().expect("a number");
    assert!((told - waited(0) - waited(1)).abs() < 1e-9);
    assert_eq!(warned(&results), [""; 0]);
}

#[tokio::test]
async fn a_board_that_stays_warm_or_does_not_tell_is_measured_all_the_same_and_named() {
    let warm = MockNvml::new("devices=2\ntemperature=40,80");
    let server = server_with(&warm);
    let id = server.accepted(&experiment(60, 1)).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    for start in results["cycle_starts"].as_array().expect("a list") {
        assert_eq!(
            (&start["temperature_c"], &start["is_below"]),
            (&json!(80), &json!(false))
        );
        assert!(start["waited_sec"].as_f64().is_some_and(|sec| sec >= 1.0), "{start}");
    }
    let [message] = warned(&results)[..] else {
        panic!("one warning: {results:#}")
    };
    assert!(
        message.contains("cycle 0 at 80 °C after") && message.contains("1 at 80 °C"),
        "{message}"
    );

    let silent = MockNvml::new("devices=2\ntemperature=none");
    let server = server_with(&silent);
    let id = server.accepted(&experiment(60, 3600)).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    assert_eq!(results["cycle_starts"][0]["temperature_c"], Value::Null);
    assert!(
        warned(&results)[0].contains("does not report"),
        "{:?}",
        warned(&results)
    );

    let mut without = experiment(60, 1);
    without.as_object_mut().expect("an object").remove("gpus");
    let (status, problem) = server.submit(&without).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        problem["errors"][0]["pointer"], "/start_below_temperature_c",
        "{problem:#}"
    );
}
