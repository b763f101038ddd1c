//! Batches: what is refused, what proves itself, and what is told of it.

use reqwest::StatusCode;
use serde_json::{Value, json};

use joulemark_testkit::tiny_llama;

use crate::server::Server;

fn batch(model: &str) -> Value {
    json!({
        "model_name": model, "prompts": {"synthetic": {"input_tokens": 12, "count": 5, "seed": 1}}, "max_output_tokens": 6,
        "min_output_tokens": 6, "num_cycles": 2, "warmup_iterations": 0, "idle_baseline_sec": 0, "batch_size": 2,
    })
}

#[tokio::test]
async fn a_batch_is_checked_before_it_is_measured_and_its_steps_are_counted() {
    let server = Server::start();
    let id = server.accepted(&batch("synthetic:decode_ms=1")).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    let check = &results["batch_check"];
    // Sixteen steps of two sequences.
    assert_eq!(
        (&check["verdict"], &check["compared_tokens"]),
        (&json!("passed"), &json!(32))
    );
    let [largest, bound] = ["largest_difference", "bound"].map(|name| check[name].as_f64().expect("a number"));
    assert!(largest <= bound && bound > 0.0, "{check}");
    assert_eq!(results["loads"][0]["batch_check"], *check);
    // Two waves of two and one of what is left, in each cycle; none of the check's own.
    let expected = json!([{"sequences": 2, "steps": 24}, {"sequences": 1, "steps": 12}]);
    assert_eq!(results["batch_steps"], expected);
    assert_eq!(results["inference"]["output_tokens"], 2 * 5 * 6);
    // One alone is no batch.
    let mut single = batch("synthetic:");
    single["batch_size"] = json!(1);
    let id = server.accepted(&single).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    assert_eq!(
        (&results["batch_check"], &results["batch_steps"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_batch_whose_sequences_are_mixed_up_or_put_back_fails_the_experiment() {
    let server = Server::start();
    for (fault, words) in [
        ("mix=1", "does not come out as it does alone"),
        ("preempt_from=1", "of its batch went on, and computed it anew"),
        // Once the check, of three times sixteen steps, is over.
        ("preempt_from=60", "the measurement is not that of a batch"),
    ] {
        let id = server.accepted(&batch(&format!("synthetic:{fault}"))).await;
        let failed = server.until_state(&id, "failed").await;
        let message = failed["failure"]["message"].as_str().expect("a message");
        assert!(message.contains(words), "{message}");
        let mut single = batch(&format!("synthetic:{fault}"));
        single["batch_size"] = json!(1);
        let id = server.accepted(&single).await;
        server.until_state(&id, "completed").await;
    }
}

#[tokio::test]
async fn what_mistral_rs_does_not_decode_as_one_batch_is_refused_with_what_differs_and_what_helps() {
    let server = Server::start();
    tiny_llama::write(&server.folder.join("models/tiny"), 1);
    let mut asked = batch("tiny");
    asked["prompts"] = json!(["one", "two and three"]);
    asked["min_output_tokens"] = json!(0);
    asked["raw_prompt"] = json!(true);
    let (status, body) = server.submit(&asked).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body:#}");
    let errors = body["errors"].as_array().expect("a list");
    assert_eq!(errors.len(), 1, "{body:#}");
    assert_eq!(errors[0]["pointer"], "/batch_size");
    let detail = errors[0]["detail"].as_str().expect("words");
    for words in [
        "the device is the CPU",
        "prompts may differ",
        "min_output_tokens is 0 and max_output_tokens 6",
        "num_processes",
        "an engine that batches",
    ] {
        assert!(detail.contains(words), "{words} is not in: {detail}");
    }
    let (_, body) = server.submit(&batch("tiny")).await;
    let detail = body["errors"][0]["detail"].as_str().expect("words");
    assert!(detail.contains("but the device is the CPU; accepted"), "{detail}");
}
