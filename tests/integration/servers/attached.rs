use reqwest::StatusCode;
use serde_json::json;

use super::{Answering, MODEL, Service, are_exact, config_file, experiment, managed};
use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::nvml::MockNvml;
use crate::server::Server;

fn engine(answering: &Answering, rest: &str) -> String {
    format!(
        "[engines.lab]\nkind = 'openai'\nendpoint = '{}'\nhealth = '/health'\n{rest}",
        answering.endpoint()
    )
}

#[tokio::test]
async fn a_server_that_runs_already_is_measured_and_its_processes_are_those_that_listen() {
    let answering = Answering::start(&["2", "1"], &[]);
    let Service { server, zones, .. } = &Service::start(&engine(&answering, ""));
    let id = server.accepted(&experiment("lab")).await;
    let shown = server.until_state(&id, "completed").await;
    assert_eq!(shown["engine"], "lab");
    are_exact(&server.processes(&id).await, 8);
    let results = server.results(&id).await;
    let inference = &results["inference"];
    assert_eq!(
        (&inference["output_tokens"], &inference["failed_requests"]),
        (&json!(64), &json!(0))
    );
    for known in [
        "mean_ttft_ms",
        "mean_tpot_ms",
        "median_itl_ms",
        "median_chunk_interval_ms",
        "mean_time_to_first_answer_ms",
    ] {
        assert!(inference[known].is_number(), "{known}: {inference:#}");
    }
    let served = &results["loads"][0]["server"];
    assert_eq!(served["capabilities"]["models"], json!([MODEL]));
    assert_eq!(
        (&served["eos"], &served["prompt_cache"]),
        (&json!("ignored"), &json!("off"))
    );
    // It has a child that computes all the time; it itself waits.
    let energy = &results["energy"];
    let attributed = energy["cpu_energy_j"].as_f64().expect("it is found by its port");
    let host = energy["host_cpu_energy_j"].as_f64().expect("the packages count");
    assert!(attributed > 0.0 && attributed <= host, "{attributed} of {host} J");
    let window = &server.processes(&id).await["items"][0]["window"];
    let [start, end] = ["start_monotonic_sec", "end_monotonic_sec"].map(|edge| window[edge].as_f64().expect("a time"));
    assert!(zones.zones[0].truth_j(start, end) > 0.0);
    // FLOPs need the model's files.
    assert!(results["compute"]["flops_total"].is_null());
    let generator = &server.processes(&id).await["items"][0]["load_generator"];
    assert!(
        generator["cpu_sec"].as_f64().is_some_and(|sec| sec > 0.0),
        "{generator}"
    );
}

#[tokio::test]
async fn what_the_server_says_of_itself_stands_beside_each_cycle() {
    let answering = Answering::start(&["100"], &[]);
    let Service { server, .. } = &Service::start(&engine(&answering, ""));
    let mut asked = experiment("lab");
    asked["num_cycles"] = json!(1);
    let id = server.accepted(&asked).await;
    server.until_state(&id, "completed").await;
    let items = server.processes(&id).await["items"].clone();
    let usage = &items[0]["server_report"]["usage"];
    // Two at a time for 1.6 s, of which each half second is seen.
    assert!(usage["samples"].as_u64().is_some_and(|samples| samples > 0), "{usage}");
    // One that ends may still count while the next begins.
    assert!(
        usage["max_running"]
            .as_f64()
            .is_some_and(|most| (1.0..=3.0).contains(&most)),
        "{usage}"
    );
    assert_eq!(usage["max_waiting"], 0.0);
    assert_eq!(
        usage["prefix_cache_queries"].as_f64(),
        items[0]["inference"]["input_tokens"].as_f64()
    );
    assert_eq!(
        (&usage["preemptions"], &items[0]["server_report"]["timings"]),
        (&json!(null), &json!(null))
    );
}

#[tokio::test]
async fn requests_that_fail_are_counted_and_fail_the_experiment_unless_a_share_is_accepted() {
    let answering = Answering::start(&["1", "0", "three"], &[]);
    let Service { server, .. } = &Service::start(&engine(&answering, ""));
    let id = server.accepted(&experiment("lab")).await;
    let failed = server.until_state(&id, "failed").await;
    let message = failed["failure"]["message"].as_str().expect("a message");
    assert!(
        message.contains("max_failed_share") && message.contains("503"),
        "{message}"
    );
    let mut tolerant = experiment("lab");
    tolerant["max_failed_share"] = json!(0.25);
    let id = server.accepted(&tolerant).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    let inference = &results["inference"];
    assert_eq!(
        (&inference["failed_requests"], &inference["output_tokens"]),
        (&json!(2), &json!(6 * 8))
    );
    let of_cycle = &server.processes(&id).await["items"][0]["failed_requests"];
    let [failed] = of_cycle.as_array().expect("a list").as_slice() else {
        panic!("one failed: {of_cycle}")
    };
    assert_eq!(
        (&failed["prompt_index"], &failed["reason"]),
        (&json!(2), &json!("unavailable"))
    );
    assert!(
        failed["ended_monotonic_sec"].as_f64() > failed["sent_monotonic_sec"].as_f64(),
        "{failed}"
    );
    let warnings = results["validation"]["warnings"].as_array().expect("a list");
    assert!(
        warnings.iter().any(|warning| warning["code"] == "requests_failed"),
        "{warnings:#?}"
    );
}

#[tokio::test]
async fn a_key_reaches_the_server_and_neither_environment_nor_log_nor_result() {
    let key = "sk-a-key-that-nobody-sees";
    let answering = Answering::start(&["400"], &[("EXPECTED_KEY", key)]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lab.key");
    std::fs::write(&file, format!("{key}\n")).expect("a file");
    let rest = format!("api_key_file = '{}'\n", file.display());
    let Service { server, .. } = &Service::start(&engine(&answering, &rest));
    let id = server.accepted(&experiment("lab")).await;
    server.until_state(&id, "warming_up").await;
    for worker in server.workers() {
        let environment = std::fs::read(format!("/proc/{worker}/environ")).expect("it lives");
        assert!(!String::from_utf8_lossy(&environment).contains(key));
        let arguments = std::fs::read(format!("/proc/{worker}/cmdline")).expect("it lives");
        assert!(!String::from_utf8_lossy(&arguments).contains(key));
    }
    server.cancel(&id).await;
    server.until_state(&id, "cancelled").await;
    assert!(!server.log().contains(key) && !server.show(&id).await.to_string().contains(key));
    // Without it nothing is asked.
    std::fs::write(&file, "another").expect("a file");
    let id = server.accepted(&experiment("lab")).await;
    let failed = server.until_state(&id, "failed").await;
    assert!(!failed.to_string().contains("another"), "{failed:#}");
}

#[tokio::test]
async fn a_model_that_the_server_does_not_have_is_refused_with_those_that_it_has() {
    let answering = Answering::start(&["1"], &[]);
    let Service { server, .. } = &Service::start(&engine(&answering, ""));
    let mut other = experiment("lab");
    other["model_name"] = json!("a-model-of-somebody-else");
    let (status, body) = server.submit(&other).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    let detail = body["errors"][0]["detail"].as_str().expect("a problem");
    assert!(detail.contains(MODEL), "{detail}");
}

#[tokio::test]
async fn two_servers_at_once_of_either_kind_get_no_more_than_the_host_together() {
    let answering = Answering::start(&["10", "1"], &[]);
    let engines = format!("{}{}", engine(&answering, ""), managed(", '1'"));
    let folder = tempfile::tempdir().expect("a folder");
    let config = config_file(folder.path(), &engines).display().to_string();
    let mock = MockNvml::new("devices=1\nshape=constant:50");
    let zones = FakePowercap::start(vec![FakeZone::new("intel-rapl:0", "package-0", "constant:20")]);
    let (library, root) = (mock.library(), zones.root().display().to_string());
    let library = library.to_str().expect("a path");
    let server = Server::start_with(&["--config", &config, "--nvml-lib", library, "--rapl-root", &root]);
    let asked = |engine: &str| {
        let mut asked = experiment(engine);
        for (name, value) in [
            ("max_output_tokens", 400),
            ("min_output_tokens", 400),
            ("num_cycles", 1),
        ] {
            asked[name] = json!(value);
        }
        asked
    };
    let mut attached = asked("lab");
    // The CPU is leased by one of them.
    attached["device"] = json!("cuda");
    attached["gpus"] = json!([0]);
    let mut started = asked("answering");
    started["engine_arguments"] = json!({"decode_ms": 10});
    let ids = [server.accepted(&attached).await, server.accepted(&started).await];
    let mut windows = Vec::new();
    let mut together_j = 0.0;
    for id in &ids {
        server.until_state(id, "completed").await;
        let item = server.processes(id).await["items"][0].clone();
        let number = |value: &serde_json::Value| value.as_f64().expect("known");
        let own_j = number(&item["energy"]["cpu_energy_j"]);
        assert!(own_j > 0.0, "{item:#}");
        together_j += own_j;
        windows.push(["start_monotonic_sec", "end_monotonic_sec"].map(|edge| number(&item["window"][edge])));
    }
    let [one, other] = windows[..] else {
        unreachable!("two of them")
    };
    assert!(
        one[0] < other[1] && other[0] < one[1],
        "they ran at the same time: {one:?} {other:?}"
    );
    let host_j = 20.0 * (one[1].max(other[1]) - one[0].min(other[0]));
    assert!(together_j <= host_j * 1.001, "{together_j} J of the host's {host_j} J");
}
