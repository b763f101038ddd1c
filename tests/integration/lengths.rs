//! Random prompts whose lengths are drawn, from the submission to the export.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::Server;

fn experiment() -> Value {
    json!({
        "model_name": "synthetic:", "num_cycles": 2, "warmup_iterations": 0, "idle_baseline_sec": 0,
        "prompts": {"synthetic": {
            "count": 12, "seed": 5, "input_length": {"mean": 30.4, "stddev": 10}, "shared_prefix_tokens": 1,
            "output_length": {"mean": 5, "stddev": 2, "min": 2, "max": 9},
        }},
    })
}

fn lengths(processes: &Value) -> Vec<(u64, u64, u64)> {
    let number = |request: &Value, name: &str| request[name].as_u64().expect("a number");
    let ranks = processes["items"].as_array().expect("a list").iter();
    let requests = ranks.flat_map(|rank| rank["requests"].as_array().expect("a list"));
    let mut lengths: Vec<_> = requests
        .map(|request| {
            (
                number(request, "prompt_index"),
                number(request, "input_tokens"),
                number(request, "output_tokens"),
            )
        })
        .collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

#[tokio::test]
async fn lengths_are_drawn_by_the_seed_for_each_request_whatever_the_ranks_and_shown_again() {
    let server = Server::start();
    let id = server.accepted(&experiment()).await;
    let shown = server.until_state(&id, "completed").await;
    let synthetic = &shown["prompts"]["synthetic"];
    assert_eq!(synthetic["input_tokens"], 30);
    assert_eq!(
        synthetic["input_length"],
        json!({"mean": 30.4, "stddev": 10.0, "min": 1, "max": 61})
    );
    assert_eq!(
        (&shown["min_output_tokens"], &shown["max_output_tokens"]),
        (&json!(2), &json!(9))
    );
    let drawn = lengths(&server.processes(&id).await);
    assert_eq!(drawn.len(), 12, "both cycles have the same: {drawn:?}");
    let inputs: BTreeSet<_> = drawn.iter().map(|(_, input, _)| *input).collect();
    let outputs: BTreeSet<_> = drawn.iter().map(|(_, _, output)| *output).collect();
    assert!(
        inputs.len() > 5 && inputs.iter().all(|tokens| (1..=61).contains(tokens)),
        "{drawn:?}"
    );
    assert!(
        outputs.len() > 2 && outputs.iter().all(|tokens| (2..=9).contains(tokens)),
        "{drawn:?}"
    );
    let results = server.results(&id).await;
    let of_all = |index: fn(&(u64, u64, u64)) -> u64| 2 * drawn.iter().map(index).sum::<u64>();
    assert_eq!(results["inference"]["output_tokens"], of_all(|(_, _, output)| *output));
    assert_eq!(results["loads"][0]["eos"], "ignored");

    // What was shown is accepted again, and two ranks draw the same.
    let mut again = experiment();
    for field in ["prompts", "min_output_tokens", "max_output_tokens"] {
        again[field] = shown[field].clone();
    }
    again["num_processes"] = json!(2);
    let other = server.accepted(&again).await;
    server.until_state(&other, "completed").await;
    assert_eq!(lengths(&server.processes(&other).await), drawn);

    let (_, row) = server.get("/v1/experiments/export?format=jsonl&limit=1").await;
    let row = row.as_array().map_or(row.clone(), |rows| rows[0].clone());
    assert_eq!(row["prompt_input_tokens"], 30, "{row:#}");
    assert_eq!(row["prompt_output_length"]["max"], 9);
    assert_eq!(row["prompt_shared_prefix_tokens"], 1);
}

#[tokio::test]
async fn lengths_that_make_no_sense_are_refused_with_the_field_and_what_is_accepted() {
    let server = Server::start();
    let refused = async |synthetic: Value, others: Value| {
        let mut document = json!({"model_name": "synthetic:", "prompts": {"synthetic": {"count": 2, "seed": 1}}});
        let fields = document["prompts"]["synthetic"].as_object_mut().expect("an object");
        fields.extend(synthetic.as_object().expect("an object").clone());
        document
            .as_object_mut()
            .expect("an object")
            .extend(others.as_object().expect("an object").clone());
        let (status, problem) = server.submit(&document).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{document:#} {problem:#}");
        let error = &problem["errors"][0];
        format!(
            "{} {}",
            error["pointer"].as_str().unwrap_or(""),
            error["detail"].as_str().unwrap_or("")
        )
    };
    let at = "/prompts/synthetic";
    for (synthetic, others, start, has) in [
        (json!({}), json!({}), "/input_tokens", "required"),
        (
            json!({"input_length": {"stddev": 2}}),
            json!({}),
            "/input_length/mean",
            "required",
        ),
        (
            json!({"input_length": {"mean": 5, "stddev": -1}}),
            json!({}),
            "/input_length/stddev",
            "from 0",
        ),
        (
            json!({"input_length": {"mean": 5, "stddev": 1, "min": 6}}),
            json!({}),
            "/input_length/mean",
            "min to max",
        ),
        (
            json!({"input_length": {"mean": 5, "stddev": 1, "max": 0}}),
            json!({}),
            "/input_length/max",
            "is 0",
        ),
        (
            json!({"input_length": {"mean": 5, "stddev": 1, "median": 5}}),
            json!({}),
            "/input_length/median",
            "",
        ),
        (json!({"input_length": 5}), json!({}), "/input_length", "an object"),
        (
            json!({"input_tokens": 6, "input_length": {"mean": 5, "stddev": 1}}),
            json!({}),
            "/input_tokens",
            "its mean, 5",
        ),
        (
            json!({"input_tokens": 6, "shared_prefix_tokens": 7}),
            json!({}),
            "/shared_prefix_tokens",
            "at most",
        ),
        (
            json!({"input_tokens": 6, "output_length": {"mean": 0.5, "stddev": 1}}),
            json!({}),
            "/output_length/mean",
            "",
        ),
    ] {
        let told = refused(synthetic, others).await;
        assert!(
            told.starts_with(&format!("{at}{start} ")) && told.contains(has),
            "{told}"
        );
    }
    let told = refused(
        json!({"input_tokens": 6, "output_length": {"mean": 5, "stddev": 1}}),
        json!({"max_output_tokens": 64}),
    )
    .await;
    assert!(
        told.starts_with("/max_output_tokens is 64") && told.ends_with("accepted is 8, or nothing"),
        "{told}"
    );
}
