//! What one submitter may have: priority, unfinished experiments, device-hours and joules of seven days.

use joulemark_measurement::clock;
use joulemark_store::hour_of;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

use crate::client_command::{Said, command, slow, synthetic};
use crate::exposition::read;
use crate::guarded::Guarded;
use crate::server::Server;

const HOUR_US: i64 = 3_600_000_000;

fn with_priority(priority: i32) -> Value {
    let mut experiment = synthetic("decode_ms=0");
    experiment["priority"] = json!(priority);
    experiment
}

/// Puts usage down to ada, in the place of all that there was: so many hours ago, device-hours and joules.
async fn put_down(guarded: &Guarded, ago_hours: i64, device_hours: i64, joules: f64) {
    let url = format!("sqlite://{}", guarded.server.folder.join("joulemark.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("DELETE FROM device_time")
        .execute(&mut connection)
        .await
        .unwrap();
    let text = "INSERT INTO device_time (user_name, hour, device_us, attempts, metered_attempts, energy_j) \
         VALUES ('ada', $1, $2, 3, 2, $3)";
    sqlx::query(text)
        .bind(hour_of(clock::wall_now()) - ago_hours)
        .bind(device_hours * HOUR_US)
        .bind(joules)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

/// The seconds since 1970 of a time that an answer names.
fn seconds(text: &Value) -> i64 {
    let time: jiff::Timestamp = text.as_str().expect("a time").parse().expect("a time");
    time.as_second()
}

#[tokio::test]
async fn only_admins_go_above_the_priority_of_submitters() {
    let closed = Guarded::start(&[]);
    let open = Guarded::start(&["--max-priority-submitter", "5"]);
    for (guarded, most) in [(&closed, 0), (&open, 5)] {
        let (ada, root) = (guarded.key("ada", "submitter"), guarded.key("root", "admin"));
        for priority in [-100, most] {
            guarded.accepted(&ada, &with_priority(priority)).await;
        }
        let (status, problem) = guarded.submit(&ada, &with_priority(most + 1)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{problem:#}");
        assert!(
            problem["type"].as_str().unwrap().ends_with(":priority-too-high"),
            "{problem:#}"
        );
        let error = &problem["errors"][0];
        assert_eq!(error["pointer"], "/priority");
        let detail = error["detail"].as_str().unwrap();
        for part in [
            format!("is {};", most + 1).as_str(),
            format!("at most {most} ").as_str(),
            "role submitter",
            "only admins",
        ] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
        let id = guarded.accepted(&root, &with_priority(100)).await;
        let (_, shown) = guarded.get(&format!("/v1/experiments/{id}"), &root).await;
        assert_eq!(shown["priority"], 100, "what is stored keeps its priority");
        for (key, expected) in [(&ada, most), (&root, 100)] {
            assert_eq!(guarded.get("/v1/limits", key).await.1["max_priority"], expected);
        }
        // Repeated by somebody who may not ask for it.
        let file = guarded.server.folder.join("shown.json");
        std::fs::write(&file, shown.to_string()).unwrap();
        let repeat = |key: &str| {
            let mut command = command(&guarded.server.url, &["submit", "-q", file.to_str().unwrap()]);
            Said::of(command.env("JOULEMARK_API_KEY", key).output().unwrap())
        };
        let said = repeat(&ada).ended(2).errors;
        assert!(said.contains("/priority") && said.contains("is 100;"), "{said}");
        assert!(said.contains("repeats an experiment of priority 100"), "{said}");
        repeat(&root).ended(0);
    }
    Server::start().accepted(&with_priority(100)).await;
}

#[tokio::test]
async fn one_submitter_may_have_another_limit_than_the_rest() {
    let guarded = Guarded::start(&[
        "--max-unfinished-per-user",
        "1",
        "--user-limit",
        "ada:max_unfinished_per_user=2",
    ]);
    let (ada, bob) = (guarded.key("ada", "submitter"), guarded.key("bob", "submitter"));
    for (key, allowed) in [(&ada, 2), (&bob, 1)] {
        let slow = slow();
        let answers = futures::future::join_all((0..5).map(|_| guarded.submit(key, &slow))).await;
        let stored = answers.iter().filter(|(status, _)| *status == StatusCode::CREATED);
        assert_eq!(stored.count(), allowed);
        let refused = answers
            .iter()
            .find(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS);
        let detail = refused.unwrap().1["detail"].as_str().unwrap();
        assert!(
            detail.starts_with(&format!("the caller has {allowed} unfinished experiments")),
            "{detail}"
        );
        let told = &guarded.get("/v1/limits", key).await.1["unfinished"];
        assert_eq!(told, &json!({"used": allowed, "allowed": allowed}));
    }
}

#[tokio::test]
async fn what_an_experiment_took_is_put_down_to_its_submitter() {
    let guarded = Guarded::start(&["--max-device-hours-per-week", "2"]);
    let keys = [
        guarded.key("ada", "submitter"),
        guarded.key("ada", "reader"),
        guarded.key("bob", "submitter"),
    ];
    let id = guarded.accepted(&keys[0], &synthetic("decode_ms=20")).await;
    loop {
        let path = format!("/v1/experiments/{id}?wait=60");
        if guarded.get(&path, &keys[0]).await.1["state"] == "completed" {
            break;
        }
    }
    let (_, results) = guarded.get(&format!("/v1/experiments/{id}/results"), &keys[0]).await;
    let (_, of_ada) = guarded.get("/v1/limits", &keys[1]).await;
    assert_eq!((&of_ada["name"], &of_ada["role"]), (&json!("ada"), &json!("reader")));
    assert_eq!(of_ada["device_hours"]["allowed"], 2);
    assert_eq!(of_ada["energy_j"]["allowed"], json!(null));
    let hours = of_ada["device_hours"]["used"].as_f64().unwrap();
    assert!(hours > 0.0 && hours < 1.0, "{of_ada:#}");
    // Cycles alone are in the total; loading and warm-up may be beside it.
    match results["energy"]["total_energy_j"].as_f64() {
        Some(joules) => {
            let used = of_ada["energy_j"]["used"].as_f64().unwrap();
            assert!(used >= joules - 1e-9, "{joules}: {of_ada:#}");
            assert_eq!(of_ada["experiments_without_energy"], 0);
        }
        None => assert_eq!(of_ada["experiments_without_energy"], 1),
    }
    let (_, of_bob) = guarded.get("/v1/limits", &keys[2]).await;
    assert_eq!(of_bob["device_hours"]["used"], 0.0);
}

#[tokio::test]
async fn whoever_has_used_up_a_week_is_refused_until_enough_of_it_is_seven_days_old() {
    let limits = ["--max-device-hours-per-week", "2", "--max-joules-per-week", "500"];
    let more = ["--user-limit", "eve:max_device_hours_per_week=0", "--max-queued", "0"];
    let guarded = Guarded::start(&[limits, more].concat());
    let [ada, bob, root] =
        [("ada", "submitter"), ("bob", "submitter"), ("root", "admin")].map(|(name, role)| guarded.key(name, role));
    let now_hour = || hour_of(clock::wall_now());
    for (device_hours, joules, kind, used, option) in [
        (
            2,
            0.0,
            ":device-hours-used-up",
            "2.00 device-hours",
            "allowed are 2 (max_device_hours_per_week)",
        ),
        (
            1,
            500.0,
            ":joules-used-up",
            "500.00 joules",
            "allowed are 500 (max_joules_per_week)",
        ),
    ] {
        let leaves_at = (now_hour() - 100 + 168) * 3600;
        put_down(&guarded, 100, device_hours, joules).await;
        let response = guarded.send(Method::POST, "/v1/experiments", &ada, Some(&slow())).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let retry_after: i64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        let problem: Value = response.json().await.unwrap();
        assert!(problem["type"].as_str().unwrap().ends_with(kind), "{problem:#}");
        let detail = problem["detail"].as_str().unwrap();
        for part in ["\"ada\"", used, option, "room again at "] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
        // The hour may have turned since.
        let left = leaves_at - clock::wall_now().as_second();
        assert!((retry_after - left).abs() <= 3600, "{retry_after} for {left}");
        let (_, told) = guarded.get("/v1/limits", &ada).await;
        let account = if device_hours == 2 { "device_hours" } else { "energy_j" };
        assert_eq!(told["experiments_without_energy"], 1, "{told:#}");
        let again = seconds(&told[account]["room_again_at"]);
        assert!([leaves_at, leaves_at + 3600].contains(&again), "{told:#}");
        guarded.accepted(&bob, &synthetic("")).await;
    }
    let (_, text) = {
        let response = guarded.send(Method::GET, "/metrics", &root, None).await;
        (response.status(), response.text().await.unwrap())
    };
    let scraped = read(&text);
    for reason in ["device-hours-used-up", "joules-used-up"] {
        let name = "joulemark_submissions_refused_total";
        assert_eq!(scraped.one(name, &[("reason", reason)]), 1.0, "{reason}");
    }
    // Seven days and an hour ago.
    put_down(&guarded, 168, 90, 9000.0).await;
    guarded.accepted(&ada, &synthetic("")).await;
}

#[tokio::test]
async fn an_experiment_that_came_before_is_answered_also_when_the_week_is_used_up() {
    let guarded = Guarded::start(&["--max-joules-per-week", "500"]);
    let ada = guarded.key("ada", "submitter");
    let submit = || {
        let request = reqwest::Client::new().post(format!("{}/v1/experiments", guarded.server.url));
        request
            .bearer_auth(&ada)
            .header("idempotency-key", "one")
            .json(&slow())
            .send()
    };
    let first: Value = submit().await.unwrap().json().await.unwrap();
    put_down(&guarded, 3, 0, 501.0).await;
    let again = submit().await.unwrap();
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.json::<Value>().await.unwrap()["id"], first["id"]);
    assert_eq!(guarded.submit(&ada, &slow()).await.0, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn without_authentication_nobody_has_a_limit_of_their_own() {
    let options = [
        "--allow-synthetic-engine",
        "--max-joules-per-week",
        "1",
        "--max-queued",
        "0",
    ];
    let server = Server::start_with(&options);
    let (status, told) = server.get("/v1/limits").await;
    assert_eq!(status, StatusCode::OK);
    for name in [
        "name",
        "unfinished",
        "device_hours",
        "energy_j",
        "experiments_without_energy",
        "max_queued",
    ] {
        assert_eq!(told[name], json!(null), "{name}: {told:#}");
    }
    assert_eq!((&told["role"], &told["max_priority"]), (&json!("admin"), &json!(100)));
    assert_eq!(told["max_prompts"], 100_000);
}
