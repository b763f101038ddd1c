//! What users stumbled over, each row by what they did: the API, its description, and the texts that come back.

mod described;
pub mod repeated;

use serde_json::{Value, json};

use crate::postgres_cluster::PostgresCluster;
use crate::server::Server;

/// An experiment that is over at once.
fn quick() -> Value {
    json!({
        "model_name": "synthetic:decode_ms=0", "prompts": ["a", "b"], "max_output_tokens": 4, "num_cycles": 2,
        "warmup_iterations": 1, "idle_baseline_sec": 0, "labels": {"team": "a"},
    })
}

/// Every query parameter that takes a text, with a NUL in it.
async fn assert_a_nul_is_refused(server: &Server) {
    let id = server.accepted(&quick()).await;
    server.until_state(&id, "completed").await;
    for (path, parameters) in [
        (
            "/v1/experiments".to_owned(),
            &[
                "user",
                "model",
                "submitter",
                "label",
                "state",
                "cursor",
                "created_after",
                "finished_before",
                "sort",
                "fields",
                "limit",
            ][..],
        ),
        (
            "/v1/experiments/export".to_owned(),
            &["user", "model", "submitter", "label", "format"],
        ),
        (format!("/v1/experiments/{id}"), &["fields", "wait"]),
        (format!("/v1/experiments/{id}/results"), &["fields", "wait"]),
        (
            format!("/v1/experiments/{id}/export"),
            &["what", "format", "spreadsheet"],
        ),
        (format!("/v1/experiments/{id}/timeseries"), &["resolution_ms"]),
        ("/v1/events".to_owned(), &["user", "label", "state", "submitter"]),
        ("/v1/audit".to_owned(), &["cursor", "limit"]),
    ] {
        for parameter in parameters {
            for value in ["%00", "a%00", "a%3D%00", "%00%3Da"] {
                let (status, problem) = server.get(&format!("{path}?{parameter}={value}")).await;
                let named = problem["errors"][0]["pointer"] == *parameter;
                assert!(
                    status == 400 && named,
                    "{path}?{parameter}={value}: {status} {problem:#}"
                );
            }
        }
        let (status, problem) = server.get(&format!("{path}?%00=a")).await;
        assert_eq!(status, 400, "{path}: {problem:#}");
    }
    for body in [
        json!({"user": "\0"}),
        json!({"labels": {"\0": "a"}}),
        json!({"labels": {"a": "\0"}}),
        json!({"node": "\0"}),
        json!({"config_name": "\0"}),
        json!({"model_name": "\0"}),
        json!({"gpus": ["GPU-\0"]}),
    ] {
        let mut experiment = quick();
        experiment
            .as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        let (status, problem) = server.submit(&experiment).await;
        assert_eq!(status, 422, "{body}: {problem:#}");
    }
    // A prompt may hold one: it is somebody's text, and no query's.
    let mut experiment = quick();
    experiment["prompts"] = json!(["a\0b"]);
    let id = server.accepted(&experiment).await;
    assert_eq!(server.until_state(&id, "completed").await["prompts"], json!(["a\0b"]));
}

#[tokio::test]
async fn a_nul_in_a_text_that_reaches_a_query_is_refused_by_name_on_sqlite() {
    assert_a_nul_is_refused(&Server::start()).await;
}

#[tokio::test]
async fn a_nul_in_a_text_that_reaches_a_query_is_refused_by_name_on_postgres() {
    let cluster = PostgresCluster::start();
    let url = cluster.url();
    assert_a_nul_is_refused(&Server::start_with(&[
        "--allow-synthetic-engine",
        "--database-url",
        &url,
    ]))
    .await;
}

#[tokio::test]
async fn a_time_at_the_end_of_all_years_bounds_a_list() {
    let server = Server::start();
    let id = server.accepted(&quick()).await;
    server.until_state(&id, "completed").await;
    for parameter in ["created", "finished"] {
        let path = |bound: &str, time: &str| format!("/v1/experiments?{parameter}_{bound}={time}");
        let found = [
            (path("before", "9999-12-31T23:59:59Z"), 1),
            (path("after", "9999-12-31T23:59:59Z"), 0),
            (path("after", "0000-01-01T00:00:00Z"), 1),
            (path("before", "0000-01-01T00:00:00Z"), 0),
        ];
        for (path, expected) in found {
            let (status, page) = server.get(&path).await;
            assert_eq!(status, 200, "{path}: {page:#}");
            assert_eq!(page["items"].as_array().unwrap().len(), expected, "{path}");
        }
    }
}

#[tokio::test]
async fn a_number_too_small_to_compute_with_is_refused_with_the_smallest_accepted() {
    let server = Server::start();
    for (decoder, pointer, smallest) in [
        (json!({"temperature": 5e-324}), "temperature", "0.000001"),
        (
            json!({"temperature": 1e-310, "do_sample": true}),
            "temperature",
            "0.000001",
        ),
        (json!({"temperature": f64::MIN_POSITIVE}), "temperature", "0.000001"),
        (json!({"repetition_penalty": 5e-324}), "repetition_penalty", "0.01"),
    ] {
        let mut experiment = quick();
        experiment["decoder"] = decoder.clone();
        let (status, problem) = server.submit(&experiment).await;
        let error = &problem["errors"][0];
        assert_eq!(status, 422, "{decoder}: {problem:#}");
        assert_eq!(error["pointer"], format!("/decoder/{pointer}"), "{decoder}");
        assert!(
            error["detail"].as_str().unwrap().contains(smallest),
            "{decoder}: {error}"
        );
    }
    for decoder in [
        json!({"temperature": 1e-6}),
        json!({"repetition_penalty": 0.01}),
        json!({"temperature": -0.0}),
    ] {
        let mut experiment = quick();
        experiment["decoder"] = decoder;
        server.accepted(&experiment).await;
    }
}

#[tokio::test]
async fn sampling_without_a_temperature_has_the_one_that_the_description_says() {
    let server = Server::start();
    let schema = &crate::description::DOCUMENT["components"]["schemas"]["DecoderRequest"]["properties"];
    for name in ["temperature", "do_sample"] {
        let text = schema[name]["description"].as_str().unwrap();
        assert!(
            text.contains('1') && text.contains("do_sample") || text.contains("temperature 1"),
            "{name}: {text}"
        );
    }
    let mut experiment = quick();
    experiment["decoder"] = json!({"do_sample": true});
    let id = server.accepted(&experiment).await;
    let decoder = &server.show(&id).await["decoder"];
    assert_eq!((&decoder["temperature"], &decoder["seed"]), (&json!(1.0), &json!(0)));
}

#[tokio::test]
async fn no_answer_tells_where_the_server_keeps_its_files() {
    let server = Server::start();
    let models = server.folder.join("models");
    std::fs::write(models.join("damaged.gguf"), "GGUF").unwrap();
    std::fs::write(models.join("part-00001-of-00002.gguf"), "GGUF").unwrap();
    std::fs::create_dir_all(models.join("org/empty")).unwrap();
    std::fs::create_dir_all(models.join("org/half")).unwrap();
    std::fs::write(models.join("org/half/config.json"), "{").unwrap();
    std::fs::write(models.join("org/half/model.safetensors"), "x").unwrap();
    let secret = server.folder.display().to_string();
    for name in [
        "nowhere.gguf",
        "damaged.gguf",
        "part-00001-of-00002.gguf",
        "org/empty",
        "org/half",
        "org",
        ".",
        "",
        "../joulemark.db",
        "/etc/passwd",
    ] {
        for path in ["/v1/experiments", "/v1/flops"] {
            let response = server
                .post(path, "application/json", json!({"model_name": name}).to_string())
                .await;
            let status = response.status();
            let text = response.text().await.unwrap();
            assert!(status == 422 || status == 200, "{path} {name}: {status} {text}");
            assert!(!text.contains(&secret), "{path} {name}: {text}");
            if status == 422 && !name.is_empty() {
                assert!(text.contains(name), "{path} {name}: it is not named: {text}");
            }
        }
    }
    std::fs::remove_dir_all(&models).unwrap();
    for path in ["/v1/experiments", "/v1/flops"] {
        let response = server
            .post(path, "application/json", json!({"model_name": "a.gguf"}).to_string())
            .await;
        let text = response.text().await.unwrap();
        assert!(!text.contains(&secret), "{path}: {text}");
    }
    let failing = json!({"model_name": "synthetic:error_at=0", "prompts": ["a"]});
    let id = server.accepted(&failing).await;
    server.until_state(&id, "failed").await;
    for path in [
        "/v1/experiments",
        "/v1/nodes",
        "/readyz",
        "/v1/experiments/export",
        "/v1/devices",
    ] {
        let (_, shown) = server.get(path).await;
        assert!(!shown.to_string().contains(&secret), "{path}: {shown:#}");
    }
}

#[tokio::test]
async fn numbers_that_readers_of_yaml_disagree_on_are_refused_with_their_field_or_kept() {
    let server = Server::start();
    let post = async |lines: &str| {
        let text = format!("model_name: 'synthetic:decode_ms=0'\nprompts: [a]\nnum_cycles: 1\n{lines}\n");
        let response = server.post("/v1/experiments", "application/yaml", text).await;
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap())
    };
    for (line, pointer, told) in [
        (
            "max_output_tokens: 1_0",
            "/max_output_tokens",
            "is \"1_0\"; accepted is an integer",
        ),
        ("max_output_tokens: 0o17", "/max_output_tokens", "write 15"),
        (
            "max_output_tokens: 1:30",
            "/max_output_tokens",
            "is \"1:30\"; accepted is an integer",
        ),
        (
            "decoder: {temperature: .inf}",
            "/decoder/temperature",
            "is \".inf\"; accepted is a number",
        ),
        (
            "decoder: {temperature: 1e999}",
            "/decoder/temperature",
            "accepted is a number",
        ),
        ("labels: {run: 1e999}", "/labels/run", "put it in quotes"),
    ] {
        let (status, problem) = post(line).await;
        let error = &problem["errors"][0];
        assert_eq!(
            (status, error["pointer"].as_str()),
            (422, Some(pointer)),
            "{line}: {problem:#}"
        );
        assert!(error["detail"].as_str().unwrap().contains(told), "{line}: {error}");
    }
    let (status, problem) = post("config_name: !secret x").await;
    assert!(
        status == 400 && problem["detail"].as_str().unwrap().contains("tag"),
        "{problem:#}"
    );
    let (status, kept) = post("config_name: 1_0\nlabels: {at: 1:30, blob: !!binary aGVsbG8=, far: .inf}").await;
    assert_eq!(status, 201, "{kept:#}");
    assert_eq!(kept["config_name"], "1_0");
    assert_eq!(kept["labels"], json!({"at": "1:30", "blob": "aGVsbG8=", "far": ".inf"}));
}

#[tokio::test]
async fn a_yaml_document_is_refused_in_its_own_words() {
    let server = Server::start();
    let post = async |text: &str| {
        let response = server
            .post("/v1/experiments", "application/yaml", text.to_owned())
            .await;
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap())
    };
    let (status, problem) = post("model_name: a\n---\nmodel_name: b\n").await;
    assert!(
        status == 400 && problem["detail"].to_string().contains("one document"),
        "{problem:#}"
    );
    let (status, problem) = post("model_name: 'synthetic:'\nprompts: [yes, 010]\nlabels: {v: 1.10}\n").await;
    assert_eq!(status, 422, "{problem:#}");
    for (index, (pointer, written)) in [
        ("/prompts/0", "is yes;"),
        ("/prompts/1", "is 010;"),
        ("/labels/v", "is 1.10;"),
    ]
    .into_iter()
    .enumerate()
    {
        let error = &problem["errors"][index];
        let detail = error["detail"].as_str().unwrap();
        assert_eq!(error["pointer"], pointer);
        assert!(
            detail.starts_with(written) && detail.contains("put it in quotes"),
            "{detail}"
        );
    }
}

/// Words of Rust and of libraries, which tell a user nothing.
const INNER_WORDS: [&str; 16] = [
    "\\u{",
    "Some(",
    "Ok(",
    "Err(",
    "::",
    "serde",
    "sqlx",
    "axum",
    "hyper",
    "deserialize",
    "invalid type",
    "invalid value",
    "Error(",
    "Utf8Error",
    "ParseError",
    "untagged enum",
];

fn assert_plain(asked: &str, answer: &str) {
    // JSON writes a control character as \u001b; within a text that stands for one character and is no escape.
    let problem: Value = serde_json::from_str(answer).unwrap_or_else(|error| panic!("{asked}: {error}: {answer}"));
    let details = problem["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|error| &error["detail"]);
    for detail in details.chain([&problem["detail"], &problem["title"]]) {
        let text = detail.as_str().expect("a text");
        for word in INNER_WORDS {
            assert!(!text.contains(word), "{asked}: {word} is in: {text}");
        }
        assert!(!text.chars().any(char::is_control), "{asked}: {text:?}");
    }
}

#[tokio::test]
async fn no_refusal_holds_an_escape_or_a_librarys_words() {
    let server = Server::start();
    // Greek with an accent of its own, a bell, a mark that turns the writing round.
    let odd = "%CE%B1%CC%81%07%E2%80%AE";
    for path in [
        format!("/v1/experiments/{odd}"),
        format!("/v1/experiments?limit={odd}"),
        format!("/v1/experiments?cursor={odd}"),
        format!("/v1/experiments?state={odd}"),
        format!("/v1/experiments?created_after={odd}"),
        format!("/v1/experiments?label={odd}"),
        format!("/v1/experiments?sort={odd}"),
        format!("/v1/experiments?fields={odd}"),
        format!("/v1/experiments?fields=decoder.{odd}"),
        format!("/v1/experiments/export?format={odd}"),
        format!("/v1/experiments/export?what={odd}"),
        format!("/v1/metrics/{odd}"),
        format!("/v1/nodes?{odd}=1"),
        "/v1/metrics/%FF".to_owned(),
        "/v1/experiments/%FF".to_owned(),
    ] {
        let response = reqwest::get(format!("{}{path}", server.url)).await.unwrap();
        assert!(response.status().is_client_error(), "{path}: {}", response.status());
        assert_plain(&path, &response.text().await.unwrap());
    }
    let odd = "α\u{301}\u{7}\u{202e}";
    for (kind, body) in [
        ("application/json", "{".to_owned()),
        ("application/json", "{\"a\": 1e999}".to_owned()),
        ("application/json", "[".repeat(500)),
        ("application/json", "{\"a\": \"\\ud800\"}".to_owned()),
        (
            "application/json",
            format!("{{\"{0}\": 1, \"{0}\": 2}}", "α\u{301}\u{202e}"),
        ),
        (
            "application/json",
            json!({"model_name": odd, "gpus": [odd], "device": odd, "node": odd, "prompts": {"dataset": odd}, odd: 1})
                .to_string(),
        ),
        (
            "application/json",
            json!({"model_name": "synthetic:x=1", "node": "α\u{301}"}).to_string(),
        ),
        (
            "application/json",
            json!({"model_name": "synthetic:α\u{301}=1"}).to_string(),
        ),
        (
            "application/json",
            json!({"model_name": "synthetic:", "prompts": {"dataset": "α\u{301}"}}).to_string(),
        ),
        (
            "application/json",
            json!({"model_name": "synthetic:", "callback_url": "α\u{301}"}).to_string(),
        ),
        (
            "application/json",
            json!({"model_name": "α\u{301}/\u{202e}b"}).to_string(),
        ),
        ("application/yaml", "a: [".to_owned()),
        ("application/yaml", "a: 1\na: 2".to_owned()),
        ("application/yaml", "? [a]\n: 1".to_owned()),
        ("application/yaml", "a: *b".to_owned()),
        ("application/yaml", "a: !x 1".to_owned()),
        ("application/yaml", "a: !!int x".to_owned()),
        ("application/yaml", "a: !!binary [1]".to_owned()),
        ("application/yaml", "~: 1".to_owned()),
        ("application/yaml", "<<: 1".to_owned()),
        ("application/yaml", "\ta: 1".to_owned()),
        ("application/yaml", "a: \u{7}".to_owned()),
        ("application/yaml", "a: &x [*x]".to_owned()),
        ("application/yaml", "%YAML 9.9\n---\na: 1".to_owned()),
        ("application/yaml", "a: 'b".to_owned()),
        ("application/yaml", "- 1\n- 2".to_owned()),
        ("text/\u{202e}", "x".to_owned()),
    ] {
        for path in ["/v1/experiments", "/v1/flops"] {
            let asked = format!("{path} {kind} {body:?}");
            let client = reqwest::Client::new().post(format!("{}{path}", server.url));
            let response = client
                .header("content-type", kind.as_bytes())
                .body(body.clone())
                .send()
                .await
                .unwrap();
            assert!(response.status().is_client_error(), "{asked}: {}", response.status());
            assert_plain(&asked, &response.text().await.unwrap());
        }
    }
}
