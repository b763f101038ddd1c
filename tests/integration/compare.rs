//! Results held against each other: by the API, by the client, and with files alone.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client_command::{Said, run};
use crate::guarded::Guarded;
use crate::server::Server;

/// Two prompts of 20 tokens each, in six cycles.
fn experiment(decode_ms: u32) -> Value {
    json!({
        "model_name": format!("synthetic:prefill_ms=4,decode_ms={decode_ms}"), "prompts": ["one", "two"],
        "max_output_tokens": 20, "min_output_tokens": 20, "num_cycles": 6, "warmup_iterations": 0, "idle_baseline_sec": 0,
        "labels": {"paper": "fig3"},
    })
}

async fn completed(server: &Server, experiment: &Value) -> String {
    let id = server.accepted(experiment).await;
    server.until_state(&id, "completed").await;
    id
}

async fn compared(server: &Server, question: &Value) -> (StatusCode, Value) {
    let response = server
        .post("/v1/compare", "application/json", question.to_string())
        .await;
    (response.status(), response.json().await.expect("JSON"))
}

fn of<'a>(answer: &'a Value, metric: &str) -> &'a Value {
    let mut comparisons = answer["comparisons"].as_array().expect("a list").iter();
    comparisons
        .find(|comparison| comparison["metric"] == metric)
        .unwrap_or_else(|| panic!("{metric}: {answer:#}"))
}

/// The mean over cycles of the logarithm of a figure.
fn mean_log(results: &Value, pointer: &str) -> f64 {
    let cycles = results["cycles"].as_array().expect("a list");
    let logs = cycles
        .iter()
        .map(|cycle| cycle.pointer(pointer).and_then(Value::as_f64).expect("known").ln());
    logs.sum::<f64>() / cycles.len() as f64
}

#[tokio::test]
async fn results_are_compared_alike_by_id_as_documents_and_in_files_without_a_server() {
    let server = Server::start();
    // Four times as slow: no neighbour on the test's machine makes up for that.
    let ids = [
        completed(&server, &experiment(4)).await,
        completed(&server, &experiment(16)).await,
    ];
    let (status, by_id) = compared(&server, &json!({"ids": ids})).await;
    assert_eq!(status, StatusCode::OK, "{by_id:#}");
    let results = [server.results(&ids[0]).await, server.results(&ids[1]).await];
    let (status, by_document) = compared(&server, &json!({"results": results})).await;
    assert_eq!((status, &by_document), (StatusCode::OK, &by_id));

    let slower = of(&by_id, "mean_tpot_ms");
    assert_eq!(
        (&slower["verdict"], &slower["test"], &slower["unit"]),
        (&json!("worse"), &json!("welch"), &json!("ms"))
    );
    assert_eq!(
        (&slower["baseline"], &slower["candidate"]),
        (&json!(ids[0]), &json!(ids[1]))
    );
    assert_eq!((&slower["n_baseline"], &slower["n_candidate"]), (&json!(6), &json!(6)));
    let place = "/inference/mean_tpot_ms";
    let ratio = (mean_log(&results[1], place) - mean_log(&results[0], place)).exp();
    let number = |name: &str| slower[name].as_f64().unwrap_or_else(|| panic!("{name}: {slower:#}"));
    assert!(
        (number("ratio") - ratio).abs() < 1e-9 * ratio,
        "{} is not {ratio}",
        number("ratio")
    );
    assert!(number("ci_low") < ratio && ratio < number("ci_high"));
    assert!(number("p_value") <= number("p_adjusted") && number("p_adjusted") < 0.05);

    let files = [0, 1].map(|place| {
        let file = server.folder.join(format!("{place}.json"));
        std::fs::write(&file, results[place].to_string()).expect("it can be written");
        file.display().to_string()
    });
    let nobody = "http://127.0.0.1:1";
    let said = run(nobody, &["compare", &files[0], &files[1]]).ended(0);
    let mut offline = said.lines().remove(0);
    for comparison in offline["comparisons"].as_array_mut().expect("a list") {
        assert_eq!(
            (&comparison["baseline"], &comparison["candidate"]),
            (&json!(files[0]), &json!(files[1]))
        );
        comparison["baseline"] = json!(ids[0]);
        comparison["candidate"] = json!(ids[1]);
    }
    assert_eq!(offline["comparisons"], by_id["comparisons"]);
    let mixed = run(
        &server.url,
        &["compare", &ids[0], &files[1], "--metric", "mean_tpot_ms", "--table"],
    )
    .ended(0);
    assert!(mixed.out.contains("worse: B needs"), "{}", mixed.out);
    let by_ids = run(&server.url, &["compare", &ids[0], &ids[1], "--json"]).ended(0);
    assert_eq!(by_ids.lines()[0], by_id);
}

#[tokio::test]
async fn cycles_that_statistics_leave_out_are_left_out_of_documents_as_well() {
    let server = Server::start();
    let id = completed(&server, &experiment(1)).await;
    let whole = server.results(&id).await;
    let mut of_fewer = whole.clone();
    of_fewer["id"] = json!("01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11");
    of_fewer["repetition"]["left_out_of_statistics"] = json!([0, 3]);
    let question = json!({"results": [whole, of_fewer], "metrics": ["mean_tpot_ms"]});
    let (status, answer) = compared(&server, &question).await;
    assert_eq!(status, StatusCode::OK, "{answer:#}");
    let comparison = of(&answer, "mean_tpot_ms");
    assert_eq!(
        (&comparison["n_baseline"], &comparison["n_candidate"]),
        (&json!(6), &json!(4))
    );
    let mut unreadable = of_fewer;
    unreadable["repetition"]["left_out_of_statistics"] = json!("0");
    let (_, problem) = compared(&server, &json!({"results": [whole, unreadable]})).await;
    assert_eq!(
        problem["errors"][0]["pointer"],
        "/results/1/repetition/left_out_of_statistics"
    );
}

#[tokio::test]
async fn limits_of_the_cpu_that_differ_are_named_by_id_and_of_documents() {
    let folder = tempfile::tempdir().expect("a folder");
    let zone = folder.path().join("intel-rapl:0");
    std::fs::create_dir(&zone).expect("a zone");
    let write = |file: &str, text: &str| std::fs::write(zone.join(file), text).expect("a file");
    for (file, text) in [
        ("name", "package-0"),
        ("energy_uj", "1"),
        ("max_energy_range_uj", "262143328850"),
        ("constraint_0_name", "long_term"),
        ("constraint_0_time_window_us", "28000000"),
    ] {
        write(file, text);
    }
    let root = folder.path().to_str().expect("a path");
    let server = Server::start_with(&["--allow-synthetic-engine", "--rapl-root", root]);
    let mut ids = Vec::new();
    for limit_uw in ["125000000", "125000000", "95000000"] {
        write("constraint_0_power_limit_uw", limit_uw);
        ids.push(completed(&server, &of_two(["one", "two"])).await);
    }
    let mut results = Vec::new();
    for id in &ids {
        results.push(server.results(id).await);
    }
    assert_eq!(
        results[2]["conditions"]["rapl_limits"],
        json!([{"zone": "package-0", "constraint": "long_term", "power_limit_w": 95.0, "time_window_sec": 28.0}])
    );
    let said = "different RAPL limits: package-0 long_term has 125 W over 28 s in the baseline, 95 W over 28 s in the candidate";
    for question in [json!({"ids": ids}), json!({"results": results})] {
        let (status, answer) = compared(&server, &question).await;
        assert_eq!(status, StatusCode::OK, "{answer:#}");
        let mut named = Vec::new();
        for comparison in answer["comparisons"].as_array().expect("a list") {
            let notes = comparison["notes"].to_string();
            assert_eq!(
                notes.contains(said),
                comparison["candidate"] == json!(ids[2]),
                "{comparison:#}"
            );
            assert!(!notes.contains("different CPU"), "the host is the same: {comparison:#}");
            named.push(&comparison["candidate"]);
        }
        assert!(
            named.contains(&&json!(ids[1])) && named.contains(&&json!(ids[2])),
            "{answer:#}"
        );
    }
    results[2]["conditions"]["turbo"] = json!("much");
    let (_, problem) = compared(&server, &json!({"results": results})).await;
    assert_eq!(problem["errors"][0]["pointer"], "/results/2/conditions", "{problem:#}");
}

#[tokio::test]
async fn a_build_fails_where_a_result_is_worse_or_nothing_could_be_compared() {
    let server = Server::start();
    let ids = [
        completed(&server, &experiment(4)).await,
        completed(&server, &experiment(16)).await,
    ];
    let compare = |rest: &[&str]| -> Said { run(&server.url, &[&["compare"], rest].concat()) };
    let one = ["--metric", "mean_tpot_ms", "--fail-if-worse", "2%"];
    compare(&[&[&*ids[0], &*ids[1]][..], &one].concat()).ended(8);
    compare(&[&[&*ids[1], &*ids[0]][..], &one].concat()).ended(0);
    let mut other = experiment(4);
    other["prompts"] = json!(["three"]);
    let other = completed(&server, &other).await;
    let said = compare(&[&[&*ids[0], &*other][..], &["--table", "--fail-if-worse", "0.02"]].concat()).ended(8);
    assert!(said.out.contains("different prompts"), "{}", said.out);
    let said = compare(&[&*ids[0], &*other, "--force", "--metric", "mean_tpot_ms", "--table"]).ended(0);
    assert!(
        said.out.contains("compared by force: different prompts"),
        "{}",
        said.out
    );
    for (wrong, code) in [
        (&[&*ids[0]][..], 2),
        (&[&*ids[0], &*ids[1], "--metric", "speed"], 2),
        (&[&*ids[0], &*ids[1], "--margin", "2"], 2),
        (&[&*ids[0], "no-such-file.json"], 7),
    ] {
        compare(wrong).ended(code);
    }
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused_with_a_pointer() {
    let server = Server::start();
    let id = completed(&server, &experiment(1)).await;
    let waiting = server
        .accepted(&json!({"model_name": "synthetic:decode_ms=60000", "prompts": ["one"]}))
        .await;
    let nobody = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11";
    for (question, pointer, said) in [
        (json!({"ids": [id, nobody]}), "/ids/1", "there is no experiment"),
        (json!({"ids": [waiting, id]}), "/ids/0", "has no results"),
        (json!({"ids": [id, id]}), "/ids/1", "twice"),
        (
            json!({"results": [server.results(&id).await, {"id": 7}]}),
            "/results/1/cycles",
            "missing",
        ),
        (
            json!({"ids": [id, nobody], "metrics": ["speed"]}),
            "/metrics/0",
            "GET /v1/metrics",
        ),
    ] {
        let (status, problem) = compared(&server, &question).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{question}");
        assert_eq!(problem["type"], "urn:problem-type:joulemark:invalid-comparison");
        let first = &problem["errors"][0];
        assert_eq!(first["pointer"], pointer, "{problem:#}");
        assert!(
            first["detail"].as_str().is_some_and(|detail| detail.contains(said)),
            "{problem:#}"
        );
    }
    server.cancel(&waiting).await;
}

fn of_two(prompts: [&str; 2]) -> Value {
    let mut of_two = experiment(1);
    of_two["num_cycles"] = json!(2);
    of_two["prompts"] = json!(prompts);
    of_two
}

#[tokio::test]
async fn nobody_learns_anothers_prompts_by_comparing_them_with_a_guess() {
    let guarded = Guarded::start(&[]);
    let [ada, eve] = ["ada", "eve"].map(|name| guarded.key(name, "submitter"));
    let reader = guarded.key("rita", "reader");
    let mut ids = Vec::new();
    for (key, prompts) in [
        (&ada, ["my secret", "plan"]),
        (&ada, ["my secret", "plan"]),
        (&ada, ["my other", "plan"]),
        (&eve, ["my secret", "plan"]),
    ] {
        let id = guarded.accepted(key, &of_two(prompts)).await;
        let (status, results) = guarded
            .get(&format!("/v1/experiments/{id}/results?wait=60"), &reader)
            .await;
        assert_eq!(status, StatusCode::OK, "{results:#}");
        ids.push(id);
    }
    for (key, pair, said) in [
        (&ada, (0, 1), None),
        (&reader, (0, 1), None),
        (
            &reader,
            (0, 2),
            Some("different prompts: texts that are withheld in the baseline"),
        ),
        (&eve, (0, 3), Some("the prompts may differ")),
        (&eve, (2, 3), Some("the prompts may differ")),
        (&reader, (0, 3), Some("the prompts may differ")),
    ] {
        let question = json!({"ids": [ids[pair.0], ids[pair.1]], "metrics": ["mean_tpot_ms"]});
        let response = guarded.send(Method::POST, "/v1/compare", key, Some(&question)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let answer: Value = response.json().await.expect("JSON");
        let reason = answer["not_compared"][0]["reason"].as_str();
        match said {
            None => assert_eq!(reason, None, "{answer:#}"),
            Some(said) => assert!(reason.is_some_and(|reason| reason.contains(said)), "{answer:#}"),
        }
    }
}

#[tokio::test]
async fn a_pareto_front_has_every_completed_experiment_of_a_label() {
    let server = Server::start();
    let ids = [
        completed(&server, &experiment(2)).await,
        completed(&server, &experiment(16)).await,
    ];
    let mut unlabelled = experiment(1);
    unlabelled["labels"] = json!({});
    completed(&server, &unlabelled).await;
    let (status, front) = server
        .get("/v1/pareto?x=mean_tpot_ms&y=output_throughput&label=paper%3Dfig3")
        .await;
    assert_eq!(status, StatusCode::OK, "{front:#}");
    assert_eq!(
        front["x"],
        json!({"metric": "mean_tpot_ms", "unit": "ms", "better": "lower"})
    );
    let points = front["points"].as_array().expect("a list");
    let shown: Vec<_> = points
        .iter()
        .map(|point| (&point["id"], &point["on_front"], &point["n"]))
        .collect();
    let (first, second) = (json!(ids[0]), json!(ids[1]));
    assert_eq!(
        shown,
        [(&first, &json!(true), &json!(6)), (&second, &json!(false), &json!(6))]
    );
    assert!(points[0]["x_ci_low"].as_f64() < points[0]["x"].as_f64());
    assert_eq!(points[0]["labels"], json!({"paper": "fig3"}));
    for (query, pointer) in [
        ("y=output_throughput&label=a%3Db", "x"),
        ("x=mean_ttft_ms&y=speed&label=a%3Db", "y"),
        ("x=mean_ttft_ms&y=host_cpu_energy_j&label=a%3Db", "y"),
        ("x=mean_ttft_ms&y=output_throughput", "label"),
        ("x=mean_ttft_ms&y=output_throughput&label=a", "label"),
        ("x=mean_ttft_ms&y=output_throughput&label=a%3Db&z=1", "z"),
    ] {
        let (status, problem) = server.get(&format!("/v1/pareto?{query}")).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (StatusCode::BAD_REQUEST, &json!(pointer)),
            "{problem:#}"
        );
    }
}
