use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Answering, Service, experiment, managed};
use crate::stumbles::repeated::spec_of;

/// The experiment with these fields in place of its own; null leaves one out.
fn with(changes: Value) -> Value {
    let mut changed = experiment("answering");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => {
                changed.as_object_mut().expect("an object").remove(name);
            }
            value => changed[name] = value.clone(),
        }
    }
    changed
}

#[tokio::test]
async fn what_a_server_cannot_be_asked_for_is_refused_with_what_is_accepted() {
    let Service { server, .. } = &Service::start(&managed(""));
    for (changes, pointer, detail) in [
        (json!({"engine": "vllm"}), "/engine", "accepted are mistral, answering"),
        (
            json!({"engine": "synthetic"}),
            "/engine",
            "models begin with synthetic:",
        ),
        (
            json!({"model_name": "synthetic:"}),
            "/engine",
            "a synthetic: model is run by synthetic",
        ),
        (json!({"model_name": "other"}), "/model_name", "serves only \"nothing\""),
        (
            json!({"engine_arguments": {"decode_ms": -1}}),
            "/engine_arguments/decode_ms",
            "accepted is a number from 0 to 60000",
        ),
        (
            json!({"engine_arguments": {"shell": "x"}}),
            "/engine_arguments/shell",
            "accepted are decode_ms",
        ),
        (
            json!({"engine_arguments": {"decode_ms": [1]}}),
            "/engine_arguments/decode_ms",
            "a number or a text",
        ),
        (
            json!({"engine_arguments": "decode_ms"}),
            "/engine_arguments",
            "an object",
        ),
        (json!({"num_processes": 2}), "/num_processes", "accepted is 1"),
        (
            json!({"max_input_tokens": 8}),
            "/max_input_tokens",
            "a server takes text",
        ),
        (
            json!({"decoder": {"no_repeat_ngram_size": 3}}),
            "/decoder/no_repeat_ngram_size",
            "leave it out",
        ),
        (json!({"fp_precision": "float16"}), "/fp_precision", "leave it out"),
        (json!({"quantization": "q4k"}), "/quantization", "leave it out"),
        (
            json!({"max_failed_share": 1.5}),
            "/max_failed_share",
            "a number from 0 to 1",
        ),
        (
            json!({"request_timeout_sec": 0}),
            "/request_timeout_sec",
            "from 1 to 86400",
        ),
    ] {
        let (status, body) = server.submit(&with(changes.clone())).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{changes}: {body}");
        let errors = body["errors"].as_array().expect("a list");
        let said = errors.iter().any(|error| {
            error["pointer"] == pointer && error["detail"].as_str().is_some_and(|text| text.contains(detail))
        });
        assert!(said, "{changes}: {errors:#?}");
    }
    let mistral = json!({"model_name": "synthetic:", "engine_arguments": {"a": 1}});
    let (status, body) = server.submit(&mistral).await;
    assert_eq!(
        (status, &body["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/engine_arguments"))
    );
}

#[tokio::test]
async fn a_synthetic_model_says_its_engine_and_nodes_list_the_servers() {
    let answering = Answering::start(&["1"], &[]);
    let engines = format!(
        "{}[engines.lab]\nkind = 'openai'\nendpoint = '{}'\n",
        managed(""),
        answering.endpoint()
    );
    let Service { server, .. } = &Service::start(&engines);
    let quick = json!({"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 2});
    let id = server.accepted(&quick).await;
    let shown = server.show(&id).await;
    assert_eq!(shown["engine"], "synthetic");
    let again = server.accepted(&spec_of(&shown)).await;
    assert_eq!(server.show(&again).await["engine"], "synthetic");
    let (_, nodes) = server.get("/v1/nodes").await;
    let servers = &nodes["items"][0]["servers"];
    assert_eq!(servers[0]["name"], "answering");
    assert_eq!(
        servers[0]["arguments"]["decode_ms"],
        json!({"number": [0.0, 60000.0], "default": 2.0})
    );
    assert_eq!(
        (&servers[1]["name"], &servers[1]["managed"]),
        (&json!("lab"), &json!(false))
    );
}

#[tokio::test]
async fn a_server_that_does_not_say_its_tokens_is_not_sent_random_ones() {
    let Service { server, .. } = &Service::start(&managed(""));
    let synthetic = json!({"prompts": {"synthetic": {"input_tokens": 8, "count": 4, "seed": 1}}});
    let id = server.accepted(&with(synthetic)).await;
    let shown = server.until_state(&id, "failed").await;
    let message = shown["failure"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("/tokenize failed") && message.contains("accepted with this server are texts"),
        "{shown:#}"
    );
}
