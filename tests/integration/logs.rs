use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::guarded::Guarded;
use crate::server::is_finished;

/// A worker that prints why it dies.
fn failing() -> Value {
    json!({"model_name": "synthetic:panic_at=1", "prompts": ["my secret prompt"], "max_output_tokens": 2,
           "idle_baseline_sec": 0})
}

fn lines(guarded: &Guarded) -> Vec<Value> {
    let log = guarded.server.log();
    let json = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")));
    json.collect()
}

#[tokio::test]
async fn a_submissions_id_is_in_every_line_of_its_experiment_down_to_the_workers() {
    let guarded = Guarded::start(&["--log-format", "json", "--log-worker-output"]);
    let key = guarded.key("ada", "submitter");
    let response = guarded
        .send(reqwest::Method::POST, "/v1/experiments", &key, Some(&failing()))
        .await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["request_id"], json!(request_id));
    let id = body["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/experiments/{id}");
    let shown = loop {
        let (_, shown) = guarded.get(&path, &key).await;
        if is_finished(&shown) {
            break shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(
        (&shown["state"], &shown["request_id"]),
        (&json!("failed"), &json!(request_id))
    );
    let lines = lines(&guarded);
    let printed: Vec<_> = lines
        .iter()
        .filter(|line| line["target"] == "joulemark::worker_output")
        .collect();
    assert!(
        printed
            .iter()
            .any(|line| line["message"].as_str().unwrap().contains("asked to panic")),
        "{printed:#?}"
    );
    for line in printed {
        let expected = (&json!(id), &json!(0), &json!(request_id));
        assert_eq!(
            (&line["experiment"], &line["rank"], &line["request_id"]),
            expected,
            "{line}"
        );
    }
    let failed = lines.iter().find(|line| {
        line["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("failed"))
    });
    assert_eq!(failed.unwrap()["span"]["request_id"], json!(request_id));
}

#[tokio::test]
async fn each_request_has_one_line_without_its_query_its_key_or_its_prompts() {
    let guarded = Guarded::start(&["--log-format", "json"]);
    let (ada, bob) = (guarded.key("ada", "submitter"), guarded.key("bob", "reader"));
    guarded.accepted(&ada, &failing()).await;
    guarded.get("/v1/experiments?label=secret%3Dvalue", &bob).await;
    let response = reqwest::get(format!("{}/nowhere?key={bob}", guarded.server.url))
        .await
        .unwrap();
    let own = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    guarded
        .submit(
            &ada,
            &json!({"model_name": "synthetic:", "prompts": "my secret prompt", "x": "my secret prompt"}),
        )
        .await;
    let lines: Vec<_> = lines(&guarded)
        .into_iter()
        .filter(|line| line["target"] == "joulemark::access")
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (&line["method"], &line["path"], &line["status"], &line["user"]))
        .collect();
    let (get, post, list) = (json!("GET"), json!("POST"), json!("/v1/experiments"));
    let expected = [
        (&post, &list, &json!(201), &json!("ada")),
        (&get, &list, &json!(200), &json!("bob")),
        (&get, &json!("/nowhere"), &json!(401), &Value::Null),
        (&post, &list, &json!(422), &json!("ada")),
    ];
    assert_eq!(told, expected);
    assert_eq!(lines[2]["request_id"], json!(own));
    assert!(
        lines
            .iter()
            .all(|line| line["client"] == "127.0.0.1" && line["duration_ms"].as_f64().unwrap() > 0.0)
    );
    let log = guarded.server.log();
    for secret in ["secret", &ada[4..], &bob[4..]] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_names_the_request_and_nobody_else_does() {
    let stranger = Guarded::start(&[]);
    let trusted = Guarded::start(&["--trusted-proxy", "127.0.0.0/8"]);
    let ask = async |guarded: &Guarded, id: &'static [u8]| {
        let value = reqwest::header::HeaderValue::from_bytes(id).unwrap();
        let request = reqwest::Client::new()
            .get(format!("{}/healthz", guarded.server.url))
            .header("x-request-id", value);
        let response = request.send().await.unwrap();
        response.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(ask(&trusted, b"lab-proxy-17").await, "lab-proxy-17");
    assert_ne!(ask(&stranger, b"lab-proxy-17").await, "lab-proxy-17");
    for bad in [&b"two words"[..], b"\xff\xfe", b"\"quoted\"", &[b'a'; 200]] {
        assert_eq!(ask(&trusted, bad).await.len(), 36, "a new one");
    }
    assert!(trusted.server.log().contains("lab-proxy-17"));
}

#[tokio::test]
async fn what_workers_print_and_generate_is_withheld_where_prompts_are() {
    let guarded = Guarded::start(&[]);
    let (ada, bob) = (guarded.key("ada", "submitter"), guarded.key("bob", "reader"));
    let finished = async |experiment: &Value| {
        let path = format!("/v1/experiments/{}", guarded.accepted(&ada, experiment).await);
        while !is_finished(&guarded.get(&path, &ada).await.1) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        path
    };
    let failed = finished(&failing()).await;
    for (key, whole) in [(&ada, true), (&bob, false)] {
        for path in [
            failed.clone(),
            format!("{failed}/results"),
            format!("{failed}/processes"),
        ] {
            let (_, body) = guarded.get(&path, key).await;
            let tail = body["failure"]["log_tail"].as_array().unwrap();
            assert_eq!(!tail.is_empty(), whole, "{path}: {body:#}");
            assert!(body["failure"]["message"].is_string());
        }
        let (_, page) = guarded.get("/v1/experiments", key).await;
        assert_eq!(page.to_string().contains("asked to panic"), whole, "{page:#}");
    }
    let mut experiment = failing();
    experiment["model_name"] = json!("synthetic:");
    let mut public = experiment.clone();
    public["prompts"] = json!({"synthetic": {"input_tokens": 3, "count": 2, "seed": 1}});
    let (own, public) = (finished(&experiment).await, finished(&public).await);
    for (path, key, whole) in [(&own, &ada, true), (&own, &bob, false), (&public, &bob, true)] {
        let (_, body) = guarded.get(&format!("{path}/processes"), key).await;
        assert_eq!(body["token_ids_withheld"], json!(!whole));
        let request = &body["items"][0]["requests"][0];
        assert_eq!(
            request["output_token_ids"].as_array().unwrap().len(),
            if whole { 2 } else { 0 },
            "{request:#}"
        );
        assert_eq!(request["output_tokens"], 2);
        assert_eq!(
            request["token_monotonic_sec"].as_array().unwrap().len(),
            2,
            "times are nobody's secret"
        );
        let export = format!("{path}/export?what=tokens&format=jsonl");
        let exported = guarded.send(reqwest::Method::GET, &export, key, None).await;
        let exported = exported.text().await.unwrap();
        let rows = exported
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let ids = rows.map(|row| row["token_id"].clone()).collect::<Vec<_>>();
        assert!(
            ids.len() >= 2 && ids.iter().all(|id| id.is_null() != whole),
            "{exported}"
        );
    }
}
