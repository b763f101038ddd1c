//! The page of an experiment and its report, through the real server: in every state, with measured and estimated energy.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::guarded::Guarded;
use crate::mock_nvml::MockNvml;
use crate::pages::{obeys_its_policy, view};
use crate::server::Server;
use crate::timeseries::{metering, server_with};

const PREFIXES: [(&str, f64); 8] = [
    ("P", 1e15),
    ("T", 1e12),
    ("G", 1e9),
    ("M", 1e6),
    ("k", 1e3),
    ("m", 1e-3),
    ("µ", 1e-6),
    ("", 1.0),
];
const BINARY: [(&str, f64); 4] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];

/// A figure as a page has it: its name, exact and in words.
struct Shown {
    name: String,
    exact: String,
    text: String,
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

fn figures(html: &str) -> Vec<Shown> {
    let all = html.split("<data data-metric=\"").skip(1).map(|rest| {
        let (name, rest) = rest.split_once('"').expect("a name");
        Shown {
            name: name.to_owned(),
            exact: between(rest, "value=\"", "\"").expect("a value").to_owned(),
            text: between(rest, ">", "</data>").expect("a text").to_owned(),
        }
    });
    all.collect()
}

fn in_results<'a>(results: &'a Value, name: &str) -> &'a Value {
    let groups = ["/inference", "/energy", "/compute", "/compute/roofline", "/efficiency"];
    let mut found = groups
        .into_iter()
        .filter_map(|group| results.pointer(&format!("{group}/{name}")));
    found.next().unwrap_or_else(|| panic!("{name} is in no result"))
}

/// What a text says, and half of the unit of its last digit.
fn read(text: &str) -> (f64, f64) {
    let (number, rest) = text.split_once(' ').unwrap_or((text, ""));
    let value: f64 = number.parse().unwrap_or_else(|_| panic!("{text}"));
    let decimals = number.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let unit = rest
        .rsplit_once("± ")
        .map_or(rest, |(_, behind)| behind.split_once(' ').map_or("", |(_, unit)| unit));
    let unit = unit.rsplit_once(") ").map_or(unit, |(_, unit)| unit);
    let binary = BINARY.into_iter().find(|(name, _)| unit.starts_with(name));
    let is_prefixed = |(prefix, _): &(&str, f64)| {
        let rest = unit.strip_prefix(prefix);
        rest.is_some_and(|rest| ["J", "W", "FLOP", "B"].iter().any(|name| rest.starts_with(name)))
    };
    let factor = match (unit, binary) {
        ("%", _) => 0.01,
        (_, Some((_, factor))) => factor,
        _ => PREFIXES.into_iter().find(is_prefixed).map_or(1.0, |(_, factor)| factor),
    };
    // Of a whole number trailing zeros may be none of its digits.
    let zeros = number.len() - number.trim_end_matches('0').len();
    let last = if decimals > 0 { -(decimals as i32) } else { zeros as i32 };
    (value * factor, 0.5 * 10_f64.powi(last) * factor)
}

/// Holds every figure of a document to what the API answers.
fn are_the_apis(html: &str, results: &Value) -> HashSet<String> {
    let shown = figures(html);
    for figure in &shown {
        let value = in_results(results, &figure.name);
        if let Some(text) = value.as_str() {
            assert_eq!(figure.exact, text, "{}", figure.name);
        } else if let Some(value) = value.as_f64() {
            assert_eq!(figure.exact.parse::<f64>().unwrap(), value, "{}", figure.name);
            let (read, within) = read(&figure.text);
            assert!(
                (read - value).abs() <= within * (1.0 + 1e-9),
                "{}: {} is not {value}",
                figure.name,
                figure.text
            );
        } else {
            assert!(
                value.is_object(),
                "{} is {value} and shown as {}",
                figure.name,
                figure.text
            );
        }
    }
    shown.into_iter().map(|figure| figure.name).collect()
}

fn unescaped(text: &str) -> String {
    let mut text = text.to_owned();
    for (entity, character) in [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#38;", "&"),
    ] {
        text = text.replace(entity, character);
    }
    text
}

async fn page(server: &Server, id: &str) -> String {
    let (status, _, html) = view(server, &format!("/experiments/{id}")).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    obeys_its_policy(&html);
    html
}

async fn completed(server: &Server, experiment: &Value) -> String {
    let id = server.accepted(experiment).await;
    server.until_state(&id, "completed").await;
    id
}

fn estimated() -> Value {
    json!({"model_name": "synthetic:prefill_ms=20,decode_ms=5", "config_name": "a <b> & c", "prompts": {"dataset": "short-32", "count": 6},
        "max_output_tokens": 12, "num_cycles": 3, "labels": {"team": "nlp"}})
}

#[tokio::test]
async fn a_measured_result_is_shown_with_the_apis_figures_to_their_digits() {
    let mock = MockNvml::new("devices=2\nshape=step:100:300:0.4,constant:90");
    let server = server_with(&mock);
    let id = completed(&server, &metering(&[0, 1], 600, 3)).await;
    let html = page(&server, &id).await;
    let shown = are_the_apis(&html, &server.results(&id).await);
    for name in [
        "output_throughput",
        "gpu_energy_j",
        "joules_per_output_token",
        "p99_e2e_ms",
        "duration_sec",
    ] {
        assert!(shown.contains(name), "{name}: {shown:?}");
    }
    for chart in ["timeline", "bars", "distribution", "gantt", "along"] {
        assert!(html.contains(&format!("jm-{chart}")), "no {chart}");
    }
    for told in [
        "GPUs by an energy counter",
        ">measured<",
        "GPU 1",
        "What to do:",
        "Temperature",
        "jm-decode",
    ] {
        assert!(html.contains(told), "{told}");
    }
    let (_, _, all) = view(&server, "/figures").await;
    obeys_its_policy(&all);
    for link in html.split("href=\"../figures#").skip(1) {
        let name = link.split('"').next().unwrap();
        assert!(all.contains(&format!("id=\"{name}\"")), "{name} is not explained");
    }
}

#[tokio::test]
async fn an_estimate_says_that_it_is_one_and_what_is_unknown_says_why() {
    let server = Server::start();
    let id = completed(&server, &estimated()).await;
    let html = page(&server, &id).await;
    let results = server.results(&id).await;
    are_the_apis(&html, &results);
    assert_eq!(results["energy"]["sources"][0]["method"], "estimate", "{results:#}");
    let of = |name: &str| {
        between(&html, &format!("figures#{name}\""), "</article>")
            .expect("a card")
            .to_owned()
    };
    assert!(of("cpu_energy_j").contains("badge estimated"), "{}", of("cpu_energy_j"));
    assert!(of("joules_per_output_token").contains("badge estimated"));
    assert!(of("output_throughput").contains("badge measured"));
    let unknown = of("gpu_energy_j");
    assert!(
        unknown.contains("badge unknown") && unknown.contains("no GPU was leased"),
        "{unknown}"
    );
    assert!(html.contains("a &#60;b&#62; &#38; c"), "a name is no markup");
    let yaml = unescaped(
        between(&html, "<pre id=\"yaml\"", "</pre>")
            .unwrap()
            .split_once('>')
            .unwrap()
            .1,
    );
    let again = server.post("/v1/experiments", "application/yaml", yaml.clone()).await;
    assert_eq!(again.status(), StatusCode::CREATED, "{yaml}");
    let again: Value = again.json().await.unwrap();
    server.cancel(again["id"].as_str().unwrap()).await;
}

#[tokio::test]
async fn what_waits_runs_fails_or_is_cancelled_is_shown_as_it_is() {
    let mock = MockNvml::new("devices=1");
    let server = server_with(&mock);
    let running = server.accepted(&metering(&[0], 60_000, 1)).await;
    server.until_state(&running, "measuring").await;
    let waiting = server.accepted(&metering(&[0], 60_000, 1)).await;
    let html = page(&server, &running).await;
    for told in [
        &format!("data-events=\"../v1/experiments/{running}/events\""),
        "data-progress=\"phase\">measuring, cycle 1 of 1<",
        "jm-timeline",
        &format!("action=\"../experiments/{running}/cancel\""),
    ] {
        assert!(html.contains(told), "{told} in {html}");
    }
    let html = page(&server, &waiting).await;
    let why = server.show(&waiting).await["queue_wait"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        html.contains("Position 1 in the queue") && html.contains(&why),
        "{why} in {html}"
    );
    let (status, _) = server.get(&format!("/v1/experiments/{waiting}/report.html")).await;
    assert_eq!(status, StatusCode::CONFLICT);
    for id in [&waiting, &running] {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let asked = client.post(format!("{}/experiments/{id}/cancel", server.url));
        let answer = asked
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(answer.headers()[header::LOCATION], format!("../{id}"));
        server.until_state(id, "cancelled").await;
        let html = page(&server, id).await;
        assert!(
            html.contains("state cancelled") && !html.contains("/cancel\"") && !html.contains("data-events"),
            "{html}"
        );
    }
    let failing = server
        .accepted(&json!({"model_name": "synthetic:exit_at=0", "prompts": ["a"]}))
        .await;
    server.until_state(&failing, "failed").await;
    let html = page(&server, &failing).await;
    for told in ["Why it failed", "worker_exited", "asked to exit", "Exit code"] {
        assert!(html.contains(told), "{told} in {html}");
    }
}

#[tokio::test]
async fn a_report_is_one_file_that_loads_nothing() {
    let mock = MockNvml::new("devices=1\nshape=constant:210");
    let server = server_with(&mock);
    let id = completed(&server, &metering(&[0], 400, 2)).await;
    let path = format!("/v1/experiments/{id}/report.html");
    let (status, headers, html) = view(&server, &path).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    for loading in [
        "src=",
        "<link",
        "<script",
        "<iframe",
        "href=\"http",
        "href=\"/",
        "href=\".",
        " style=",
        "@import",
    ] {
        assert!(!html.contains(loading), "{loading}");
    }
    assert!(
        !html.replace("xmlns=\"http", "").contains("=\"http"),
        "an address to ask"
    );
    let style = between(&html, "<style>", "</style>").unwrap();
    let hash = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(style)));
    let meta = unescaped(between(&html, "http-equiv=\"Content-Security-Policy\" content=\"", "\"").unwrap());
    for policy in [
        meta.as_str(),
        headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap(),
    ] {
        assert!(
            policy.contains(&format!("style-src {hash}")) && policy.contains("default-src 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"));
    }
    are_the_apis(&html, &server.results(&id).await);
    for link in html.split("href=\"#").skip(1) {
        let anchor = link.split('"').next().unwrap();
        assert!(html.contains(&format!("id=\"{anchor}\"")), "{anchor} is nowhere");
    }
    assert!(html.contains("&#34;manifest&#34;: 1"), "the manifest");
    let tag = headers[header::ETAG].to_str().unwrap().to_owned();
    let asked = reqwest::Client::new()
        .get(format!("{}{path}", server.url))
        .header(header::IF_NONE_MATCH, tag);
    assert_eq!(asked.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn anothers_prompts_are_on_no_page_of_a_reader() {
    let guarded = Guarded::start(&[]);
    let [ada, rae] = [("ada", "submitter"), ("rae", "reader")].map(|(name, role)| guarded.key(name, role));
    let secret = "the secret recipe";
    let experiment = json!({"model_name": "synthetic:", "prompts": [secret], "max_output_tokens": 4});
    let id = guarded.accepted(&ada, &experiment).await;
    let read = async |path: &str, key: &str| {
        let asked = reqwest::Client::new()
            .get(format!("{}{path}", guarded.server.url))
            .header(header::ACCEPT, "text/html");
        asked.bearer_auth(key).send().await.unwrap().text().await.unwrap()
    };
    loop {
        let (_, shown) = guarded.get(&format!("/v1/experiments/{id}"), &ada).await;
        if shown["state"] == "completed" {
            break;
        }
        assert_ne!(shown["state"], "failed", "{shown:#}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for path in [
        format!("/experiments/{id}"),
        format!("/v1/experiments/{id}/report.html"),
    ] {
        let (own, others) = (read(&path, &ada).await, read(&path, &rae).await);
        assert!(own.contains(secret), "{path}");
        assert!(
            !others.contains(secret) && others.contains("1 prompts are omitted"),
            "{path}"
        );
        assert!(!others.contains("/cancel\"") && !others.contains("/submit?"), "{path}");
    }
    let refused = guarded
        .send(Method::POST, &format!("/experiments/{id}/cancel"), &rae, None)
        .await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn where_retention_dropped_the_raw_data_the_page_says_so_and_shows_what_is_left() {
    let server = Server::start();
    let id = completed(&server, &estimated()).await;
    let database = format!("sqlite://{}", server.folder.join("joulemark.db").display());
    let path = format!("/v1/experiments/{id}/report.html");
    let (_, before, _) = view(&server, &path).await;
    let mut prune = std::process::Command::new(env!("CARGO_BIN_EXE_joulemark"));
    prune.args(["db", "prune", "--retention-bytes", "1", "--database-url", &database]);
    assert!(prune.output().expect("it runs").status.success());
    let html = page(&server, &id).await;
    are_the_apis(&html, &server.results(&id).await);
    assert!(
        html.contains("deleted the times of single requests on") && html.contains("jm-bars"),
        "{html}"
    );
    assert!(!html.contains("jm-gantt") && !html.contains("/bundle\""), "{html}");
    let (status, after, report) = view(&server, &path).await;
    assert_eq!(status, StatusCode::OK);
    assert!(report.contains("deleted the times of single requests on"));
    assert_ne!(before[header::ETAG], after[header::ETAG]);
}
