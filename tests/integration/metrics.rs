use std::collections::{BTreeMap, BTreeSet};

use joulemark_measurement::clock::Monotonic;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::exposition::{Exposition, read};
use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::guarded::{Guarded, connect, raw};
use crate::installed;
use crate::mock_nvml::{MockNvml, uuid};
use crate::server::Server;

fn quick() -> Value {
    json!({"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 2, "num_cycles": 1,
           "warmup_iterations": 0, "idle_baseline_sec": 0})
}

fn slow() -> Value {
    json!({"model_name": "synthetic:decode_ms=5000", "prompts": ["a"], "max_output_tokens": 4})
}

async fn scrape(server: &Server) -> Exposition {
    let (status, text) = server.get("/metrics").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    read(text.as_str().expect("text"))
}

#[tokio::test]
async fn the_queue_and_what_ended_are_counted() {
    let server = Server::start();
    let before = scrape(&server).await;
    assert_eq!(
        before.one("joulemark_experiments_finished_total", &[("state", "failed")]),
        0.0
    );
    let done = server.accepted(&quick()).await;
    server.until_state(&done, "completed").await;
    let failing = json!({"model_name": "synthetic:error_at=1", "prompts": ["a"], "max_output_tokens": 2});
    let failed = server.accepted(&failing).await;
    server.until_state(&failed, "failed").await;
    let running = server.accepted(&slow()).await;
    server.until_state(&running, "measuring").await;
    let waiting = server.accepted(&slow()).await;
    let cancelled = server.accepted(&slow()).await;
    server.cancel(&cancelled).await;
    // Counts are kept for a second.
    let after = loop {
        let after = scrape(&server).await;
        if after.one("joulemark_experiments", &[("state", "queued")]) == 1.0 {
            break after;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(after.one("joulemark_experiments", &[("state", "measuring")]), 1.0);
    assert_eq!(
        after.one("joulemark_queued_experiments", &[("device", "cpu"), ("gpus", "0")]),
        1.0
    );
    assert_eq!(after.one("joulemark_running_experiments", &[]), 1.0);
    assert_eq!(after.one("joulemark_device_leased", &[("device", "cpu")]), 1.0);
    for (state, count) in [("completed", 1.0), ("failed", 1.0), ("cancelled", 1.0)] {
        assert_eq!(
            after.one("joulemark_experiments_finished_total", &[("state", state)]),
            count,
            "{state}"
        );
    }
    assert_eq!(
        after.one(
            "joulemark_experiment_run_duration_seconds_count",
            &[("state", "completed")]
        ),
        1.0
    );
    assert_eq!(after.one("joulemark_store_group_submissions_sum", &[]), 5.0);
    assert!(
        after.one(
            "joulemark_store_write_duration_seconds_count",
            &[("operation", "claim")]
        ) >= 2.0
    );
    assert_eq!(after.one("joulemark_store_reachable", &[]), 1.0);
    assert_eq!(after.one("joulemark_store_spooled_endings", &[]), 0.0);
    for id in [running, waiting] {
        server.cancel(&id).await;
    }
}

/// What a scrape said, and between which moments the server drew it up.
struct Scrape {
    text: Exposition,
    asked: Monotonic,
    answered: Monotonic,
}

impl Scrape {
    async fn of(server: &Server) -> Self {
        let (asked, text) = (Monotonic::now(), scrape(server).await);
        let answered = Monotonic::now();
        Self { text, asked, answered }
    }

    fn one(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.text.one(name, labels)
    }

    /// The earliest and the latest moment, in seconds, that a source's last sample may be of.
    fn sampled_sec(&self, labels: &[(&str, &str)]) -> [f64; 2] {
        let age_sec = self.one("joulemark_meter_last_sample_age_seconds", labels);
        [self.asked, self.answered].map(|moment| moment.as_sec() - age_sec)
    }
}

#[tokio::test]
async fn power_and_energy_are_the_meters_own_and_energy_only_grows() {
    const SWEEPS: f64 = 8.0;
    let nvml = MockNvml::new("devices=2\nshape=constant:250,constant:100");
    let tree = FakePowercap::start(vec![FakeZone::new("intel-rapl:0", "package-0", "constant:60")]);
    let (library, root) = (nvml.library().display().to_string(), tree.root().display().to_string());
    let server = Server::start_with(&["--nvml-lib", &library, "--rapl-root", &root]);
    let first = Scrape::of(&server).await;
    let sweeps = |of: &Scrape| of.one("joulemark_meter_sweeps_total", &[]);
    let last = loop {
        let last = Scrape::of(&server).await;
        if sweeps(&last) >= sweeps(&first) + SWEEPS {
            break last;
        }
        assert!(last.asked.sec_since(first.asked) < 60.0, "the meter sweeps no more");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    for (device, domain, watts) in [
        (uuid(0), "gpu", 250.0),
        (uuid(1), "gpu", 100.0),
        ("intel-rapl:0".to_owned(), "package", 60.0),
    ] {
        let labels = [("device", device.as_str()), ("domain", domain)];
        let power = last.one("joulemark_power_watts", &labels);
        assert!((power - watts).abs() < 0.05 * watts, "{device}: {power}");
        let energy = |of: &Scrape| of.one("joulemark_energy_joules_total", &labels);
        let grown_j = energy(&last) - energy(&first);
        let (since, until) = (first.sampled_sec(&labels), last.sampled_sec(&labels));
        let (least_j, most_j) = (watts * (until[0] - since[1]), watts * (until[1] - since[0]));
        assert!(
            (0.95 * least_j..1.05 * most_j).contains(&grown_j),
            "{device}: {grown_j} J of {least_j} to {most_j} J"
        );
    }
    let sources = last.text.labels_of("joulemark_energy_joules_total");
    assert!(
        sources.iter().any(|labels| labels["source"] == "rapl_powercap"),
        "{sources:?}"
    );
    for labels in &sources {
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let samples = |of: &Scrape| of.one("joulemark_meter_samples_total", &labels);
        assert!(samples(&last) > samples(&first), "{labels:?}");
        assert!(last.one("joulemark_meter_last_sample_age_seconds", &labels) < 10.0);
        assert_eq!(last.one("joulemark_meter_failures_total", &labels), 0.0);
    }
    assert_eq!(last.one("joulemark_meter_alive", &[]), 1.0);
    assert!(last.one("joulemark_meter_missed_sweeps_total", &[]) >= 0.0);
}

#[tokio::test]
async fn whoever_asks_for_paths_at_random_makes_no_series() {
    let server = Server::start();
    for number in 0..50 {
        server.get(&format!("/v1/experiments/{number}")).await;
        server.get(&format!("/nowhere/{number}?a={number}")).await;
        let odd = format!("M{number} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        raw(&server, odd.as_bytes()).await;
    }
    let text = scrape(&server).await;
    let series = text.labels_of("joulemark_http_request_duration_seconds_count");
    let routes: BTreeSet<_> = series.iter().map(|labels| labels["route"].as_str()).collect();
    // At the root there is a page.
    assert_eq!(routes, BTreeSet::from(["/", "/v1/experiments/{id}", "none"]));
    let labels = [("method", "GET"), ("route", "/v1/experiments/{id}"), ("status", "4xx")];
    assert_eq!(text.one("joulemark_http_request_duration_seconds_count", &labels), 50.0);
    let odd = [("method", "other"), ("route", "/"), ("status", "4xx")];
    assert_eq!(text.one("joulemark_http_request_duration_seconds_count", &odd), 50.0);
    assert_eq!(
        text.one("joulemark_http_requests_in_flight", &[]),
        1.0,
        "the scrape itself"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_is_counted_and_no_longer_in_flight() {
    use tokio::io::AsyncWriteExt as _;
    let server = Server::start();
    let mut leaving = connect(&server).await;
    let half = b"POST /v1/experiments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 100\r\n\r\n{";
    leaving.write_all(half).await.unwrap();
    while scrape(&server).await.one("joulemark_http_requests_in_flight", &[]) < 2.0 {}
    drop(leaving);
    while scrape(&server).await.one("joulemark_http_requests_in_flight", &[]) > 1.0 {}
}

#[tokio::test]
async fn metrics_need_a_readers_key_or_an_address_on_the_list() {
    let closed = Guarded::start(&[]);
    let reader = closed.key("prometheus", "reader");
    let url = format!("{}/metrics", closed.server.url);
    assert_eq!(reqwest::get(&url).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let with_key = reqwest::Client::new()
        .get(&url)
        .bearer_auth(&reader)
        .send()
        .await
        .unwrap();
    assert_eq!(with_key.status(), StatusCode::OK);

    let opened = Guarded::start(&["--metrics-from", "127.0.0.0/8"]);
    let url = format!("{}/metrics", opened.server.url);
    assert_eq!(reqwest::get(&url).await.unwrap().status(), StatusCode::OK);
    let experiments = format!("{}/v1/experiments", opened.server.url);
    assert_eq!(
        reqwest::get(&experiments).await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    // A proxy on this host that is not trusted would open it to everybody behind it.
    let through = reqwest::Client::new()
        .get(&url)
        .header("x-forwarded-for", "203.0.113.9")
        .send();
    assert_eq!(through.await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let elsewhere = Guarded::start(&["--metrics-from", "192.0.2.0/24"]);
    let url = format!("{}/metrics", elsewhere.server.url);
    assert_eq!(reqwest::get(&url).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn openmetrics_is_for_those_who_ask_for_it() {
    let server = Server::start();
    let asked = |accept: &'static str| {
        let request = reqwest::Client::new()
            .get(format!("{}/metrics", server.url))
            .header("accept", accept);
        async { request.send().await.unwrap() }
    };
    let plain = asked("*/*").await;
    assert_eq!(
        plain.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
    let open = asked(prometheus).await;
    assert!(
        open.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text; version=1.0.0")
    );
    let text = open.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains("# UNIT joulemark_energy_joules joules\n"), "{text}");
}

#[tokio::test]
async fn promtool_finds_nothing_to_say() {
    let mut promtool = installed("promtool", "prometheus");
    let server = Server::start();
    let id = server.accepted(&quick()).await;
    server.until_state(&id, "completed").await;
    let (_, text) = server.get("/metrics").await;
    let mut promtool = promtool
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = promtool.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, text.as_str().unwrap().as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr]
        .map(|said| String::from_utf8_lossy(&said).into_owned())
        .concat();
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[tokio::test]
async fn every_family_has_a_description_and_its_process_is_there() {
    let server = Server::start();
    let text = scrape(&server).await;
    let families: BTreeMap<_, _> = text.families().collect();
    assert!(families.len() > 25, "{families:?}");
    for (name, help) in families {
        assert!(name.starts_with("joulemark_") || name.starts_with("process_"), "{name}");
        assert!(help.len() > 10, "{name}: {help:?}");
    }
    assert!(text.one("process_resident_memory_bytes", &[]) > 1e6);
    assert!(text.one("process_open_fds", &[]) >= 3.0);
    assert!(text.one("process_start_time_seconds", &[]) > 1.7e9);
    assert!(text.one("joulemark_uptime_seconds", &[]) >= 0.0);
    assert_eq!(text.one("joulemark_http_streams_open", &[]), 0.0);
    let mut watching = reqwest::get(format!("{}/v1/events", server.url)).await.unwrap();
    watching.chunk().await.unwrap();
    assert_eq!(scrape(&server).await.one("joulemark_http_streams_open", &[]), 1.0);
    drop(watching);
    assert_eq!(
        text.labels_of("joulemark_build_info")[0]["version"],
        env!("CARGO_PKG_VERSION")
    );
}

/// What is not there now: no key ends, and there is no backup.
const SELDOM: [&str; 2] = ["joulemark_api_key_next_expiry_seconds", "joulemark_backup_age_seconds"];

#[tokio::test]
async fn every_alert_fires_in_its_test_and_asks_for_metrics_that_are_there() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let mut promtool = installed("promtool", "prometheus");
        let output = promtool.args(arguments).current_dir(&folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let (rules, tests) = (read("alerts.yml"), read("alerts_test.yml"));
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("{name} fires")), "{name}");
    }
    let server = Server::start();
    let (_, text) = server.get("/metrics").await;
    let text = text.as_str().unwrap();
    let names = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = names
        .filter(|name| name.starts_with("joulemark_"))
        .collect::<BTreeSet<_>>();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let is_there = text.lines().any(|line| line.starts_with(name));
        assert!(is_there || SELDOM.contains(&name), "{name}");
    }
}

#[tokio::test]
async fn keys_that_end_and_the_age_of_the_backup_are_told() {
    let guarded = Guarded::start(&["--metrics-from", "127.0.0.1"]);
    guarded.key("nobody", "reader");
    let (good, _, errors) = guarded.key_command(&["create", "--name", "ada", "--role", "reader", "--expires", "2d"]);
    assert!(good, "{errors}");
    let copy = guarded.server.folder.join("copy.db");
    let backup = std::process::Command::new(env!("CARGO_BIN_EXE_joulemark"))
        .args(["db", "backup"])
        .arg(&copy)
        .arg("--database-url")
        .arg(format!(
            "sqlite://{}",
            guarded.server.folder.join("joulemark.db").display()
        ))
        .output()
        .unwrap();
    assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
    let text = scrape(&guarded.server).await;
    let left_sec = text.one("joulemark_api_key_next_expiry_seconds", &[]);
    assert!((0.0..=2.0 * 86_400.0).contains(&left_sec), "{left_sec}");
    assert!(text.one("joulemark_backup_age_seconds", &[]) >= 0.0);
    assert_eq!(text.one("joulemark_disk_writable", &[("disk", "database")]), 1.0);
    assert!(text.one("joulemark_disk_free_bytes", &[("disk", "spool")]) > 0.0);
    assert_eq!(text.one("joulemark_device_held_elsewhere", &[("device", "cpu")]), 0.0);
}
