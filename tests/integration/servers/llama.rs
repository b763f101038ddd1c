use std::path::Path;

use joulemark_testkit::models::{MODEL, models_dir};
use serde_json::{Value, json};

use super::witness::Witness;
use super::{Answering, free_port};
use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::server::Server;

/// llama.cpp's server with the small real model, as an engine that is started and as one that runs already.
///
/// # Panics
/// When the wheel is not there: a test of a real server never passes without it.
fn script() -> (String, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wheel = root.join("target/tools/xllamacpp");
    assert!(wheel.is_dir(), "run `. deploy/setup-checks.sh; setup_llama` first");
    let script = root.join("tests/servers/llama.py");
    (script.display().to_string(), wheel.display().to_string())
}

fn config(folder: &Path, port: u16) -> String {
    let (script, _) = script();
    let path = folder.join("joulemark.toml");
    let engines = format!(
        "[engines.llama]\nkind = 'openai'\nhealth = '/health'\nenvironment = ['PYTHONPATH']\n\
         command = ['python3', '{script}', '{{model_path}}', '{{port}}', '{{context}}', '{{parallel}}', '{{threads}}']\n\
         arguments = {{ parallel = {{ integer = [1, 8], default = 4 }}, context = {{ integer = [256, 8192], default = 4096 }} }}\n\
         [engines.running]\nkind = 'openai'\nendpoint = 'http://127.0.0.1:{port}'\nhealth = '/health'\nmodel_path = '{}'\n",
        Path::new(&models_dir()).join(MODEL).display()
    );
    std::fs::write(&path, engines).expect("a file");
    path.display().to_string()
}

fn experiment(engine: &str, model: &str, batch_size: u32) -> Value {
    json!({
        "engine": engine, "model_name": model, "prompts": {"dataset": "short-32", "count": 4}, "max_output_tokens": 16,
        "min_output_tokens": 16, "num_cycles": 1, "warmup_iterations": 0, "idle_baseline_sec": 0, "batch_size": batch_size,
    })
}

async fn is_exact(server: &Server, id: &str) {
    let shown = server.until_state(id, "completed").await;
    let items = server.processes(id).await;
    let requests = items["items"][0]["requests"].as_array().expect("a list").clone();
    assert_eq!(requests.len(), 4, "{shown:#}");
    for request in &requests {
        assert_eq!(
            (&request["output_tokens"], &request["finish_reason"]),
            (&json!(16), &json!("length"))
        );
        assert!(request["input_tokens"].as_u64().is_some_and(|tokens| tokens > 10));
    }
    let results = server.results(id).await;
    assert!(
        results["compute"]["flops_total"]
            .as_f64()
            .is_some_and(|flops| flops > 1e9)
    );
    assert!(
        results["energy"]["cpu_time_share"]
            .as_f64()
            .is_some_and(|share| share > 0.2),
        "{:#}",
        results["energy"]
    );
    let served = &results["loads"][0]["server"];
    assert_eq!(served["eos"], "ignored", "{served:#}");
    assert_eq!(served["capabilities"]["usage"], true);
}

/// llama.cpp's server as one that runs already.
fn running(port: u16) -> Answering {
    let (script, wheel) = script();
    let model = Path::new(&models_dir()).join(MODEL).display().to_string();
    let arguments = [script.as_str(), &model, &port.to_string(), "4096", "4", "2"];
    Answering::running(&arguments, &[("PYTHONPATH", wheel.as_str())], port)
}

/// A service with both engines, and these options beside.
fn serve(folder: &Path, port: u16, others: &[&str]) -> Server {
    let (config, models, (_, wheel)) = (config(folder, port), models_dir(), script());
    let own = [
        "--config",
        &config,
        "--models-dir",
        &models,
        "--nvml-lib",
        "/nonexistent",
    ];
    Server::start_with_environment(&[&own[..], others].concat(), &[("PYTHONPATH", &wheel)])
}

#[tokio::test]
async fn llama_cpp_batches_prompts_of_different_lengths_with_exact_counts_started_and_attached() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let server = serve(folder.path(), port, &[]);
    for batch_size in [1, 4] {
        let id = server.accepted(&experiment("llama", MODEL, batch_size)).await;
        is_exact(&server, &id).await;
    }
    let running = running(port);
    let served = running.models().await;
    let id = server.accepted(&experiment("running", &served[0], 4)).await;
    is_exact(&server, &id).await;
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test]
async fn llama_cpp_gets_its_share_of_the_busy_cpu_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let zone = FakeZone::new("intel-rapl:0", "package-0", "constant:20");
    let zones = FakePowercap::start(vec![zone]);
    let root = zones.root().display().to_string();
    let server = serve(folder.path(), port, &["--rapl-root", &root]);
    let running = running(port);
    let served = running.models().await;
    let witness = Witness::start(running.child.id());
    let mut asked = experiment("running", &served[0], 2);
    asked["max_output_tokens"] = json!(64);
    asked["min_output_tokens"] = json!(64);
    let id = server.accepted(&asked).await;
    server.until_state(&id, "completed").await;
    let item = server.processes(&id).await["items"][0].clone();
    let (energy, window) = (&item["energy"], &item["window"]);
    let [host_j, engine_j] = ["host_cpu_energy_j", "cpu_energy_j"].map(|name| number(&energy[name]));
    let window = ["start_monotonic_sec", "end_monotonic_sec"].map(|edge| number(&window[edge]));
    let share = witness.share(window);
    let off = (engine_j / (share * host_j) - 1.0).abs();
    assert!(
        off < 0.05,
        "{engine_j} J of {host_j} J, with {share} of the busy CPU time"
    );
}

#[tokio::test]
async fn random_prompts_of_drawn_lengths_reach_llama_cpp_as_token_ids() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path(), free_port(), &["--allow-synthetic-engine"]);
    let mut asked = experiment("llama", MODEL, 2);
    let fields = asked.as_object_mut().expect("an object");
    fields.remove("min_output_tokens");
    fields.remove("max_output_tokens");
    fields["prompts"] = json!({"synthetic": {
        "count": 6, "seed": 3, "shared_prefix_tokens": 8, "input_length": {"mean": 40, "stddev": 20, "min": 10, "max": 70},
        "output_length": {"mean": 6, "stddev": 3, "min": 2, "max": 10},
    }});
    let id = server.accepted(&asked).await;
    server.until_state(&id, "completed").await;
    let lengths = async |id: &str| {
        let items = server.processes(id).await;
        let requests = items["items"][0]["requests"].as_array().expect("a list").clone();
        let length = |request: &Value| (request["input_tokens"].as_u64(), request["output_tokens"].as_u64());
        let mut lengths: Vec<_> = requests
            .iter()
            .map(|request| (request["prompt_index"].as_u64(), length(request)))
            .collect();
        lengths.sort_unstable();
        lengths
    };
    let found = lengths(&id).await;
    assert_eq!(found.len(), 6);
    assert!(found.iter().all(|(_, (input, output))| {
        (Some(10)..=Some(71)).contains(input) && (Some(2)..=Some(10)).contains(output)
    }));
    assert!(found.iter().any(|(_, lengths)| *lengths != found[0].1), "{found:?}");
    // The seed decides, whoever runs it.
    fields_of_synthetic(&mut asked);
    let id = server.accepted(&asked).await;
    server.until_state(&id, "completed").await;
    let items = server.processes(&id).await;
    let of_engine = items["items"][0]["requests"].as_array().expect("a list");
    for (index, (_, (input, output))) in found.iter().enumerate() {
        let request = of_engine
            .iter()
            .find(|request| request["prompt_index"] == json!(index))
            .expect("each prompt");
        // llama.cpp counts the beginning of the sequence, where the model has one.
        let counted = input.expect("known");
        assert!([counted, counted - 1].contains(&request["input_tokens"].as_u64().expect("known")));
        assert_eq!(request["output_tokens"].as_u64(), *output);
    }
}

/// Makes it an experiment of the synthetic engine.
fn fields_of_synthetic(experiment: &mut Value) {
    experiment["engine"] = json!("synthetic");
    experiment["model_name"] = json!("synthetic:");
}

#[tokio::test]
async fn an_open_load_reaches_llama_cpp_when_it_is_due_and_each_cycle_may_have_a_server_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let server = serve(folder.path(), port, &[]);
    let mut open = experiment("llama", MODEL, 1);
    open["load"] = json!({"open": {"rate_per_sec": 4.0, "requests": 6}});
    (open["process_per_cycle"], open["num_cycles"]) = (json!(true), json!(2));
    let id = server.accepted(&open).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    let offered = &results["load_report"];
    assert_eq!(
        (&offered["kind"], &offered["requests"]),
        (&json!("open"), &json!(12)),
        "{offered:#}"
    );
    assert_eq!(offered["queueing_ms"], Value::Null, "a server queues by itself");
    assert_eq!(
        results["loads"].as_array().map(Vec::len),
        Some(2),
        "each cycle has its server"
    );
    assert_eq!(results["repetition"]["level"], "process");
    let processes = server.processes(&id).await;
    for pass in processes["items"].as_array().expect("a list") {
        assert!(
            pass["energy"]["cpu_time_share"].is_number(),
            "each server is followed: {pass:#}"
        );
        for request in pass["requests"].as_array().expect("a list") {
            assert_eq!(request["output_tokens"], 16);
            let sec = |name: &str| request[name].as_f64().expect("a time");
            // It is not held back until another has ended: the sender alone is late.
            let late_ms = (sec("sent_monotonic_sec") - sec("due_monotonic_sec")) * 1e3;
            assert!(late_ms >= 0.0 && late_ms <= sec("sender_lag_ms") + 50.0, "{request:#}");
        }
    }
    // The one that runs already is nobody's to start.
    let running = running(port);
    let mut attached = experiment("running", &running.models().await[0], 1);
    attached["process_per_cycle"] = json!(true);
    let (status, problem) = server.submit(&attached).await;
    assert_eq!(status, reqwest::StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["errors"][0]["pointer"], "/process_per_cycle", "{problem:#}");
}
