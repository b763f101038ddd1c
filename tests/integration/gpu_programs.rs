//! Programs of the engine for GPUs: which one a board gets, what refuses a board that none fits, and what is said of one that
//! does not start.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use joulemark_testkit::fake_engine;
use joulemark_worker::protocol;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::meter_command::joulemark;
use crate::mock_nvml::{MockNvml, uuid};
use crate::server::Server;
use crate::tiny_llama;

/// A host with these boards, and with these programs beside the engine for the CPU.
struct Host {
    folder: tempfile::TempDir,
    mock: MockNvml,
}

impl Host {
    fn new(capabilities: &str, programs: &[(&str, &str)]) -> Self {
        Self::of_boards(capabilities, programs, "")
    }

    /// `told` is what else the boards tell.
    fn of_boards(capabilities: &str, programs: &[(&str, &str)], told: &str) -> Self {
        let devices = capabilities.split(',').count();
        let host = Self {
            folder: tempfile::tempdir().expect("a folder"),
            mock: MockNvml::new(&format!("devices={devices}\ncompute_capability={capabilities}\n{told}")),
        };
        std::fs::create_dir_all(host.engines()).expect("a folder");
        fake_engine::write(&host.engines(), protocol::VERSION);
        for (name, script) in programs {
            let program = host.engines().join(format!("joulemark-mistral-{name}"));
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a program");
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it may be run");
        }
        host
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn engines(&self) -> PathBuf {
        self.path().join("engines")
    }

    fn server(&self) -> Server {
        let (engines, library) = (self.engines(), self.mock.library());
        let server = Server::start_in(
            self.path(),
            &[
                "--allow-synthetic-engine",
                "--engine-dir",
                engines.to_str().expect("UTF-8"),
                "--nvml-lib",
                library.to_str().expect("UTF-8"),
            ],
        );
        tiny_llama::write(&server.folder.join("models/tiny"), 1);
        server
    }

    /// The programs that were started for work, by their names.
    fn started(&self) -> Vec<String> {
        let started = std::fs::read_to_string(self.path().join("started")).unwrap_or_default();
        started.lines().map(str::to_owned).collect()
    }

    fn doctor(&self) -> Value {
        let engines = self.engines();
        let output = joulemark("doctor", self.path(), &self.mock.library())
            .args(["--json", "--engine-dir", engines.to_str().expect("UTF-8")])
            .output()
            .expect("it runs");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

/// Says that it was built for GPUs, and notes its name where it is started for work, where it fails.
fn for_gpus() -> String {
    format!(
        r#"if [ "$1" = --describe ]; then
  echo '{{"name": "mistral", "version": "0.1.0", "engine_version": "0.8.1", "features": ["cuda"], "compiled_cpu_features": [],
    "protocol_version": {}}}'
else
  basename "$0" >>"$(dirname "$0")/../started"
  exit 3
fi"#,
        protocol::VERSION
    )
}

fn without(library: &str) -> String {
    format!(
        "echo \"$0: error while loading shared libraries: {library}: cannot open shared object file: No such file or \
         directory\" >&2; exit 127"
    )
}

fn experiment(more: &Value) -> Value {
    let mut experiment = json!({"model_name": "tiny", "prompts": ["a"], "max_output_tokens": 1, "num_cycles": 1,
        "warmup_iterations": 0, "idle_baseline_sec": 0});
    for (name, value) in more.as_object().expect("an object") {
        experiment[name] = value.clone();
    }
    experiment
}

async fn refused(server: &Server, more: Value) -> (String, String) {
    let (status, problem) = server.submit(&experiment(&more)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    let error = &problem["errors"][0];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&error["pointer"]), text(&error["detail"]))
}

#[tokio::test]
async fn each_board_is_computed_on_by_the_program_that_was_built_for_it() {
    let script = for_gpus();
    let host = Host::new("8.9,9.0", &[("sm80", &script), ("sm90", &script)]);
    let server = host.server();
    for gpu in [0, 1] {
        let id = server.accepted(&experiment(&json!({"gpus": [gpu]}))).await;
        server.until_state(&id, "failed").await;
    }
    assert_eq!(host.started(), ["joulemark-mistral-sm80", "joulemark-mistral-sm90"]);
    // Any GPU is one that a program fits, here all, and without a GPU it is the program for the CPU, which notes nothing.
    let id = server.accepted(&experiment(&json!({"device": "cpu"}))).await;
    server.until_state(&id, "failed").await;
    assert_eq!(host.started().len(), 2);
}

#[tokio::test]
async fn a_wave_that_does_not_fit_beside_what_is_in_use_is_refused_with_the_sum_before_it_is_loaded() {
    let script = for_gpus();
    let host = Host::of_boards("9.0", &[("sm90", &script)], "memory_used_gib=80");
    let server = host.server();
    let wave = json!({"gpus": [0], "batch_size": 2, "min_output_tokens": 4, "max_output_tokens": 4,
        "prompts": {"synthetic": {"input_tokens": 28, "count": 4, "seed": 1}}});
    let id = server.accepted(&experiment(&wave)).await;
    let failed = server.until_state(&id, "failed").await;
    let message = failed["failure"]["message"].as_str().expect("a message");
    for part in ["does not fit", "batch_size 2 × 32 tokens", "0.0 MB is free", &uuid(0)] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(host.started(), Vec::<String>::new(), "nothing was loaded");
}

#[tokio::test]
async fn a_board_that_no_program_fits_is_refused_by_name_and_given_to_nobody_who_asks_for_any() {
    let script = for_gpus();
    let host = Host::new("10.0,9.0", &[("sm80", &script), ("sm90", &script)]);
    let server = host.server();
    for named in [json!({"gpus": [0]}), json!({"gpus": [uuid(0)], "device": "cuda"})] {
        let (pointer, detail) = refused(&server, named).await;
        assert_eq!(pointer, "/gpus/0");
        for words in ["compute capability 10.0", "8.0, 9.0", "`deploy/build-cuda.sh 100`"] {
            assert!(detail.contains(words), "{detail}");
        }
    }
    let (pointer, detail) = refused(&server, json!({"gpu_count": 2})).await;
    assert_eq!(pointer, "/gpu_count");
    assert!(detail.contains("computes on 1 of the GPUs here"), "{detail}");
    for _ in 0..2 {
        let id = server.accepted(&experiment(&json!({"device": "cuda"}))).await;
        let failed = server.until_state(&id, "failed").await;
        assert_eq!(failed["gpus"], json!([uuid(1)]), "{failed:#}");
    }
    assert_eq!(host.started(), ["joulemark-mistral-sm90"; 2]);
    // What computes nothing may have any board.
    let synthetic = json!({"model_name": "synthetic:", "device": "cuda", "gpus": [0]});
    let id = server.accepted(&experiment(&synthetic)).await;
    server.until_state(&id, "completed").await;
    let node = &server.get("/v1/nodes").await.1["items"][0];
    assert_eq!(node["gpus"][0]["compute_capability"], "10.0", "{node:#}");
    assert!(node["gpus"][0]["engine_problem"].is_string(), "{node:#}");
    assert_eq!(node["gpus"][1]["engine_problem"], Value::Null, "{node:#}");
    let programs = node["engines"].as_array().expect("a list");
    let built_for = programs.iter().map(|program| program["compute_capability"].clone());
    assert_eq!(built_for.collect::<Vec<_>>(), [Value::Null, json!("8.0"), json!("9.0")]);
}

#[tokio::test]
async fn a_program_that_its_loader_does_not_start_is_named_and_the_service_runs_on() {
    let host = Host::new(
        "9.0,8.6",
        &[
            ("sm80", &without("libcublasLt.so.13")),
            ("sm90", &without("libcuda.so.1")),
        ],
    );
    let server = host.server();
    let (pointer, detail) = refused(&server, json!({"device": "cuda"})).await;
    assert_eq!(pointer, "/device");
    for words in [
        "finds no NVIDIA driver",
        "needs libcublasLt.so.13 of CUDA",
        "accepted here is device cpu",
    ] {
        assert!(detail.contains(words), "{detail}");
    }
    assert!(!detail.contains(host.path().to_str().expect("UTF-8")), "{detail}");
    let node = &server.get("/v1/nodes").await.1["items"][0];
    let problems = node["engine_problems"].as_array().expect("a list");
    assert_eq!(problems.len(), 2, "{node:#}");
    assert_eq!(node["has_cuda"], false, "{node:#}");
    // By itself a submission computes on the CPU there.
    let id = server.accepted(&experiment(&json!({}))).await;
    server.until_state(&id, "failed").await;
    let found = host.doctor();
    let works = found["engines"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|engine| engine["works"].clone());
    assert_eq!(works.collect::<Vec<_>>(), [true, false, false], "{found:#}");
    for (gpu, words) in [(0, "finds no NVIDIA driver"), (1, "needs libcublasLt.so.13")] {
        let of_gpu = &found["gpu_programs"][gpu];
        assert_eq!(of_gpu["program"], Value::Null, "{found:#}");
        assert!(
            of_gpu["problem"]
                .as_str()
                .is_some_and(|problem| problem.contains(words)),
            "{found:#}"
        );
    }
}

#[test]
fn doctor_names_each_boards_program_or_the_command_that_makes_one() {
    let script = for_gpus();
    let host = Host::new("9.0,12.0", &[("sm90", &script)]);
    let found = host.doctor();
    let of_gpu = &found["gpu_programs"];
    let program = of_gpu[0]["program"].as_str().expect("a path");
    assert!(program.ends_with("/joulemark-mistral-sm90"), "{found:#}");
    let problem = of_gpu[1]["problem"].as_str().expect("a problem");
    assert!(problem.contains("`deploy/build-cuda.sh 120`"), "{found:#}");
    assert_eq!(of_gpu[1]["compute_capability"], "12.0", "{found:#}");
}
