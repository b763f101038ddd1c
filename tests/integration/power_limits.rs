//! Power limits and clocks that experiments ask for, through the real server on the mock NVML.

use std::path::Path;
use std::process::Command;

use joulemark_power_control::{milliwatts, reads};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::mock_nvml::{self, MockNvml};
use crate::server::Server;

pub const BOARDS: &str = "devices=2\nmax_limit=500\ndefault_limit=400\npower_limit=400";

pub fn options(mock: &MockNvml) -> Vec<String> {
    let library = mock.library().to_str().expect("a path").to_owned();
    let options = [
        "--allow-synthetic-engine",
        "--nvml-lib",
        &library,
        "--sample-interval-ms",
        "50",
    ];
    options.into_iter().map(str::to_owned).collect()
}

fn start(mock: &MockNvml, more: &[&str]) -> Server {
    let options = options(mock);
    let all: Vec<&str> = options.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Server::start_with(&all)
}

pub fn experiment(more: Value) -> Value {
    let mut experiment = json!({
        "model_name": "synthetic:decode_ms=50", "prompts": ["a"], "max_output_tokens": 30, "device": "cpu", "gpus": [0, 1],
        "num_cycles": 2, "warmup_iterations": 0, "idle_baseline_sec": 0,
    });
    let fields = more.as_object().expect("an object").clone();
    experiment.as_object_mut().expect("an object").extend(fields);
    experiment
}

pub fn limits_w(mock: &MockNvml) -> [f64; 2] {
    [0, 1].map(|device| {
        let limits = reads(Some(&mock.library()), &mock_nvml::uuid(device)).expect("the board answers");
        limits.set_w.expect("it has a limit")
    })
}

/// Sets a board as somebody else would.
pub fn set_limit(mock: &MockNvml, device: u32, watts: f64) {
    let nvml = joulemark_meter::open_nvml(Some(&mock.library())).expect("the mock");
    let mut board = nvml.device_by_index(device).expect("a board");
    let set = board.set_power_management_limit(milliwatts(watts));
    set.expect("it is taken");
}

#[tokio::test]
async fn boards_have_their_limit_while_an_experiment_runs_and_theirs_again_afterwards() {
    let mock = MockNvml::new(BOARDS);
    let server = start(&mock, &["--power-control", "nvml"]);
    let id = server
        .accepted(&experiment(
            json!({"power_limit_w": 300, "gpu_clock_mhz": 1200, "settle": {"max_sec": 30}}),
        ))
        .await;
    server.until_state(&id, "measuring").await;
    assert_eq!(limits_w(&mock), [300.0, 300.0]);
    server.until_state(&id, "completed").await;
    assert_eq!(limits_w(&mock), [400.0, 400.0]);
    let results = server.results(&id).await;
    assert_eq!(results["power_limit_w"], 300.0);
    let limit = &results["power_limits"][1];
    assert_eq!(limit["gpu"], mock_nvml::uuid(1));
    assert_eq!((&limit["asked_w"], &limit["before_w"]), (&json!(300.0), &json!(400.0)));
    assert_eq!(
        limit["in_force_w"],
        json!({"min": 300.0, "median": 300.0, "max": 300.0})
    );
    let clocks = &results["clocks"][0];
    assert_eq!(
        (&clocks["asked_gpu_clock_mhz"], &clocks["asked_memory_clock_mhz"]),
        (&json!(1200), &Value::Null)
    );
    assert_eq!(clocks["sm_clock_mhz"]["median"], 1200.0);
    assert_eq!(results["cycle_starts"][0]["is_steady"], true, "{results:#}");
    let devices = server.get("/v1/devices").await.1;
    let bounds = json!({"min_w": 100.0, "max_w": 500.0, "default_w": 400.0});
    assert_eq!(devices["gpus"][0]["power_limits"], bounds);
}

#[tokio::test]
async fn what_no_board_takes_and_what_nobody_sets_is_refused_in_words() {
    let mock = MockNvml::new(BOARDS);
    let server = start(&mock, &["--power-control", "nvml"]);
    server.accepted(&experiment(json!({"power_limit_w": 300}))).await;
    for (asked, pointer, words) in [
        (
            json!({"power_limit_w": 90}),
            "/power_limit_w",
            "accepted on GPU 0 (Mock GPU 80GB) are 100 to 500 W; its default is 400",
        ),
        (json!({"gpu_clock_mhz": 5000}), "/gpu_clock_mhz", "are 210 to 1980 MHz"),
        (
            json!({"memory_clock_mhz": 1}),
            "/memory_clock_mhz",
            "are 2619, 1309 MHz",
        ),
        (
            json!({"power_limit_w": 300, "gpus": []}),
            "/power_limit_w",
            "no GPU is leased",
        ),
        (json!({"settle": {"max_sec": 0}}), "/settle/max_sec", "1"),
    ] {
        let (status, problem) = server.submit(&experiment(asked.clone())).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{asked}: {problem:#}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem:#}");
        let detail = problem["errors"][0]["detail"].as_str().expect("a text");
        assert!(detail.contains(words), "{detail}");
    }
    for (mock, more, words) in [
        (MockNvml::new(BOARDS), &[][..], "started without --power-control"),
        (
            MockNvml::new(&format!("{BOARDS}\nset_refused=1")),
            &["--power-control", "nvml"],
            "it may not be set",
        ),
        (
            MockNvml::new(BOARDS),
            &["--power-control", "zeusd:/nonexistent/zeusd.sock"],
            "zeusd does not answer at",
        ),
    ] {
        let server = start(&mock, more);
        let asked = experiment(json!({"power_limit_w": 300}));
        let (status, problem) = server.submit(&asked).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
        let detail = problem["errors"][0]["detail"].as_str().expect("a text");
        assert!(detail.contains(words), "{detail}");
        assert_eq!(limits_w(&mock), [400.0, 400.0]);
    }
}

#[tokio::test]
async fn a_board_that_rounds_or_has_a_stricter_limit_fails_the_experiment_in_words() {
    for (switch, words) in [
        ("limit_step=25", "took a power limit of 300 W where 310 W was asked for"),
        ("stricter_limit=250", "a stricter one of 250 W is in force"),
    ] {
        let mock = MockNvml::new(&format!("{BOARDS}\n{switch}"));
        let server = start(&mock, &["--power-control", "nvml"]);
        let id = server.accepted(&experiment(json!({"power_limit_w": 310}))).await;
        let failed = server.until_state(&id, "failed").await;
        let message = failed["failure"]["message"].as_str().expect("a text");
        assert!(message.contains(words), "{message}");
        assert_eq!(limits_w(&mock), [400.0, 400.0]);
    }
}

#[tokio::test]
async fn a_limit_that_somebody_else_changes_voids_the_cycle_and_stays_theirs() {
    let mock = MockNvml::new(BOARDS);
    let server = start(&mock, &["--power-control", "nvml"]);
    let asked = json!({"power_limit_w": 300, "max_output_tokens": 60, "num_cycles": 3});
    let id = server.accepted(&experiment(asked)).await;
    server.until_state(&id, "measuring").await;
    server.until(&id, |shown| shown["progress"]["cycle"] == 1).await;
    set_limit(&mock, 1, 250.0);
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    assert_eq!(results["cycles"].as_array().map(Vec::len), Some(1), "{results:#}");
    let warnings = results["validation"]["warnings"].as_array().expect("a list");
    let told = warnings.iter().find(|warning| warning["code"] == "power_limit_changed");
    let message = told.expect("a warning")["message"].as_str().expect("a text");
    assert!(
        message.contains("in cycle 1 a power limit of 250 W was in force"),
        "{message}"
    );
    assert_eq!(limits_w(&mock), [400.0, 250.0], "theirs is left alone");
}

#[tokio::test]
async fn a_driver_that_is_reloaded_voids_the_cycle_and_is_not_taken_for_somebody_who_set_a_limit() {
    let mock = MockNvml::new(&format!("{BOARDS}\nreload_when_told=1\nreload_sec=0.3"));
    set_limit(&mock, 0, 350.0);
    let server = start(&mock, &["--power-control", "nvml"]);
    // Longer than the meter needs to find the driver again and to look at limits.
    let asked = json!({"power_limit_w": 300, "max_output_tokens": 120, "num_cycles": 3});
    let id = server.accepted(&experiment(asked)).await;
    server.until_state(&id, "measuring").await;
    server.until(&id, |shown| shown["progress"]["cycle"] == 1).await;
    mock.reload_driver();
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    assert_eq!(results["cycles"].as_array().map(Vec::len), Some(1), "{results:#}");
    let warnings = results["validation"]["warnings"].as_array().expect("a list");
    let told = warnings.iter().find(|warning| warning["code"] == "power_limit_changed");
    let message = told.expect("a warning")["message"].as_str().expect("a text");
    for words in [
        "in cycle 1 a power limit of 400 W was in force",
        "as after a reload of the driver",
    ] {
        assert!(message.contains(words), "{message}");
    }
    assert!(!message.contains("somebody else"), "{message}");
    assert_eq!(
        limits_w(&mock),
        [350.0, 400.0],
        "what they had before, not the driver's default"
    );
}

#[tokio::test]
async fn what_a_killed_server_set_is_put_back_by_the_next_and_by_hand() {
    for by_hand in [true, false] {
        let (mock, folder) = (MockNvml::new(BOARDS), tempfile::tempdir().expect("a folder"));
        let mut options = options(&mock);
        options.extend(["--power-control".to_owned(), "nvml".to_owned()]);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let server = Server::start_in(folder.path(), &options);
        let asked = json!({"power_limit_w": 300, "max_output_tokens": 2000});
        let id = server.accepted(&experiment(asked)).await;
        server.until_state(&id, "measuring").await;
        server.kill();
        assert_eq!(limits_w(&mock), [300.0, 300.0]);
        if by_hand {
            let said = restored_by_hand(&mock, folder.path());
            assert!(said.contains("back at its power limit of 400 W"), "{said}");
            assert!(said.contains(&format!("changed for experiment {id}")), "{said}");
            assert_eq!(
                restored_by_hand(&mock, folder.path()),
                "nothing to restore
"
            );
        } else {
            let next = Server::start_in(folder.path(), &options);
            next.until_logged(&[&mock_nvml::uuid(1), "back at its power limit of 400 W"])
                .await;
            next.cancel(&id).await;
            next.until_state(&id, "cancelled").await;
        }
        assert_eq!(limits_w(&mock), [400.0, 400.0]);
    }
}

/// Runs what a unit's ExecStopPost runs.
pub fn restored_by_hand(mock: &MockNvml, folder: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_joulemark"));
    command.args(["power", "restore", "--power-control", "nvml", "--lock-dir"]);
    command.arg(folder.join("locks")).arg("--nvml-lib").arg(mock.library());
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}
