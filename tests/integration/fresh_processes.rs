//! Cycles that each have a process of their own, and cycles that are measured in place of disturbed ones, through the real
//! server on the mock NVML.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::mock_nvml::MockNvml;
use crate::server::Server;
use crate::timeseries::{metering, server_with};

async fn completed(server: &Server, experiment: &Value) -> Value {
    let id = server.accepted(experiment).await;
    server.until_state(&id, "completed").await;
    server.results(&id).await
}

fn list<'a>(value: &'a Value, what: &str) -> &'a Vec<Value> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("{what} is a list: {value:#}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is a number"))
}

#[tokio::test]
async fn each_cycle_has_fresh_processes_and_their_load_is_in_no_window() {
    let server = Server::start();
    let experiment = json!({
        "model_name": "synthetic:load_ms=50,decode_ms=50", "prompts": ["one", "three"], "max_output_tokens": 12, "num_cycles": 3,
        "num_processes": 2, "warmup_iterations": 1, "idle_baseline_sec": 0, "process_per_cycle": true,
    });
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    assert_eq!(results["repetition"]["level"], "process");
    assert_eq!(results["statistics"]["output_throughput"]["n"], 3);
    let loads = list(&results["loads"], "loads");
    let of: Vec<_> = loads
        .iter()
        .map(|load| (load["cycle"].as_u64(), load["rank"].as_u64()))
        .collect();
    let expected: Vec<_> = (0..3)
        .flat_map(|cycle| [(Some(cycle), Some(0)), (Some(cycle), Some(1))])
        .collect();
    assert_eq!(of, expected);
    assert_eq!(list(&results["warm_ups"], "warm_ups").len(), 6);
    let processes = server.processes(&id).await;
    for pass in list(&processes["items"], "items") {
        let begun = number(&pass["window"]["start_monotonic_sec"]);
        let own = loads
            .iter()
            .find(|load| load["cycle"] == pass["cycle"] && load["rank"] == pass["rank"]);
        let window = &own.expect("its load")["window"];
        assert!(number(&window["end_monotonic_sec"]) <= begun, "{pass:#}");
        let later = loads
            .iter()
            .filter(|load| load["cycle"].as_u64() > pass["cycle"].as_u64());
        for load in later {
            let ended = number(&pass["window"]["end_monotonic_sec"]);
            assert!(number(&load["window"]["start_monotonic_sec"]) >= ended, "{pass:#}");
        }
        // Each of the processes is followed: its CPU time is its own.
        assert!(pass["energy"]["cpu_time_share"].is_number(), "{pass:#}");
    }
    // All three loads count, one after the other.
    assert!(
        number(&results["timing"]["load_sec"]) >= 0.15,
        "{:#}",
        results["timing"]
    );
    let again = server.accepted(&results["experiment"]).await;
    assert_eq!(server.until_state(&again, "completed").await["process_per_cycle"], true);

    let same = completed(
        &server,
        &json!({"model_name": "synthetic:", "prompts": ["a"], "num_cycles": 2}),
    )
    .await;
    assert_eq!(
        (&same["repetition"]["level"], &same["loads"][0]["cycle"]),
        (&json!("cycle"), &Value::Null)
    );
    assert_eq!(list(&same["loads"], "loads").len(), 1);
}

fn cycles_with(results: &Value, code: &str) -> Vec<u64> {
    let disturbed = list(&results["repetition"]["disturbed_cycles"], "disturbed_cycles").iter();
    let by = disturbed.filter(|cycle| {
        list(&cycle["reasons"], "reasons")
            .iter()
            .any(|reason| reason["code"] == code)
    });
    by.filter_map(|cycle| cycle["cycle"].as_u64()).collect()
}

#[tokio::test]
async fn disturbed_cycles_are_marked_and_others_are_measured_in_their_place() {
    // The compiler must not use up the seconds in which clocks are lowered.
    MockNvml::new("");
    let end_sec = joulemark_measurement::clock::Monotonic::now().as_sec() + 5.0;
    let mock = MockNvml::new(&format!("devices=1\nclock_events=0x40\nclock_events_end_sec={end_sec}"));
    let server = server_with(&mock);
    let mut experiment = metering(&[0], 500, 2);
    (experiment["repeat_disturbed"], experiment["idle_baseline_sec"]) = (json!(30), json!(0));
    let results = completed(&server, &experiment).await;
    let throttled = cycles_with(&results, "throttled");
    assert_eq!(throttled.first(), Some(&0), "{:#}", results["repetition"]);
    let repetition = &results["repetition"];
    // Of others on this host's CPUs the test knows nothing: they may disturb any cycle.
    let disturbed: BTreeSet<u64> = list(&repetition["disturbed_cycles"], "disturbed_cycles")
        .iter()
        .filter_map(|cycle| cycle["cycle"].as_u64())
        .collect();
    let cycles = list(&results["cycles"], "cycles").len();
    assert_eq!(repetition["repeated_cycles"], cycles - 2);
    assert_eq!(cycles, 2 + disturbed.len().min(30), "{repetition:#}");
    assert!(throttled.len() < cycles, "clocks were lowered for five seconds");
    let left_out = list(&repetition["left_out_of_statistics"], "left_out_of_statistics").len();
    let expected = if cycles - disturbed.len() >= 2 {
        disturbed.len()
    } else {
        0
    };
    assert_eq!(left_out, expected, "{repetition:#}");
    assert_eq!(results["statistics"]["inference_time_sec"]["n"], cycles - left_out);
    // What was left out is in the sums.
    let sum: f64 = list(&results["cycles"], "cycles")
        .iter()
        .map(|cycle| number(&cycle["inference"]["output_tokens"]))
        .sum();
    assert_eq!(results["inference"]["output_tokens"], json!(sum as u64));
}

#[tokio::test]
async fn cycles_are_marked_unasked_and_all_that_are_disturbed_are_repeated_once_at_most() {
    let mock = MockNvml::new("devices=1\nclock_events=0x40");
    let server = server_with(&mock);
    let mut experiment = metering(&[0], 500, 2);
    let plain = completed(&server, &experiment).await;
    assert_eq!(cycles_with(&plain, "throttled"), [0, 1]);
    assert_eq!(plain["repetition"]["left_out_of_statistics"], json!([]));
    assert_eq!(plain["statistics"]["inference_time_sec"]["n"], 2);
    experiment["repeat_disturbed"] = json!(1);
    experiment["process_per_cycle"] = json!(true);
    let repeated = completed(&server, &experiment).await;
    assert_eq!(cycles_with(&repeated, "throttled"), [0, 1, 2]);
    assert_eq!(repeated["repetition"]["repeated_cycles"], 1);
    assert_eq!(list(&repeated["loads"], "loads").len(), 3);
    assert_eq!(
        repeated["statistics"]["inference_time_sec"]["n"], 3,
        "there are no others"
    );
    let (status, problem) = server
        .submit(&json!({"model_name": "synthetic:", "repeat_disturbed": 1001}))
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["errors"][0]["pointer"], "/repeat_disturbed");
}
