//! What a result says of repetition, in JSON, in exports and to people.

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
        p99["note"].as_str().is_some_and(|note| note.contains("368 requests")),
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
    assert_eq!(row["p90_e2e_ms"], results["inference"]["p90_e2e_ms"]);
}
