//! What is told of an experiment before it is over: its place, what it waits for, who has that, how long it will take.

use std::path::Path;

use serde_json::{Value, json};

use crate::client_command::{run, run_with_input};
use crate::server::Server;

fn experiment(parameters: &str) -> Value {
    json!({
        "model_name": format!("synthetic:{parameters}"), "prompts": ["a", "b"], "max_output_tokens": 4,
        "min_output_tokens": 4, "num_cycles": 2, "warmup_iterations": 1, "idle_baseline_sec": 0,
    })
}

fn of_user(user: &str, priority: i32) -> Value {
    let mut experiment = experiment("decode_ms=5");
    experiment["user"] = json!(user);
    experiment["priority"] = json!(priority);
    experiment
}

async fn submitted(server: &Server, experiment: &Value) -> Value {
    let (status, answer) = server.submit(experiment).await;
    assert_eq!(status, 201, "{answer:#}");
    answer
}

fn id(experiment: &Value) -> &str {
    experiment["id"].as_str().expect("an id")
}

#[tokio::test]
async fn what_waits_is_told_its_place_and_who_has_its_device() {
    let server = Server::start_with(&["--allow-synthetic-engine", "--node-name", "box"]);
    let first = submitted(&server, &experiment("prefill_ms=60000")).await;
    let runs = id(&first);
    assert_eq!(
        (&first["queue_position"], &first["queue_wait"]["reason"]),
        (&json!(1), &json!("turn"))
    );
    let shown = server.until_state(runs, "measuring").await;
    assert_eq!(
        (&shown["queue_position"], &shown["queue_wait"]),
        (&Value::Null, &Value::Null)
    );

    let second = submitted(&server, &of_user("ada", 0)).await;
    let third = submitted(&server, &of_user("ada", 0)).await;
    let urgent = submitted(&server, &of_user("ada", 1)).await;
    let other = submitted(&server, &of_user("bob", 0)).await;
    // At the time of each.
    for (answer, position) in [(&second, 1), (&third, 2), (&urgent, 1)] {
        assert_eq!(answer["queue_position"], position, "{answer:#}");
        assert_eq!(answer["waiting_for"], Value::Null, "{answer:#}");
    }
    let held_by = json!([{"node_name": "box", "device": "cpu", "experiment_id": runs, "process_id": null}]);
    for queued in [&second, &third, &urgent, &other] {
        let shown = server.show(id(queued)).await;
        let wait = &shown["queue_wait"];
        assert_eq!(
            (&wait["reason"], &wait["held_by"]),
            (&json!("device_busy"), &held_by),
            "{shown:#}"
        );
        let message = wait["message"].as_str().expect("a sentence");
        assert!(
            message.contains(&format!("cpu of node box by experiment {runs}")),
            "{message}"
        );
    }
    // A look at the queue is kept for a moment: then all agree. Ada's urgent one counts before bob has had anything.
    let expected = [(id(&urgent), 1), (id(&other), 2), (id(&second), 3), (id(&third), 4)];
    for (queued, position) in expected {
        server.until(queued, |shown| shown["queue_position"] == position).await;
    }
    let listed = server
        .get("/v1/experiments?fields=id,queue_position,queue_wait")
        .await
        .1;
    for item in listed["items"].as_array().expect("items") {
        let expected = expected.iter().find(|(queued, _)| *queued == id(item));
        assert_eq!(
            item["queue_position"].as_u64(),
            expected.map(|(_, position)| *position),
            "{item}"
        );
        assert_eq!(item["queue_wait"], Value::Null);
    }
    let said = run(&server.url, &["status", "--table", id(&third)]).ended(0);
    assert!(
        said.out
            .contains("queue        position 4, waits for devices in use: cpu of node box"),
        "{}",
        said.out
    );
    let said = run_with_input(
        &server.url,
        &["submit", "--table", "-"],
        &of_user("ada", -1).to_string(),
    )
    .ended(0);
    assert!(said.errors.contains("queue: position 5, waits for"), "{}", said.errors);
    server.cancel(id(&urgent)).await;
    server.until(id(&third), |shown| shown["queue_position"] == 3).await;
    server.cancel(runs).await;
    server.until_state(id(&third), "completed").await;
}

fn on_the_host(folder: &Path, locks: &Path) -> Server {
    let locks = locks.to_str().expect("a path");
    Server::start_in(
        folder,
        &["--allow-synthetic-engine", "--lock-dir", locks, "--node-name", "here"],
    )
}

#[tokio::test]
async fn another_server_with_another_database_is_told_by_its_process() {
    let folders = [(), (), ()].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let [one, other] = [0, 1].map(|number: usize| on_the_host(folders[number].path(), folders[2].path()));
    let runs = one.accepted(&experiment("prefill_ms=60000")).await;
    one.until_state(&runs, "measuring").await;
    let waits = submitted(&other, &experiment("")).await;
    let shown = other
        .until(id(&waits), |shown| shown["queue_wait"]["reason"] == "device_busy")
        .await;
    let expected = json!([{"node_name": "here", "device": "cpu", "experiment_id": null, "process_id": one.pid()}]);
    assert_eq!(shown["queue_wait"]["held_by"], expected, "{shown:#}");
    let message = shown["queue_wait"]["message"].as_str().expect("a sentence");
    assert!(
        message.contains(&format!("another joulemark server on that host, process {}", one.pid())),
        "{message}"
    );
    assert!(
        !shown.to_string().contains(&runs),
        "the other database's experiments are its own: {shown:#}"
    );

    // One that wants the host alone keeps others out as well.
    let alone = json!({"isolation": "host"});
    let mut isolated = experiment("");
    isolated
        .as_object_mut()
        .unwrap()
        .extend(alone.as_object().unwrap().clone());
    let isolated = submitted(&other, &isolated).await;
    other
        .until(id(&isolated), |shown| shown["queue_wait"]["reason"] == "device_busy")
        .await;
    one.cancel(&runs).await;
    other.until_state(id(&waits), "completed").await;
    other.until_state(id(&isolated), "completed").await;
}

#[tokio::test]
async fn a_duration_is_estimated_by_past_runs_in_proportion_to_the_tokens() {
    let server = Server::start();
    let first = submitted(&server, &experiment("decode_ms=30")).await;
    let estimate = &first["duration_estimate"];
    assert_eq!(
        (&estimate["duration_sec"], &estimate["method"]),
        (&Value::Null, &Value::Null),
        "{estimate:#}"
    );
    assert_eq!(estimate["reason"], "no run of this model was completed");
    let shown = server.until_state(id(&first), "completed").await;
    assert_eq!(shown["duration_estimate"], Value::Null);
    let took = server.results(id(&first)).await["timing"].clone();
    let measuring = took["measuring_sec"].as_f64().unwrap();

    let again = submitted(&server, &experiment("decode_ms=30")).await;
    let of = |answer: &Value, name: &str| {
        answer["duration_estimate"][name]
            .as_f64()
            .unwrap_or_else(|| panic!("{answer:#}"))
    };
    assert_eq!(
        (&again["duration_estimate"]["method"], of(&again, "runs")),
        (&json!("past_runs"), 1.0)
    );
    assert!(
        (of(&again, "duration_sec") - took["total_sec"].as_f64().unwrap()).abs() < 0.01,
        "{again:#}"
    );
    server.until_state(id(&again), "completed").await;
    let mut longer = experiment("decode_ms=30");
    longer["num_cycles"] = json!(20);
    let longer = submitted(&server, &longer).await;
    assert_eq!(of(&longer, "runs"), 2.0);
    assert!(of(&longer, "duration_sec") > 5.0 * measuring, "{longer:#}");
    assert!(
        of(&longer, "least_sec") <= of(&longer, "duration_sec")
            && of(&longer, "duration_sec") <= of(&longer, "most_sec")
    );
    // By its own pace once it runs.
    let shown = server
        .until(id(&longer), |shown| {
            shown["duration_estimate"]["method"] == "measured_cycles"
        })
        .await;
    assert!(of(&shown, "duration_sec") > 0.0);
    server.cancel(id(&longer)).await;
    let mut unlike = experiment("decode_ms=30");
    unlike["batch_size"] = json!(2);
    let unlike = submitted(&server, &unlike).await;
    let reason = unlike["duration_estimate"]["reason"].as_str().expect("a reason");
    assert!(reason.ends_with("batch size"), "{reason}");
    let said = run_with_input(
        &server.url,
        &["submit", "--table", "-"],
        &experiment("decode_ms=30").to_string(),
    )
    .ended(0);
    assert!(
        said.errors.contains("duration: about ") && said.errors.contains("from 2 past runs"),
        "{}",
        said.errors
    );
}

#[tokio::test]
async fn a_duration_is_estimated_by_the_warm_up_where_there_is_no_past() {
    let server = Server::start();
    let mut experiment = experiment("prefill_ms=50,decode_ms=50");
    experiment["warmup_iterations"] = json!(2);
    experiment["idle_baseline_sec"] = json!(2);
    // It shows during the first cycle: long enough for whoever looks late.
    experiment["prompts"] = json!(vec!["a"; 200]);
    let queued = submitted(&server, &experiment).await;
    let shown = server
        .until(id(&queued), |shown| shown["duration_estimate"]["method"] == "warm_up")
        .await;
    let estimate = &shown["duration_estimate"];
    assert!(
        estimate["least_sec"].as_f64() < estimate["most_sec"].as_f64(),
        "{estimate:#}"
    );
    server.cancel(id(&queued)).await;
}
