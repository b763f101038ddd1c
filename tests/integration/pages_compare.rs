//! The pages that compare: results, and the points of sweeps; what they show is what the API answers.

use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::guarded::Guarded;
use crate::mock_nvml::MockNvml;
use crate::pages::{obeys_its_policy, view};
use crate::server::Server;

fn experiment(decode_ms: u32) -> Value {
    json!({
        "config_name": format!("<b>{decode_ms} ms</b>"), "model_name": format!("synthetic:prefill_ms=4,decode_ms={decode_ms}"),
        "prompts": ["one", "two"], "max_output_tokens": 10, "min_output_tokens": 10, "num_cycles": 4,
        "warmup_iterations": 0, "idle_baseline_sec": 0,
    })
}

async fn page(server: &Server, path: &str) -> (StatusCode, String) {
    let (status, _, html) = view(server, path).await;
    is_clean(&html);
    (status, html)
}

/// Holds a page to its policy, to relative links, and to texts that stay texts.
fn is_clean(html: &str) {
    obeys_its_policy(html);
    for forbidden in ["href=\"/", "action=\"/", "src=\"/", "<b>"] {
        assert!(!html.contains(forbidden), "{forbidden} is in:\n{html}");
    }
    assert_eq!(html.matches("<h1").count(), 1);
}

/// What stands in each element with this attribute.
fn texts<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let after = html.split(attribute).skip(1);
    let text = after.filter_map(|rest| rest.split_once('>')?.1.split_once('<'));
    text.map(|(text, _)| text).collect()
}

/// Holds what a page shows to the value and half of its interval: the digits end where the uncertainty's second one does.
fn is_shown(text: &str, value: f64, half: f64) {
    let digits = text.split_whitespace().next().unwrap_or_default();
    let shown: f64 = digits.parse().unwrap_or_else(|_| panic!("{text} is no number"));
    let allowed = 0.06 * half + 0.005 * value.abs();
    assert!((shown - value).abs() <= allowed, "{text} is not {value}");
}

fn half_of(figure: &Value) -> f64 {
    let end = |name: &str| figure[name].as_f64().expect("an interval");
    (end("ci_high") - end("ci_low")) / 2.0
}

#[tokio::test]
async fn a_comparison_shows_the_ratios_of_the_api_and_what_differs() {
    let server = Server::start();
    let mut ids = Vec::new();
    for decode_ms in [2, 12] {
        let id = server.accepted(&experiment(decode_ms)).await;
        server.until_state(&id, "completed").await;
        ids.push(id);
    }
    let question = json!({"ids": ids});
    let response = server
        .post("/v1/compare", "application/json", question.to_string())
        .await;
    let answer: Value = response.json().await.expect("JSON");
    let (status, html) = page(&server, &format!("/compare?ids={}&ids={}", ids[0], ids[1])).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    let shown = texts(&html, "data-ratio=");
    let comparisons = answer["comparisons"].as_array().expect("a list");
    assert_eq!(shown.len(), comparisons.len());
    for (text, comparison) in shown.iter().zip(comparisons) {
        is_shown(
            text,
            comparison["ratio"].as_f64().expect("a ratio"),
            half_of(comparison),
        );
    }
    for words in [
        "B generates",
        "<span class=\"badge worse\">worse</span>",
        "<code>experiment.model_name</code>",
        "synthetic:prefill_ms=4,decode_ms=12</td>",
        "At 0 s the first measured cycle",
        "two estimates are compared",
    ] {
        assert!(html.contains(words), "{words} is not in:\n{html}");
    }
    assert!(html.matches("<svg").count() >= 2, "a forest and the power");
    // The same by a list with commas, and with the other one as the baseline.
    let (_, turned) = page(
        &server,
        &format!("/compare?ids={},{}&metrics=mean_tpot_ms", ids[1], ids[0]),
    )
    .await;
    let found = comparisons
        .iter()
        .find(|comparison| comparison["metric"] == "mean_tpot_ms")
        .expect("it is there");
    let [low, ratio, high] = ["ci_low", "ratio", "ci_high"].map(|name| 1.0 / found[name].as_f64().expect("a number"));
    is_shown(texts(&turned, "data-ratio=")[0], ratio, (low - high) / 2.0);
}

#[tokio::test]
async fn bad_results_are_named_beside_their_field_and_fewer_than_two_ask_which() {
    let server = Server::start();
    let id = server.accepted(&experiment(1)).await;
    server.until_state(&id, "completed").await;
    let (status, html) = page(&server, "/compare").await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("Choose at least two results") && html.contains(&format!("name=\"ids\" value=\"{id}\"")));
    let (status, html) = page(&server, &format!("/compare?ids={id}")).await;
    assert!(
        status == StatusCode::OK && html.contains("One result is selected"),
        "{html}"
    );
    let nobody = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11";
    for (query, words) in [
        (
            format!("ids={id},{nobody}"),
            format!("B ({nobody}): there is no experiment {nobody}"),
        ),
        (format!("ids={id},latest"), "B (latest): is &#34;latest&#34;".to_owned()),
        (format!("ids={id},{nobody}/3"), format!("there is no sweep {nobody}")),
        (
            format!("ids={id},{nobody}&metrics=speed"),
            "speed: is &#34;speed&#34;".to_owned(),
        ),
        (format!("ids={id},{nobody}&margin=7"), "up to 1".to_owned()),
    ] {
        let (status, html) = page(&server, &format!("/compare?{query}")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(
            html.contains(&words) && html.contains("aria-invalid") || query.contains("speed"),
            "{words} is not in:\n{html}"
        );
    }
    let (status, html) = page(&server, "/compare?id=x").await;
    assert!(
        status == StatusCode::BAD_REQUEST && html.contains("ids, metrics, margin, force"),
        "{html}"
    );
}

fn sweep(more: Value) -> Value {
    let mut base = experiment(6);
    base["num_cycles"] = json!(2);
    let mut sweep = json!({"base": base, "repeats": 2});
    let fields = more.as_object().expect("an object").clone();
    sweep.as_object_mut().expect("an object").extend(fields);
    sweep
}

async fn submitted(server: &Server, sweep: &Value) -> String {
    let response = server.post("/v1/sweeps", "application/json", sweep.to_string()).await;
    let status = response.status();
    let body: Value = response.json().await.expect("JSON");
    assert_eq!(status, StatusCode::CREATED, "{body:#}");
    body["id"].as_str().expect("an id").to_owned()
}

async fn finished(server: &Server, sweep: &Value) -> String {
    let id = submitted(server, sweep).await;
    for _ in 0..1200 {
        if server.get(&format!("/v1/sweeps/{id}?fields=state")).await.1["state"] != "running" {
            return id;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it never ended: {}", server.log());
}

#[tokio::test]
async fn a_sweep_over_power_limits_shows_the_table_of_the_api_and_is_repeated_by_what_it_says() {
    let mock = MockNvml::new("devices=1\nmax_limit=500\ndefault_limit=400\npower_limit=400\nlaw=80:320:0.7");
    let library = mock.library().to_str().expect("a path").to_owned();
    let options = [
        "--allow-synthetic-engine",
        "--sample-interval-ms",
        "50",
        "--power-control",
        "nvml",
        "--nvml-lib",
    ];
    let server = Server::start_with(&[&options[..], &[&library]].concat());
    let mut asked = sweep(json!({"axes": {"power_limit_w": [200, 300, 400]}}));
    asked["base"]["device"] = json!("cpu");
    asked["base"]["gpus"] = json!([0]);
    asked["base"]["labels"] = json!({"team": "nlp"});
    let id = finished(&server, &asked).await;
    let (_, whole) = server.get(&format!("/v1/sweeps/{id}")).await;
    let (status, html) = page(&server, &format!("/sweeps/{id}")).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    let mut shown = texts(&html, "data-figure").into_iter();
    let columns = texts(&html, "figures#");
    assert!(columns.contains(&"joules_per_output_token"), "{columns:?}");
    for row in whole["table"].as_array().expect("rows") {
        for name in &columns {
            let text = shown.next().expect("a figure");
            let figure = &row["metrics"][*name];
            is_shown(text, figure["mean"].as_f64().expect("a mean"), half_of(figure));
            assert!(
                text.contains('±') || text.contains("to") || figure["ci_low"] == figure["ci_high"],
                "{text}"
            );
        }
    }
    assert_eq!(shown.next(), None);
    let warnings = whole["warnings"].as_array().expect("warnings");
    assert!(!warnings.is_empty());
    assert_eq!(html.matches(" completed experiments)").count(), warnings.len());
    let is_estimated = warnings.iter().any(|warning| warning["code"] == "energy_estimated");
    assert_eq!(html.contains("badge estimated"), is_estimated, "{warnings:#?}");
    let best = whole["curve"]["metrics"]["joules_per_output_token"]["best_at"]
        .as_f64()
        .expect("a best");
    let words = format!("joules_per_output_token is best at power_limit_w {best}");
    assert!(html.contains(&words), "{words} is not in:\n{html}");
    // Two fronts, and a curve a metric.
    assert_eq!(html.matches("<svg").count(), 2 + columns.len());
    // Of more metrics, eight charts are drawn, and the others have links.
    let metrics =
        "median_ttft_ms,p90_ttft_ms,p99_ttft_ms,median_tpot_ms,p90_tpot_ms,p99_tpot_ms,mean_e2e_ms,p99_e2e_ms";
    let (_, html) = page(&server, &format!("/sweeps/{id}?metrics={metrics}")).await;
    assert_eq!(html.matches("<svg").count(), 8);
    assert_eq!(texts(&html, "#axes\""), ["mean_e2e_ms", "p99_e2e_ms"]);
    let (_, other) = page(&server, &format!("/sweeps/{id}?metrics={metrics}&metric=p99_e2e_ms")).await;
    let title = "p99_e2e_ms along power_limit_w</title>";
    assert!(other.contains(title) && !html.contains(title), "{other}");
    assert_eq!((other.matches("<svg").count(), texts(&other, "#axes\"").len()), (3, 7));
    let (_, html) = page(&server, &format!("/sweeps/{id}")).await;
    assert!(html.contains("6 of 6 done") && !html.contains("data-events") && !html.contains("/cancel\""));

    let yaml = texts(&html, "id=\"again-yaml\"")[0]
        .replace("&#34;", "\"")
        .replace("&#39;", "'");
    let yaml = yaml.replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&");
    let response = server.post("/v1/sweeps", "application/yaml", yaml.clone()).await;
    let status = response.status();
    let again: Value = response.json().await.expect("JSON");
    assert_eq!(status, StatusCode::CREATED, "{again:#}\n{yaml}");
    for part in ["axes", "points", "repeats", "order", "mode"] {
        assert_eq!(again[part], whole[part], "{part}");
    }
    let first = |sweep: &Value| sweep["table"][0]["experiments"][0].as_str().expect("an id").to_owned();
    let (one, other) = (server.show(&first(&whole)).await, server.show(&first(&again)).await);
    for field in [
        "prompts",
        "max_output_tokens",
        "num_cycles",
        "config_name",
        "power_limit_w",
        "gpus",
        "decoder",
    ] {
        assert_eq!(one[field], other[field], "{field}");
    }
    assert_eq!(other["labels"]["team"], "nlp");
}

#[tokio::test]
async fn sweeps_are_listed_with_their_search_and_bad_ones_named() {
    let server = Server::start();
    let goal = json!({"axes": {"max_output_tokens": [2, 4]}, "repeats": 1,
        "goal": {"maximise": "output_tokens", "subject_to": {"mean_ttft_ms": {"below": 100_000}}}});
    let mut asked = sweep(goal);
    asked["base"]["min_output_tokens"] = json!(0);
    let id = finished(&server, &asked).await;
    let (_, html) = page(&server, "/sweeps").await;
    assert!(
        html.contains("max_output_tokens: 2, 4") && html.contains("maximum output_tokens"),
        "{html}"
    );
    let (_, html) = page(&server, &format!("/sweeps/{id}")).await;
    for words in [
        "maximum output_tokens with mean_ttft_ms below 100000",
        "The search is complete",
        "point 1</a>, max_output_tokens 4",
    ] {
        assert!(html.contains(words), "{words} is not in:\n{html}");
    }
    let (_, several) = page(
        &server,
        &format!("/sweeps/{id}?metrics=output_tokens&metrics=mean_tpot_ms"),
    )
    .await;
    assert_eq!(texts(&several, "data-figure").len(), 4);
    let nobody = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11";
    for (path, status, words) in [
        (
            format!("/sweeps/{nobody}"),
            StatusCode::NOT_FOUND,
            format!("there is no sweep {nobody}"),
        ),
        ("/sweeps/latest".to_owned(), StatusCode::BAD_REQUEST, "UUID".to_owned()),
        (
            format!("/sweeps/{id}?metrics=speed"),
            StatusCode::BAD_REQUEST,
            "no metric of a result".to_owned(),
        ),
        (
            format!("/sweeps/{id}?metric=goodput"),
            StatusCode::BAD_REQUEST,
            "not a metric of the table".to_owned(),
        ),
        (
            format!("/sweeps/{id}?page=0"),
            StatusCode::BAD_REQUEST,
            "the number of a page".to_owned(),
        ),
        (
            "/sweeps?cursor=x".to_owned(),
            StatusCode::BAD_REQUEST,
            "next_cursor".to_owned(),
        ),
    ] {
        let (is, html) = page(&server, &path).await;
        assert!(is == status && html.contains(&words), "{path}: {is}\n{html}");
    }
}

#[tokio::test]
async fn a_long_table_has_pages_of_fifty_points() {
    let server = Server::start();
    let sizes: Vec<u32> = (1..=60).collect();
    let mut asked = sweep(json!({"axes": {"batch_size": sizes, "num_cycles": [1, 2]}, "repeats": 1}));
    asked["base"]["model_name"] = json!("synthetic:decode_ms=5000");
    let id = submitted(&server, &asked).await;
    server
        .post(&format!("/v1/sweeps/{id}/cancel"), "application/json", String::new())
        .await;
    let points = |html: &str| -> Vec<String> {
        let rows = html.split("<tr id=\"point-").skip(1);
        rows.map(|row| row.split('"').next().unwrap().to_owned()).collect()
    };
    let numbers = |from: u32, to: u32| (from..to).map(|point| point.to_string()).collect::<Vec<_>>();
    for (query, shown, links) in [
        ("", numbers(0, 50), ["?page=2#table", "Page 1 of 3"]),
        ("?page=2", numbers(50, 100), ["?page=3#table", "?page=1#table"]),
        (
            "?page=3&metrics=output_tokens",
            numbers(100, 120),
            ["?metrics=output_tokens&#38;page=2#table", "Page 3 of 3"],
        ),
        ("?page=99", numbers(100, 120), ["?page=2#table", "Page 3 of 3"]),
    ] {
        let (status, html) = page(&server, &format!("/sweeps/{id}{query}")).await;
        assert_eq!((status, points(&html)), (StatusCode::OK, shown), "{query}");
        for link in links {
            assert!(html.contains(link), "{query}: {link} is not in\n{html}");
        }
    }
}

#[tokio::test]
async fn only_who_may_sees_and_has_the_button_that_cancels() {
    let guarded = Guarded::start(&[]);
    let [ada, reader] = [("ada", "submitter"), ("bob", "reader")].map(|(name, role)| guarded.key(name, role));
    let mut asked = sweep(json!({"axes": {"batch_size": [1, 2]}}));
    asked["base"]["model_name"] = json!("synthetic:decode_ms=5000");
    let response = guarded.send(Method::POST, "/v1/sweeps", &ada, Some(&asked)).await;
    let accepted: Value = response.json().await.expect("JSON");
    let id = accepted["id"].as_str().expect("an id");
    let (path, cancel) = (format!("/sweeps/{id}"), format!("/sweeps/{id}/cancel"));
    let html = async |key: &str| {
        let html = guarded
            .send(Method::GET, &path, key, None)
            .await
            .text()
            .await
            .expect("a page");
        is_clean(&html);
        html
    };
    let (of_ada, of_reader) = (html(&ada).await, html(&reader).await);
    assert!(
        of_ada.contains(&format!("action=\"../sweeps/{id}/cancel\""))
            && of_ada.contains("data-events=\"../v1/events\"")
    );
    assert!(!of_reader.contains("/cancel\""), "{of_reader}");
    assert!(of_reader.contains("4 prompts are missing") || of_reader.contains("2 prompts are missing"));
    let stays = reqwest::Client::builder()
        .redirect(Policy::none())
        .build()
        .expect("a client");
    let press = async |key: &str| {
        let request = stays.post(format!("{}{cancel}", guarded.server.url)).bearer_auth(key);
        request.send().await.expect("an answer")
    };
    assert_eq!(press(&reader).await.status(), StatusCode::FORBIDDEN);
    let done = press(&ada).await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER);
    assert_eq!(done.headers()["location"], format!("../{id}"));
    let response = guarded.send(Method::GET, &format!("/v1/sweeps/{id}"), &ada, None).await;
    let shown: Value = response.json().await.expect("JSON");
    assert!(shown["cancelled_at"].is_string(), "{shown:#}");
}
