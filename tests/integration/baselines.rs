//! Baselines, phases and the host's idle and other energy through the real server, on a GPU whose power is known.

use std::any::Any;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::meter_command::Powercap;
use crate::mock_nvml::MockNvml;
use crate::server::Server;

const WATTS: f64 = 200.0;

struct Bench {
    _mock: MockNvml,
    _tree: Box<dyn Any>,
    server: Server,
}

impl Bench {
    fn start() -> Self {
        let tree = Powercap::new(&[("intel-rapl:0", "package-0")]);
        let root = tree.root().to_owned();
        Self::on(root, Box::new(tree))
    }

    /// A package that stands still is unknown, and with it every total: this one moves.
    fn start_on_a_package_that_moves() -> Self {
        let tree = FakePowercap::start(vec![FakeZone::new("intel-rapl:0", "package-0", "constant:60")]);
        Self::on(tree.root(), Box::new(tree))
    }

    fn on(root: PathBuf, tree: Box<dyn Any>) -> Self {
        let mock = MockNvml::new("shape=constant:200\nutilisation=0");
        let library = mock.library();
        let server = Server::start_with(&[
            "--allow-synthetic-engine",
            "--nvml-lib",
            library.to_str().expect("a path"),
            "--rapl-root",
            root.to_str().expect("a path"),
            "--sample-interval-ms",
            "20",
        ]);
        Self {
            _mock: mock,
            _tree: tree,
            server,
        }
    }

    async fn results(&self, model: &str, idle_baseline_sec: u32) -> Value {
        let experiment = json!({
            "model_name": model, "prompts": ["a", "b"], "max_output_tokens": 8, "num_cycles": 2, "gpus": [0],
            "device": "cpu", "warmup_iterations": 1, "idle_baseline_sec": idle_baseline_sec,
        });
        let id = self.server.accepted(&experiment).await;
        self.server.until_state(&id, "completed").await;
        self.server.results(&id).await
    }
}

fn named<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
    let found = list.as_array().expect("a list").iter().find(|item| item[key] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list:#}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test]
async fn a_loaded_baseline_stands_beside_the_total_and_a_gpu_of_constant_power_has_no_margin() {
    let bench = Bench::start();
    let results = bench.results("synthetic:prefill_ms=300,decode_ms=60", 1).await;
    let energy = &results["energy"];
    let loaded = named(&energy["baselines"], "kind", "loaded");
    assert!((number(&loaded["gpu_power_w"]) - WATTS).abs() < 2.0, "{loaded:#}");
    assert!(
        (number(&loaded["baseline_power_w"]) - WATTS).abs() < 2.0,
        "the fake package stands still: {loaded:#}"
    );
    let gpu_j = number(&energy["gpu_energy_j"]);
    assert!(gpu_j > 500.0, "nothing is subtracted: {energy:#}");
    assert!(number(&loaded["marginal_energy_j"]).abs() < 0.02 * gpu_j, "{loaded:#}");
    assert!((0.7..=1.1).contains(&number(&loaded["window_sec"])), "{loaded:#}");
    assert!(
        (0.0..=1.0).contains(&number(&loaded["age_sec"])),
        "just before the cycles: {loaded:#}"
    );
    assert_eq!(results["timing"]["idle_baseline_sec"], 1.0);
    for cycle in results["cycles"].as_array().expect("cycles") {
        let of_cycle = named(&cycle["energy"]["baselines"], "kind", "loaded");
        assert_eq!(of_cycle["baseline_power_w"], loaded["baseline_power_w"]);
        assert!(
            number(&of_cycle["marginal_energy_j"]).abs() < 0.04 * gpu_j / 2.0,
            "{of_cycle:#}"
        );
    }
}

#[tokio::test]
async fn a_baseline_that_was_not_measured_is_null_with_the_reason() {
    let bench = Bench::start();
    let results = bench.results("synthetic:", 0).await;
    let baselines = &results["energy"]["baselines"];
    let loaded = named(baselines, "kind", "loaded");
    assert_eq!(
        (&loaded["baseline_power_w"], &loaded["marginal_energy_j"]),
        (&Value::Null, &Value::Null)
    );
    assert!(
        loaded["note"]
            .as_str()
            .is_some_and(|note| note.contains("idle_baseline_sec is 0")),
        "{loaded:#}"
    );
    // Claimed within the server's first five seconds: nothing can have been at rest for five before it.
    let bare = named(baselines, "kind", "bare");
    assert_eq!(bare["baseline_power_w"], Value::Null);
    assert!(bare["note"].is_string(), "{bare:#}");
    assert_eq!(results["energy"]["host_idle_energy_j"], Value::Null);
}

#[tokio::test]
async fn after_a_rest_the_bare_baseline_is_known_or_says_what_kept_the_host_from_resting() {
    let bench = Bench::start_on_a_package_that_moves();
    tokio::time::sleep(std::time::Duration::from_secs(8)).await;
    let results = bench.results("synthetic:", 0).await;
    let bare = named(&results["energy"]["baselines"], "kind", "bare");
    if bare["baseline_power_w"].is_null() {
        let note = bare["note"].as_str().expect("a note");
        assert!(
            note.contains("% busy") && results["energy"]["host_idle_energy_j"].is_null(),
            "{bare:#}"
        );
    } else {
        assert!((number(&bare["gpu_power_w"]) - WATTS).abs() < 2.0, "{bare:#}");
        assert!(
            number(&bare["window_sec"]) >= 5.0 && number(&bare["age_sec"]) >= 0.0,
            "{bare:#}"
        );
        let energy = &results["energy"];
        let (idle_j, cpu_j) = (
            number(&energy["host_idle_energy_j"]),
            number(&energy["host_cpu_energy_j"]),
        );
        assert!(
            (idle_j - cpu_j).abs() < 0.05 * cpu_j,
            "a package of constant power draws at rest what it draws in a cycle: {energy:#}"
        );
    }
}

#[tokio::test]
async fn phases_longer_than_the_samples_have_the_energy_of_their_own_time() {
    let bench = Bench::start_on_a_package_that_moves();
    let results = bench
        .results("synthetic:load_ms=800,prefill_ms=400,decode_ms=100", 0)
        .await;
    let phases = &results["energy"]["phases"];
    for (phase, least_sec) in [
        ("model_load", 0.8),
        ("warm_up", 1.1),
        ("prefill", 4.0 * 0.4),
        ("decode", 4.0 * 0.7),
    ] {
        let phase = named(phases, "phase", phase);
        let duration_sec = number(&phase["duration_sec"]);
        assert!((least_sec..1.5 * least_sec).contains(&duration_sec), "{phase:#}");
        let truth = WATTS * duration_sec;
        assert!(
            (number(&phase["gpu_energy_j"]) - truth).abs() < 0.02 * truth,
            "{phase:#}"
        );
        assert!(
            ["high", "medium"].contains(&phase["confidence"].as_str().expect("a word")),
            "{phase:#}"
        );
    }
}

#[tokio::test]
async fn phases_shorter_than_the_samples_are_null_and_say_why() {
    let bench = Bench::start_on_a_package_that_moves();
    let results = bench.results("synthetic:prefill_ms=3,decode_ms=200", 0).await;
    let prefill = named(&results["energy"]["phases"], "phase", "prefill");
    assert_eq!(
        (&prefill["total_energy_j"], &prefill["gpu_energy_j"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(prefill["confidence"], "low");
    assert!(
        prefill["note"]
            .as_str()
            .is_some_and(|note| note.contains("ms on average")),
        "{prefill:#}"
    );
    assert!(number(&prefill["duration_sec"]) > 0.01);
    assert!(number(&named(&results["energy"]["phases"], "phase", "decode")["gpu_energy_j"]) > 0.0);
}

#[tokio::test]
async fn shares_and_the_rest_of_the_host_add_up_to_the_host() {
    // No package counter: the CPU is the estimate, whose energy is never 0.
    let server = Server::start();
    let experiment = json!({
        "model_name": "synthetic:decode_ms=40", "prompts": ["a", "b"], "max_output_tokens": 8, "num_cycles": 2,
        "idle_baseline_sec": 0,
    });
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    for energy in results["cycles"]
        .as_array()
        .expect("cycles")
        .iter()
        .map(|cycle| &cycle["energy"])
    {
        let (host, own) = (number(&energy["host_cpu_energy_j"]), number(&energy["cpu_energy_j"]));
        let other = number(&energy["host_other_energy_j"]);
        assert!(own >= 0.0 && other >= 0.0, "{energy:#}");
        assert!(
            (own + other - host).abs() <= 0.01 * host,
            "{own} + {other} is not {host}"
        );
    }
}

#[tokio::test]
async fn an_idle_baseline_of_more_than_a_minute_is_refused() {
    let server = Server::start();
    let (status, problem) = server
        .submit(&json!({"model_name": "synthetic:", "idle_baseline_sec": 61}))
        .await;
    assert_eq!(status.as_u16(), 422, "{problem:#}");
    assert!(
        problem.to_string().contains("/idle_baseline_sec") && problem.to_string().contains("0 to 60"),
        "{problem:#}"
    );
}
