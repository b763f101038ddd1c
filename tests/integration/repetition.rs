//! What a result says of repetition, in JSON, in exports and to people.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::Server;

#[tokio::test]
async fn a_result_has_intervals_over_cycles_and_percentiles_over_requests() {
    let server = Server::start();
    let experiment = json!({
        "model_name": "synthetic:prefill_ms=4,decode_ms=1", "prompts": ["one", "two", "three"], "max_output_tokens": 6,
        "min_output_tokens": 6, "num_cycles": 6, "warmup_iterations": 0, "idle_baseline_sec": 0,
    });
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    let of = &results["statistics"]["mean_ttft_ms"];
    let number = |name: &str| of[name].as_f64().unwrap_or_else(|| panic!("{name}: {of:#}"));
    assert_eq!((&of["n"], &of["ci_method"]), (&json!(6), &json!("student_t")));
    let cycles = results["cycles"].as_array().expect("a list");
    let ttft: Vec<f64> = cycles
        .iter()
        .map(|cycle| cycle["inference"]["mean_ttft_ms"].as_f64().expect("known"))
        .collect();
    let mean = ttft.iter().sum::<f64>() / 6.0;
    assert!((number("mean") - mean).abs() < 1e-9);
    assert!(number("ci_low") < mean && mean < number("ci_high"));
    assert!(number("min") <= number("median") && number("median") <= number("max"));
    // Six cycles have an interval of the median, from end to end.
    assert_eq!(
        (number("median_ci_low"), number("median_ci_high")),
        (number("min"), number("max"))
    );
    assert!((number("standard_deviation") - results["cycle_sd"]["mean_ttft_ms"].as_f64().expect("known")).abs() < 1e-9);
    assert_eq!(of["instrument_uncertainty"], Value::Null, "no energy is in it");
    let energy = &results["statistics"]["total_energy_j"];
    if results["energy"]["total_energy_uncertainty_j"].is_number() {
        assert!(energy["instrument_uncertainty"].is_number(), "{energy:#}");
    }
    let p99 = &results["request_percentiles"]["p99_ttft_ms"];
    assert_eq!((&p99["requests"], &p99["ci_high"]), (&json!(18), &Value::Null));
    assert!(
        p99["note"]
            .as_str()
            .is_some_and(|note| note.contains("ci_high needs 368")),
        "{p99:#}"
    );
    assert_eq!(p99["value"], results["inference"]["p99_ttft_ms"]);
    for name in [
        "median_ttft_ms",
        "p90_tpot_ms",
        "mean_e2e_ms",
        "p99_e2e_ms",
        "p90_itl_ms",
    ] {
        assert!(results["inference"][name].as_f64().is_some_and(|ms| ms > 0.0), "{name}");
    }
    let (_, export) = server.get("/v1/experiments/export?format=jsonl").await;
    let row = match export {
        Value::Array(rows) => rows[0].clone(),
        row => row,
    };
    assert_eq!(row["mean_ttft_ms_ci_low"], of["ci_low"]);
    for name in ["joules_per_output_token", "cpu_energy_j"] {
        for end in ["combined_low", "combined_high"] {
            let (column, of) = (&row[format!("{name}_{end}")], &results["statistics"][name][end]);
            assert!(
                row.get(format!("{name}_{end}")).is_some() && column == of,
                "{name}: {column} is not {of}"
            );
        }
    }
    assert_eq!(row["p90_e2e_ms"], results["inference"]["p90_e2e_ms"]);
}

fn warmed_up(warmup: Value) -> Value {
    json!({
        "model_name": "synthetic:decode_ms=2", "prompts": ["one", "two"], "max_output_tokens": 6, "min_output_tokens": 6,
        "num_cycles": 2, "warmup_iterations": 1, "idle_baseline_sec": 0, "warmup": warmup,
    })
}

#[tokio::test]
async fn a_warm_up_goes_on_until_it_is_steady_or_says_that_it_was_not() {
    let server = Server::start();
    let steady = json!({"until": "steady", "cv": 1.0, "window": 3, "max_iterations": 40});
    let id = server.accepted(&warmed_up(steady.clone())).await;
    let shown = server.until_state(&id, "completed").await;
    assert_eq!(shown["warmup"], steady);
    let results = server.results(&id).await;
    let warm_up = &results["warm_ups"][0];
    assert_eq!((&warm_up["rank"], &warm_up["ended"]), (&json!(0), &json!("steady")));
    let iterations = warm_up["iterations"].as_u64().expect("a number");
    assert!((3..40).contains(&iterations), "{warm_up:#}");
    assert_eq!(
        warm_up["iteration_sec"].as_array().map(Vec::len),
        Some(iterations as usize)
    );
    let codes = |results: &Value| results["validation"]["warnings"].to_string();
    assert!(!codes(&results).contains("not_steady") && !codes(&results).contains("few_warmups"));

    let never = json!({"cv": 1e-12, "window": 2, "max_iterations": 4});
    let id = server.accepted(&warmed_up(never)).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    let warm_up = &results["warm_ups"][0];
    assert_eq!(
        (&warm_up["iterations"], &warm_up["ended"]),
        (&json!(4), &json!("max_iterations"))
    );
    assert!(codes(&results).contains("not_steady"));

    for (wrong, pointer) in [
        (json!({"cv": 0}), "/warmup/cv"),
        (json!({"until": "warm"}), "/warmup/until"),
        (json!({"windows": 3}), "/warmup/windows"),
        (json!({"window": 5, "max_iterations": 4}), "/warmup/max_iterations"),
        (json!("steady"), "/warmup"),
    ] {
        let (status, body) = server.submit(&warmed_up(wrong.clone())).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert_eq!(body["errors"][0]["pointer"], pointer, "{body:#}");
    }
}

#[tokio::test]
async fn workers_rest_between_cycles_and_the_rest_is_no_overhead() {
    let server = Server::start();
    let mut cooled = warmed_up(Value::Null);
    cooled["cooldown_sec"] = json!(1);
    let id = server.accepted(&cooled).await;
    server.until_state(&id, "completed").await;
    let items = server.processes(&id).await["items"].clone();
    let edge = |cycle: usize, edge: &str| items[cycle]["window"][edge].as_f64().expect("a time");
    let gap_sec = edge(1, "start_monotonic_sec") - edge(0, "end_monotonic_sec");
    assert!(gap_sec >= 1.0, "{gap_sec}");
    let results = server.results(&id).await;
    assert_eq!(results["timing"]["cooldown_sec"], 1.0);
    assert!(
        results["timing"]["overhead_share"]
            .as_f64()
            .is_some_and(|share| share < 0.9),
        "{}",
        results["timing"]
    );
    assert_eq!(results["warm_ups"][0]["ended"], "iterations");
}

#[tokio::test]
async fn a_stop_rule_ends_once_the_mean_is_sure_enough_or_says_that_it_was_not() {
    let server = Server::start();
    let mut asked = warmed_up(Value::Null);
    asked["num_cycles"] = json!(12);
    asked["stop_rule"] = json!({"metric": "mean_tpot_ms", "relative_ci": 1.0, "min_cycles": 3});
    let id = server.accepted(&asked).await;
    let shown = server.until_state(&id, "completed").await;
    assert_eq!(shown["stop_rule"], asked["stop_rule"]);
    let results = server.results(&id).await;
    let stop = &results["stop"];
    assert_eq!(
        (&stop["metric"], &stop["sure_enough"]),
        (&json!("mean_tpot_ms"), &json!(true))
    );
    let cycles = stop["cycles"].as_u64().expect("a number");
    assert!((3..12).contains(&cycles), "{stop:#}");
    assert_eq!(results["cycles"].as_array().map(Vec::len), Some(cycles as usize));
    let of = &results["statistics"]["mean_tpot_ms"];
    let number = |name: &str| of[name].as_f64().expect("a number");
    let reached = (number("ci_high") - number("ci_low")) / 2.0 / number("mean");
    assert!(
        (stop["reached"].as_f64().expect("known") - reached).abs() < 1e-9,
        "{stop:#}"
    );

    asked["num_cycles"] = json!(3);
    asked["stop_rule"] = json!({"metric": "output_throughput", "relative_ci": 1e-9, "min_cycles": 2});
    let id = server.accepted(&asked).await;
    server.until_state(&id, "completed").await;
    let stop = server.results(&id).await["stop"].clone();
    assert_eq!((&stop["cycles"], &stop["sure_enough"]), (&json!(3), &json!(false)));
    assert!(
        stop["reached"].as_f64().is_some_and(|reached| reached > 1e-9),
        "{stop:#}"
    );

    for (wrong, pointer) in [
        (json!({"min_cycles": 4}), "/stop_rule/min_cycles"),
        (json!({"metric": "flops_total"}), "/stop_rule/metric"),
        (json!({"relative_ci": 0, "min_cycles": 2}), "/stop_rule/relative_ci"),
    ] {
        asked["stop_rule"] = wrong;
        let (status, body) = server.submit(&asked).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(body["errors"][0]["pointer"], pointer, "{body:#}");
    }
}
