use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::guarded::{Guarded, connect, read_all};
use crate::server::Server;

fn quick(labels: Value) -> Value {
    json!({"model_name": "synthetic:", "prompts": ["my secret prompt", "b"], "max_output_tokens": 4, "num_cycles": 2,
           "warmup_iterations": 0, "idle_baseline_sec": 0, "config_name": "=1+1,\"x\" naïve ½", "labels": labels})
}

async fn fetch(server: &Server, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = reqwest::Client::new().get(format!("{}{path}", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

async fn text(server: &Server, path: &str) -> String {
    let response = fetch(server, path, &[]).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.text().await.expect("a whole body")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object"))
        .collect()
}

/// The records by column.
fn csv_records(text: &str) -> Vec<Value> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().expect("a header").clone();
    let records = reader.records().map(|record| {
        let record = record.expect("a record as long as the header");
        let cells = names
            .iter()
            .zip(&record)
            .map(|(name, cell)| (name.to_owned(), json!(cell)));
        Value::Object(cells.collect())
    });
    records.collect()
}

async fn batches(server: &Server, path: &str) -> Vec<RecordBatch> {
    let response = fetch(server, path, &[]).await;
    assert_eq!(response.headers()["content-type"], "application/vnd.apache.parquet");
    let bytes = response.bytes().await.expect("a whole body");
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a Parquet file");
    reader
        .build()
        .expect("a reader")
        .collect::<Result<_, _>>()
        .expect("every batch")
}

#[tokio::test]
async fn one_experiment_is_the_same_row_in_every_format_and_the_figures_are_those_of_its_results() {
    let server = Server::start();
    let id = server.accepted(&quick(json!({"team": "nlp"}))).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    let path = format!("/v1/experiments/{id}/export");
    let rows = lines(&text(&server, &format!("{path}?format=jsonl")).await);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    for (column, pointer) in [
        ("id", "/id"),
        ("total_tokens", "/inference/total_tokens"),
        ("tokens_per_second", "/inference/tokens_per_second"),
        ("median_itl_ms", "/inference/median_itl_ms"),
        ("total_energy_j", "/energy/total_energy_j"),
        ("gpu_energy_j", "/energy/gpu_energy_j"),
        ("joules_per_output_token", "/efficiency/joules_per_output_token"),
        ("flops_total", "/compute/flops_total"),
        ("temporal_overlap", "/validation/temporal_overlap"),
        ("seed", "/experiment/decoder/seed"),
        ("labels", "/experiment/labels"),
        ("hostname", "/machine/hostname"),
        ("config_name", "/experiment/config_name"),
    ] {
        assert_eq!(row.get(column), results.pointer(pointer), "{column}");
    }
    assert_eq!(
        row["warnings_count"],
        json!(results["validation"]["warnings"].as_array().unwrap().len())
    );
    assert_eq!(row["prompt_count"], 2);
    assert!(!row.to_string().contains("my secret prompt"));

    let csv = text(&server, &format!("{path}?format=csv")).await;
    let records = csv_records(&csv);
    assert_eq!(records.len(), 1);
    for (column, value) in row.as_object().unwrap() {
        let cell = records[0][column].as_str().unwrap();
        match value {
            Value::Null => assert_eq!(cell, "", "{column}"),
            Value::String(text) => assert_eq!(cell, text, "{column}"),
            other => assert_eq!(serde_json::from_str::<Value>(cell).unwrap(), *other, "{column}"),
        }
    }
    assert!(csv.ends_with("\r\n"));
    let safe = csv_records(&text(&server, &format!("{path}?format=csv&spreadsheet=true")).await);
    assert!(safe[0]["config_name"].as_str().unwrap().starts_with("'=1+1"));

    let batches = batches(&server, &format!("{path}?format=parquet")).await;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    for (index, field) in batches[0].schema().fields().iter().enumerate() {
        let is_null = batches[0].column(index).is_null(0);
        assert_eq!(is_null, row[field.name()].is_null(), "{}", field.name());
        assert!(field.metadata().contains_key("description"), "{}", field.name());
    }
    let names = batches[0]
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect::<Vec<_>>();
    assert_eq!(names, row.as_object().unwrap().keys().cloned().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_not_finished_is_a_row_without_metrics() {
    let server = Server::start();
    let id = server
        .accepted(&json!({"model_name": "synthetic:decode_ms=60000", "prompts": ["a"], "max_output_tokens": 4}))
        .await;
    let row = &lines(&text(&server, &format!("/v1/experiments/{id}/export?format=jsonl")).await)[0];
    for column in [
        "finished_at",
        "total_energy_j",
        "tokens_per_second",
        "failure_reason",
        "hostname",
    ] {
        assert_eq!(row[column], Value::Null, "{column}");
    }
    assert_ne!(row["state"], "completed");
    for what in ["cycles", "requests", "tokens"] {
        let (status, problem) = server.get(&format!("/v1/experiments/{id}/export?what={what}")).await;
        assert_eq!(status, StatusCode::CONFLICT, "{problem:#}");
    }
    server.cancel(&id).await;
}

#[tokio::test]
async fn labels_are_columns_at_the_end_where_they_are_asked_for() {
    let server = Server::start();
    for labels in [json!({"paper": "fig3"}), json!({"team": "nlp"})] {
        let id = server.accepted(&quick(labels)).await;
        server.until_state(&id, "completed").await;
    }
    let path = "/v1/experiments/export?sort=created_at&format=csv&label_columns=team,paper";
    let table = text(&server, path).await;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].ends_with(",label_team,label_paper"), "{}", lines[0]);
    assert!(lines[1].ends_with(",,fig3") && lines[2].ends_with(",nlp,"), "{table}");
}

#[tokio::test]
async fn each_cycle_is_a_line_with_the_figures_of_results() {
    let server = Server::start();
    let id = server.accepted(&quick(json!({"paper": "fig3"}))).await;
    server.until_state(&id, "completed").await;
    let (_, results) = server.get(&format!("/v1/experiments/{id}/results")).await;
    let rows = lines(
        &text(
            &server,
            &format!("/v1/experiments/{id}/export?format=jsonl&what=cycles"),
        )
        .await,
    );
    assert_eq!(rows.len(), 2);
    for (row, cycle) in rows.iter().zip(results["cycles"].as_array().unwrap()) {
        assert_eq!((&row["id"], &row["cycle"]), (&id.as_str().into(), &cycle["cycle"]));
        assert_eq!(row["labels"], json!({"paper": "fig3"}));
        for (column, place) in [
            ("output_throughput", "/inference/output_throughput"),
            ("total_energy_j", "/energy/total_energy_j"),
            ("total_energy_uncertainty_j", "/energy/total_energy_uncertainty_j"),
            ("joules_per_output_token", "/efficiency/joules_per_output_token"),
            ("flops_total", "/compute/flops_total"),
        ] {
            assert_eq!(&row[column], cycle.pointer(place).unwrap(), "{column}");
        }
        assert!(row["output_throughput"].is_number() && row.get("output_throughput_cycle_sd").is_none());
    }
}

#[tokio::test]
async fn the_raw_tables_of_a_label_are_those_of_its_experiments_one_after_the_other() {
    let server = Server::start();
    let mut expected = Vec::new();
    for paper in ["fig3", "other", "fig3"] {
        let id = server.accepted(&quick(json!({"paper": paper}))).await;
        server.until_state(&id, "completed").await;
        if paper == "fig3" {
            expected.insert(0, id);
        }
    }
    for what in ["cycles", "requests", "tokens"] {
        let mut of_each = Vec::new();
        for id in &expected {
            let path = format!("/v1/experiments/{id}/export?format=jsonl&what={what}");
            of_each.extend(lines(&text(&server, &path).await));
        }
        let path = format!("/v1/experiments/export?format=jsonl&label=paper=fig3&what={what}");
        assert_eq!(lines(&text(&server, &path).await), of_each, "{what}");
        assert!(of_each.len() >= 4, "{what}");
    }
}

#[tokio::test]
async fn requests_tokens_and_samples_are_tables_of_their_own() {
    let server = Server::start();
    let id = server.accepted(&quick(json!({}))).await;
    server.until_state(&id, "completed").await;
    let processes = server.processes(&id).await;
    let path = format!("/v1/experiments/{id}/export?format=jsonl&what=");
    let requests = lines(&text(&server, &format!("{path}requests")).await);
    let expected = processes["items"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|item| item["requests"].as_array().unwrap());
    let expected = expected.collect::<Vec<_>>();
    assert_eq!(requests.len(), expected.len());
    for (row, request) in requests.iter().zip(&expected) {
        for column in [
            "prompt_index",
            "output_tokens",
            "ttft_ms",
            "sent_monotonic_sec",
            "finish_reason",
        ] {
            assert_eq!(row[column], request[column], "{column}");
        }
    }
    let tokens = lines(&text(&server, &format!("{path}tokens")).await);
    let times = expected
        .iter()
        .flat_map(|request| request["token_monotonic_sec"].as_array().unwrap());
    assert_eq!(
        tokens.iter().map(|row| &row["at_monotonic_sec"]).collect::<Vec<_>>(),
        times.collect::<Vec<_>>()
    );
    let (_, series) = server.get(&format!("/v1/experiments/{id}/timeseries")).await;
    let points = series["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["points"].as_array().unwrap().len());
    let samples = lines(&text(&server, &format!("{path}timeseries")).await);
    assert_eq!(samples.len(), points.sum::<usize>());
    for what in ["requests", "tokens", "timeseries"] {
        let path = format!("/v1/experiments/{id}/export?format=parquet&what={what}");
        let rows = batches(&server, &path)
            .await
            .iter()
            .map(RecordBatch::num_rows)
            .sum::<usize>();
        let expected = [
            ("requests", requests.len()),
            ("tokens", tokens.len()),
            ("timeseries", samples.len()),
        ];
        assert!(expected.contains(&(what, rows)), "{what}: {rows}");
    }
}

#[tokio::test]
async fn many_are_filtered_sorted_and_limited_as_the_list_is() {
    let server = Server::start();
    let mut ids = Vec::new();
    for index in 0..5 {
        let team = if index % 2 == 0 { "a" } else { "b" };
        ids.push(server.accepted(&quick(json!({"team": team}))).await);
    }
    for id in &ids {
        server.until_state(id, "completed").await;
    }
    for query in [
        "",
        "label=team=a",
        "sort=created_at",
        "sort=-finished_at&label=team=b",
        "state=completed",
        "state=failed",
    ] {
        let (_, page) = server.get(&format!("/v1/experiments?{query}")).await;
        let listed = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].clone())
            .collect::<Vec<_>>();
        let exported = lines(&text(&server, &format!("/v1/experiments/export?format=jsonl&{query}")).await);
        assert_eq!(
            exported.iter().map(|row| row["id"].clone()).collect::<Vec<_>>(),
            listed,
            "{query}"
        );
        let csv = csv_records(&text(&server, &format!("/v1/experiments/export?{query}")).await);
        assert_eq!(csv.len(), listed.len(), "{query}");
        let rows = batches(&server, &format!("/v1/experiments/export?format=parquet&{query}")).await;
        assert_eq!(
            rows.iter().map(RecordBatch::num_rows).sum::<usize>(),
            listed.len(),
            "{query}"
        );
    }
    let two = lines(&text(&server, "/v1/experiments/export?format=jsonl&limit=2&sort=created_at").await);
    assert_eq!(
        two.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(),
        &ids[..2]
    );
}

#[tokio::test]
async fn the_format_is_negotiated_and_the_file_has_a_name() {
    let server = Server::start();
    let path = "/v1/experiments/export";
    for (accept, content_type, ending) in [
        ("*/*", "text/csv; charset=utf-8; header=present", "csv"),
        ("application/x-ndjson", "application/x-ndjson", "jsonl"),
        (
            "application/vnd.apache.parquet",
            "application/vnd.apache.parquet",
            "parquet",
        ),
    ] {
        let response = fetch(&server, path, &[("accept", accept)]).await;
        assert_eq!(response.headers()["content-type"], content_type);
        let disposition = format!("attachment; filename=\"joulemark-experiments.{ending}\"");
        assert_eq!(response.headers()["content-disposition"], disposition);
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
    let response = fetch(&server, path, &[("accept", "application/json")]).await;
    assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    for query in [
        "format=xlsx",
        "cursor=x",
        "fields=id",
        "limit=0",
        "format=csv&format=csv",
    ] {
        let (status, problem) = server.get(&format!("{path}?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {problem:#}");
    }
    let head = reqwest::Client::new()
        .head(format!("{}{path}?format=jsonl", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.status(), head.headers()["content-type"].to_str().unwrap()),
        (StatusCode::OK, "application/x-ndjson")
    );
    assert!(
        !head.headers().contains_key("content-length"),
        "the file is longer than nothing"
    );
}

#[tokio::test]
async fn by_an_old_http_version_only_a_format_that_knows_its_end_is_sent() {
    // Without authentication nothing is answered by HTTP/1.0.
    let guarded = Guarded::start(&[]);
    let key = guarded.key("rea", "reader");
    for (format, status) in [("csv", "505"), ("jsonl", "505"), ("parquet", "200")] {
        let mut stream = connect(&guarded.server).await;
        let request = format!(
            "GET /v1/experiments/export?format={format} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
        );
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
            .await
            .unwrap();
        let answer = read_all(&mut stream).await;
        let line = answer.lines().next().unwrap();
        assert!(line.contains(status), "{format}: {line}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_breaks_the_body_off_and_is_not_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine"]);
    let mut last = String::new();
    for _ in 0..3 {
        last = server.accepted(&quick(json!({}))).await;
    }
    server.until_state(&last, "completed").await;
    let database = format!("sqlite://{}", folder.path().join("joulemark.db").display());
    let mut connection = SqliteConnection::connect(&database).await.unwrap();
    let spoil = sqlx::query("UPDATE experiments SET spec = '{' WHERE id < $1").bind(last);
    connection.execute(spoil).await.unwrap();
    for format in ["csv", "jsonl", "parquet"] {
        for encoding in ["identity", "gzip"] {
            let request = reqwest::Client::new()
                .get(format!("{}/v1/experiments/export?format={format}", server.url))
                .header("accept-encoding", encoding);
            // Where nothing was sent before, the connection may be closed before its head is on the way.
            let Ok(response) = request.send().await else { continue };
            assert_eq!(response.status(), StatusCode::OK);
            response.bytes().await.expect_err("a body that is not whole");
        }
    }
}

#[tokio::test]
async fn exports_that_run_have_places_and_one_whose_client_leaves_gives_its_place_back() {
    let server = Server::start_with(&["--allow-synthetic-engine", "--max-concurrent-exports", "1"]);
    // Together more than the sockets' buffers hold.
    let body = json!({"model_name": "synthetic:decode_ms=600000", "prompts": ["a"], "max_output_tokens": 4});
    for _ in 0..30 {
        futures::future::join_all((0..100).map(|_| server.accepted(&body))).await;
    }
    let path = "/v1/experiments/export?format=jsonl";
    let held = fetch(&server, path, &[]).await;
    assert_eq!(held.status(), StatusCode::OK);
    let refused = fetch(&server, path, &[]).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(refused.text().await.unwrap().contains("max_concurrent_exports"));
    drop(held);
    loop {
        let again = fetch(&server, path, &[]).await;
        if again.status() == StatusCode::OK {
            assert_eq!(again.text().await.unwrap().lines().count(), 3000);
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_reader_exports_everything_but_no_prompts() {
    let guarded = Guarded::start(&[]);
    let (submitter, reader) = (guarded.key("ada", "submitter"), guarded.key("bob", "reader"));
    let submitted = guarded
        .send(
            reqwest::Method::POST,
            "/v1/experiments",
            &submitter,
            Some(&quick(json!({}))),
        )
        .await;
    assert_eq!(submitted.status(), StatusCode::CREATED);
    let path = "/v1/experiments/export?format=jsonl&submitter=ada";
    let text = guarded
        .send(reqwest::Method::GET, path, &reader, None)
        .await
        .text()
        .await
        .unwrap();
    let rows = lines(&text);
    assert_eq!((rows.len(), &rows[0]["submitter"]), (1, &json!("ada")));
    assert!(!text.contains("my secret prompt"), "{text}");
}
