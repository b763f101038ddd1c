//! Sweeps on the synthetic engine: points and repeats, their table, searches, comparisons; on either database.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client_command::run;
use crate::guarded::Guarded;
use crate::postgres_cluster::PostgresCluster;
use crate::server::Server;

fn base() -> Value {
    json!({
        "model_name": "synthetic:prefill_ms=2,decode_ms=4", "prompts": ["one", "two"], "max_output_tokens": 8,
        "min_output_tokens": 8, "num_cycles": 2, "warmup_iterations": 0, "idle_baseline_sec": 0,
    })
}

async fn submitted(server: &Server, sweep: &Value) -> (StatusCode, Value) {
    let response = server.post("/v1/sweeps", "application/json", sweep.to_string()).await;
    (response.status(), response.json().await.expect("JSON"))
}

/// Submits what must be accepted and waits for its end; the whole sweep.
pub async fn finished(server: &Server, sweep: &Value) -> Value {
    let (status, accepted) = submitted(server, sweep).await;
    assert_eq!(status, StatusCode::CREATED, "{accepted:#}");
    let id = accepted["id"].as_str().expect("an id");
    until_finished(server, id).await
}

async fn until_finished(server: &Server, id: &str) -> Value {
    for _ in 0..1200 {
        let (_, shown) = server.get(&format!("/v1/sweeps/{id}?fields=state")).await;
        if shown["state"] != "running" {
            return server.get(&format!("/v1/sweeps/{id}")).await.1;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it never ended: {}", server.log());
}

/// Points in the order in which their experiments were queued.
async fn queued_points(server: &Server, id: &str) -> Vec<String> {
    let (_, list) = server
        .get(&format!(
            "/v1/experiments?sweep={id}&sort=created_at&fields=labels&limit=500"
        ))
        .await;
    let items = list["items"].as_array().expect("items");
    let point = |item: &Value| item["labels"]["sweep_point"].as_str().expect("a point").to_owned();
    items.iter().map(point).collect()
}

async fn is_served_whole(server: &Server) {
    let sweep = json!({"base": base(), "repeats": 2,
        "axes": {"labels.arm": ["a", "b"], "model_name": ["synthetic:decode_ms=2", "synthetic:decode_ms=12"]}});
    let done = finished(server, &sweep).await;
    let id = done["id"].as_str().expect("an id");
    assert_eq!((&done["state"], &done["points"]), (&json!("finished"), &json!(4)));
    assert_eq!(done["progress"]["completed"], 8, "{done:#}");
    assert_eq!(
        queued_points(server, id).await,
        ["0", "1", "2", "3", "0", "1", "2", "3"]
    );
    let rows = done["table"].as_array().expect("rows");
    assert_eq!(
        rows[1]["values"],
        json!({"labels.arm": "a", "model_name": "synthetic:decode_ms=12"})
    );
    let tpot = |row: usize| rows[row]["metrics"]["mean_tpot_ms"]["mean"].as_f64().expect("a mean");
    assert!(tpot(1) > 2.0 * tpot(0), "{rows:#?}");
    let of_repeats = async |row: usize| {
        let mut figures = Vec::new();
        for experiment in rows[row]["experiments"].as_array().expect("ids") {
            let results = server.results(experiment.as_str().expect("an id")).await;
            figures.push(results["inference"]["mean_tpot_ms"].as_f64().expect("known"));
        }
        figures
    };
    let figures = of_repeats(0).await;
    assert_eq!(figures.len(), 2);
    // A repeat is a unit: Student's t over two of them.
    let half = 12.706_204_736 * (figures[0] - figures[1]).abs() / 2.0;
    let of = &rows[0]["metrics"]["mean_tpot_ms"];
    let (low, high) = (
        of["ci_low"].as_f64().expect("low"),
        of["ci_high"].as_f64().expect("high"),
    );
    assert!(
        ((high - low) / 2.0 - half).abs() < 1e-6 * half.max(1e-6),
        "{of} {figures:?}"
    );

    let warnings = done["warnings"].as_array().expect("warnings");
    let of = |code: &str| warnings.iter().find(|warning| warning["code"] == code);
    let synthetic = of("synthetic_engine").expect("a warning");
    assert!(
        synthetic["experiments"] == 8 && synthetic["message"].is_string(),
        "{warnings:#?}"
    );
    assert!(of("metric_unknown").is_none(), "{warnings:#?}");
    let (_, only) = server.get(&format!("/v1/sweeps/{id}?fields=warnings")).await;
    assert_eq!(only, json!({"warnings": warnings}));

    let (_, csv) = server
        .get(&format!("/v1/sweeps/{id}/export?format=csv&metrics=mean_tpot_ms"))
        .await;
    let lines: Vec<&str> = csv.as_str().expect("text").lines().collect();
    assert_eq!(
        lines[0],
        "point,labels.arm,model_name,completed,mean_tpot_ms,mean_tpot_ms_n,mean_tpot_ms_ci_low,mean_tpot_ms_ci_high"
    );
    assert!(
        lines.len() == 5 && lines[2].starts_with("1,a,synthetic:decode_ms=12,2,"),
        "{csv}"
    );
    let (_, list) = server.get("/v1/sweeps?limit=1").await;
    assert_eq!(list["items"][0]["id"], id);

    let compared = json!({"ids": [format!("{id}/0"), format!("{id}/1")], "metrics": ["mean_tpot_ms"]});
    let response = server
        .post("/v1/compare", "application/json", compared.to_string())
        .await;
    let answer: Value = response.json().await.expect("JSON");
    let found = &answer["comparisons"][0];
    assert_eq!(
        (&found["test"], &found["n_baseline"]),
        (&json!("paired_t"), &json!(2)),
        "{answer:#}"
    );
    let by_client = run(
        &server.url,
        &[
            "compare",
            &format!("{id}/0"),
            &format!("{id}/1"),
            "--metric",
            "mean_tpot_ms",
        ],
    );
    assert_eq!(by_client.ended(0).lines()[0], answer);
    let (status, front) = server
        .get(&format!("/v1/pareto?x=mean_tpot_ms&y=output_throughput&sweep={id}"))
        .await;
    assert_eq!(status, StatusCode::OK, "{front:#}");
    let points = front["points"].as_array().expect("points");
    assert_eq!((points.len(), &points[0]["n"]), (4, &json!(2)), "{front:#}");
    assert_eq!(points[3]["on_front"], false);
}

#[tokio::test]
async fn a_sweep_is_one_table_over_repeats_on_sqlite() {
    is_served_whole(&Server::start()).await;
}

#[tokio::test]
async fn a_sweep_is_one_table_over_repeats_on_postgres() {
    let cluster = PostgresCluster::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_in(
        folder.path(),
        &["--database-url", &cluster.url(), "--allow-synthetic-engine"],
    );
    is_served_whole(&server).await;
    finds_the_same_as_the_grid(&server).await;
}

async fn finds_the_same_as_the_grid(server: &Server) {
    // Along one axis: longer answers cost more time each, and fill the machine better.
    let along = |method: &str| {
        let values: Vec<u32> = (1..=20).map(|place| 2 * place).collect();
        json!({"base": {"model_name": "synthetic:prefill_ms=1,decode_ms=6", "prompts": ["one"], "num_cycles": 1,
                "warmup_iterations": 0, "idle_baseline_sec": 0},
            "axes": {"max_output_tokens": values},
            "goal": {"maximise": "output_tokens", "subject_to": {"mean_e2e_ms": {"below": 150}}, "method": method}})
    };
    let (by_search, by_grid) = (
        finished(server, &along("auto")).await,
        finished(server, &along("grid")).await,
    );
    let (search, grid) = (&by_search["search"], &by_grid["search"]);
    assert_eq!((&search["state"], &grid["state"]), (&json!("done"), &json!("done")));
    let tried = |answer: &Value| answer["tried"].as_array().expect("a list").len();
    assert_eq!((tried(grid), &grid["method"]), (20, &json!("grid")));
    // Within the scatter of a busy machine: 6 ms a token, and 2 tokens a value.
    let best = |answer: &Value| answer["best_point"].as_u64().expect("a best");
    assert!(best(search).abs_diff(best(grid)) <= 2, "{search:#} {}", best(grid));
    assert!(tried(search) <= 8, "{search:#}");
    assert_eq!(search["method"], "bisection", "{search:#}");
    assert_eq!(search["evidence"]["objective"], "rising", "{search:#}");
    assert_eq!(
        by_search["progress"]["experiments"].as_u64(),
        Some(tried(search) as u64)
    );
}

#[tokio::test]
async fn a_search_finds_what_the_grid_finds_in_fewer_runs() {
    finds_the_same_as_the_grid(&Server::start()).await;
}

#[tokio::test]
async fn several_axes_are_searched_whole() {
    let server = Server::start();
    let values = [16, 10, 4, 22].map(|decode_ms| format!("synthetic:decode_ms={decode_ms}"));
    let sweep = json!({"base": base(), "mode": "zip", "axes": {"labels.arm": ["a", "a", "b", "b"], "model_name": values},
        "goal": {"minimise": "mean_tpot_ms"}});
    let done = finished(&server, &sweep).await;
    assert_eq!(
        (&done["search"]["best_point"], &done["search"]["method"]),
        (&json!(2), &json!("grid")),
        "{done:#}"
    );
}

#[tokio::test]
async fn a_server_that_is_started_after_a_crash_goes_on_with_a_search() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = format!("sqlite://{}", folder.path().join("joulemark.db").display());
    let options = ["--database-url", &*database, "--allow-synthetic-engine"];
    let server = Server::start_in(folder.path(), &options);
    let sweep = json!({"base": base(), "axes": {"max_output_tokens": [8, 9, 10, 11, 12, 13, 14, 15, 16]},
        "goal": {"minimise": "output_tokens"}});
    let (status, accepted) = submitted(&server, &sweep).await;
    assert_eq!(status, StatusCode::CREATED, "{accepted:#}");
    let id = accepted["id"].as_str().expect("an id").to_owned();
    server.kill();
    let server = Server::start_in(folder.path(), &options);
    let done = until_finished(&server, &id).await;
    assert_eq!(
        (&done["search"]["state"], &done["search"]["best_point"]),
        (&json!("done"), &json!(0)),
        "{done:#}"
    );
}

#[tokio::test]
async fn of_a_sweep_with_a_bad_point_nothing_is_accepted() {
    let server = Server::start();
    for (change, pointer, said) in [
        (json!({"axes": {"num_cycles": [1, 0]}}), "/axes/num_cycles/1", "point 1"),
        (
            json!({"axes": {"decoder.colour": [1]}}),
            "/axes/decoder.colour/0",
            "not a known field",
        ),
        (
            json!({"axes": {"num_cycles": []}}),
            "/axes/num_cycles",
            "one value or more",
        ),
        (
            json!({"axes": {"num_cycles": [1, 2], "batch_size": [1]}, "mode": "zip"}),
            "/axes/batch_size",
            "zip",
        ),
        (
            json!({"axes": {"num_cycles": [1, 2]}, "repeats": 501}),
            "/axes",
            "at most 1000",
        ),
        (
            json!({"axes": {"model_name": ["synthetic:", "none.gguf"]}}),
            "/axes/model_name/1",
            "models folder",
        ),
        (
            json!({"axes": {"labels.sweep": ["a"]}}),
            "/axes/labels.sweep",
            "same for all",
        ),
        (
            json!({"base": {"prompts": ["a"], "max_output_token": 1}}),
            "/base/model_name",
            "required",
        ),
        (
            json!({"goal": {"minimise": "speed"}}),
            "/goal/minimise",
            "GET /v1/metrics",
        ),
        (json!({"goal": {}}), "/goal/minimise", "maximise"),
        (json!({"colour": 1}), "/colour", "Accepted are"),
    ] {
        let mut sweep = json!({"base": base()});
        for (name, value) in change.as_object().expect("an object") {
            sweep[name] = value.clone();
        }
        let (status, problem) = submitted(&server, &sweep).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{sweep}: {problem:#}");
        assert_eq!(problem["type"], "urn:problem-type:joulemark:invalid-sweep");
        let errors = problem["errors"].as_array().expect("errors").iter();
        let fits = |error: &Value| {
            error["pointer"] == pointer && error["detail"].as_str().is_some_and(|detail| detail.contains(said))
        };
        assert!(errors.clone().any(fits), "{pointer}: {problem:#}");
    }
    assert_eq!(server.get("/v1/experiments").await.1["items"], json!([]));
    assert_eq!(server.get("/v1/sweeps").await.1["items"], json!([]));
}

#[tokio::test]
async fn points_that_are_equal_share_their_experiments() {
    let server = Server::start();
    // The default is what the second point spells out.
    let sweep = json!({"base": base(), "axes": {"decoder.temperature": [null, 0.0], "num_cycles": [1]}, "repeats": 2});
    let (status, accepted) = submitted(&server, &sweep).await;
    assert_eq!(status, StatusCode::CREATED, "{accepted:#}");
    let rows = &accepted["table"];
    assert_eq!(rows[0]["experiments"], rows[1]["experiments"], "{accepted:#}");
    assert_eq!(
        (&accepted["points"], &accepted["progress"]["experiments"]),
        (&json!(2), &json!(2))
    );
}

#[tokio::test]
async fn a_sweep_finds_room_for_all_or_none_and_is_cancelled_by_whose_it_is() {
    let guarded = Guarded::start(&["--max-unfinished-per-user", "3"]);
    let [ada, eve] = ["ada", "eve"].map(|name| guarded.key(name, "submitter"));
    let slow = |count: usize| {
        let values: Vec<usize> = (1..=count).collect();
        json!({"base": {"model_name": "synthetic:decode_ms=60000", "prompts": ["my secret"]}, "axes": {"num_cycles": values}})
    };
    let post = async |path: &str, key: &str, body: Option<&Value>| {
        let response = guarded.send(Method::POST, path, key, body).await;
        (response.status(), response.json::<Value>().await.expect("JSON"))
    };
    let (status, problem) = post("/v1/sweeps", &ada, Some(&slow(4))).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{problem:#}");
    assert_eq!(guarded.get("/v1/experiments", &ada).await.1["items"], json!([]));
    let (status, accepted) = post("/v1/sweeps", &ada, Some(&slow(3))).await;
    assert_eq!(status, StatusCode::CREATED, "{accepted:#}");
    let path = format!("/v1/sweeps/{}", accepted["id"].as_str().expect("an id"));
    let (_, seen) = guarded.get(&path, &eve).await;
    assert_eq!(seen["submitter"], "ada");
    assert!(!seen.to_string().contains("my secret"), "{seen:#}");
    assert_eq!(
        post(&format!("{path}/cancel"), &eve, None).await.0,
        StatusCode::FORBIDDEN
    );
    let (status, cancelled) = post(&format!("{path}/cancel"), &ada, None).await;
    assert_eq!(
        (status, &cancelled["state"]),
        (StatusCode::OK, &json!("cancelled")),
        "{cancelled:#}"
    );
    assert_eq!(cancelled["progress"]["cancelled"], 3);
}

#[tokio::test]
async fn the_client_submits_a_sweep_and_prints_its_table() {
    let server = Server::start();
    let file = server.folder.join("sweep.yaml");
    let text = "base:\n  model_name: synthetic:decode_ms=1\n  prompts: [one]\n  max_output_tokens: 4\n  num_cycles: 1\n  \
        idle_baseline_sec: 0\naxes:\n  max_input_tokens: [8, 16]\n";
    std::fs::write(&file, text).expect("it can be written");
    let file = file.display().to_string();
    let said = run(
        &server.url,
        &["sweep", &file, "--wait", "--table", "--metric", "mean_ttft_ms"],
    )
    .ended(0);
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(
        lines[0].contains("max_input_tokens")
            && lines[2].contains("16")
            && said.out.contains("\n  synthetic_engine (2 of 2): "),
        "{}",
        said.out
    );
    assert!(said.errors.contains("2 of 2 done"), "{}", said.errors);
    let (_, list) = server.get("/v1/sweeps?limit=1").await;
    let id = list["items"][0]["id"].as_str().expect("an id");
    let again = run(&server.url, &["sweep", id, "--table", "--metric", "mean_ttft_ms"]).ended(0);
    assert_eq!(again.out, said.out);
    let listed = run(&server.url, &["list", "--sweep", id]).ended(0).lines();
    assert_eq!(listed.len(), 2);
    let exported = run(&server.url, &["export", "--sweep", id]).ended(0);
    assert_eq!(exported.out.lines().count(), 3, "{}", exported.out);
    for command in ["results", "status", "cite", "manifest"] {
        let said = run(&server.url, &[command, id]).ended(2);
        let expected = format!("{id} is a sweep: joulemark sweep {id}");
        assert!(said.errors.contains(&expected), "{}", said.errors);
    }
    let bundle = server.folder.join("b.tar").display().to_string();
    let said = run(&server.url, &["bundle", id, "-o", &bundle]).ended(2);
    assert!(said.errors.contains("is a sweep"), "{}", said.errors);
    let one = listed[0]["id"].as_str().expect("an id");
    let said = run(&server.url, &["sweep", one]).ended(2);
    assert!(said.errors.contains("No such sweep"), "{}", said.errors);
    let experiment = server.folder.join("one.json");
    std::fs::write(&experiment, base().to_string()).expect("it can be written");
    let experiment = experiment.display().to_string();
    let said = run(
        &server.url,
        &["submit", &experiment, "--repeat", "3", "--wait", "--json"],
    )
    .ended(0);
    let sweep = &said.lines()[0];
    assert_eq!(
        (&sweep["repeats"], &sweep["table"][0]["completed"]),
        (&json!(3), &json!(3))
    );
    let bad = server.folder.join("bad.json");
    std::fs::write(&bad, "{\"base\": {}, \"axes\": {\"a\": []}}").expect("it can be written");
    run(&server.url, &["sweep", &bad.display().to_string()]).ended(2);
}
