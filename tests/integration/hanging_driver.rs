//! Drivers that hang or take long: each costs its own board, and nothing else of the host.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyMetrics, SourceReading, Window};
use joulemark_meter::{EnergyOptions, HostMeter, open};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::meter_command::joulemark;
use crate::mock_nvml::{MockNvml, uuid};
use crate::nvml::truth;
use crate::server::Server;

const BOARD: &str = "constant:200";
const PACKAGE: &str = "constant:50";

fn host() -> FakePowercap {
    FakePowercap::start(vec![FakeZone::new("intel-rapl:0", "package-0", PACKAGE)])
}

fn mock(devices: u32, switches: &str) -> MockNvml {
    MockNvml::new(&format!("devices={devices}\nshape={BOARD}\n{switches}"))
}

fn meter(mock: &MockNvml, tree: &FakePowercap) -> HostMeter {
    let opened = open(&EnergyOptions {
        rapl_root: tree.root(),
        perf_event: None,
        nvml_library: Some(mock.library()),
        ..EnergyOptions::default()
    });
    HostMeter::start(opened).expect("a meter")
}

fn of(metrics: &EnergyMetrics, device: u32) -> &SourceReading {
    let found = metrics
        .sources
        .iter()
        .find(|reading| reading.gpu_uuid.as_deref() == Some(&uuid(device)));
    found.expect("a reading for each device")
}

fn window(during: Duration) -> Window {
    let start = Monotonic::now();
    std::thread::sleep(during);
    Window {
        start_monotonic_sec: start.as_sec(),
        end_monotonic_sec: Monotonic::now().as_sec(),
    }
}

fn since(moment: Monotonic) -> Duration {
    Duration::from_secs_f64(Monotonic::now().sec_since(moment))
}

fn assert_near(value: Option<f64>, expected: f64, what: &str) {
    let value = value.unwrap_or_else(|| panic!("{what} is unknown"));
    assert!(
        (value - expected).abs() < 0.02 * expected,
        "{what}: {value} for {expected}"
    );
}

#[test]
fn a_board_whose_driver_hangs_costs_its_own_reading_and_no_other() {
    MockNvml::new("");
    let hangs_at = Monotonic::now().as_sec() + 1.0;
    let mock = mock(3, &format!("hangs=1\nhangs_at_sec={hangs_at}"));
    let tree = host();
    let meter = meter(&mock, &tree);
    std::thread::sleep(Duration::from_millis(1500));
    let during = window(Duration::from_secs(2));
    let asked = Monotonic::now();
    let energy = meter.read_host(&during);
    let took = since(asked);
    for device in [0, 2] {
        assert_near(
            of(&energy, device).energy_j,
            truth(BOARD, &during),
            "a board that answers",
        );
    }
    assert_near(energy.host_cpu_energy_j, truth(PACKAGE, &during), "the packages");
    let hanging = of(&energy, 1);
    let note = hanging.note.as_deref().unwrap_or_default();
    assert!(
        hanging.energy_j.is_none() && energy.total_energy_j.is_none(),
        "{hanging:?}"
    );
    assert!(
        note.contains("nvmlDevice") && note.contains("has not returned"),
        "{note}"
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
    let devices = meter.devices();
    assert!(devices.gpus[1].live_power_w.is_none() && devices.gpus[0].live_power_w.is_some());
    let problem = devices.gpus[1].problem.clone().unwrap_or_default();
    assert!(problem.contains("has not returned"), "{problem}");
    assert!(devices.gpus[0].problem.is_none());
    assert!(meter.health().is_alive);
}

#[test]
fn edges_do_not_wait_for_a_board_whose_driver_hangs() {
    MockNvml::new("");
    let hangs_at = Monotonic::now().as_sec() + 0.5;
    let mock = mock(2, &format!("hangs=0\nhangs_at_sec={hangs_at}"));
    let tree = host();
    let meter = meter(&mock, &tree);
    std::thread::sleep(Duration::from_secs(1));
    for _ in 0..5 {
        let asked = Monotonic::now();
        meter.edge();
        assert!(since(asked) < Duration::from_millis(100), "{:?}", since(asked));
    }
}

fn metered(mock: &MockNvml, tree: &FakePowercap, script: &str) -> (Output, Duration) {
    let begun = Monotonic::now();
    let output = joulemark("meter", &tree.root(), &mock.library())
        .args(["--json", "--", "sh", "-c", script])
        .output()
        .expect("it runs");
    (output, since(begun))
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn meter_ends_with_its_command_while_a_driver_hangs_from_the_start() {
    let (mock, tree) = (mock(3, "hangs=1"), host());
    let (output, took) = metered(&mock, &tree, "sleep 1");
    let reading = json(&output);
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(reading["total_energy_j"], Value::Null, "{reading}");
    let duration = reading["duration_sec"].as_f64().expect("a duration");
    assert!((1.0..1.3).contains(&duration), "{duration}");
    let findings = reading["findings"].to_string();
    assert!(
        findings.contains("GPU 1") && findings.contains("nvmlDevice"),
        "{findings}"
    );
}

#[test]
fn meter_ends_with_its_command_when_a_driver_begins_to_hang_meanwhile() {
    MockNvml::new("");
    let hangs_at = Monotonic::now().as_sec() + 2.5;
    let (mock, tree) = (mock(2, &format!("hangs=1\nhangs_at_sec={hangs_at}")), host());
    let (output, took) = metered(&mock, &tree, "sleep 4");
    let reading = json(&output);
    assert!(took < Duration::from_secs(15), "{took:?}");
    let sources = reading["sources"].as_array().expect("sources");
    let board = |index: u64| sources.iter().find(|source| source["gpu"] == index).expect("the board");
    assert!(
        board(0)["energy_j"].is_f64() && board(1)["energy_j"].is_null(),
        "{reading}"
    );
    assert!(reading["cpu_energy_j"].is_f64(), "{reading}");
}

/// Lets the command obey SIGINT, which a shell without job control has what it starts in the background ignore.
#[expect(unsafe_code, reason = "a disposition is set between fork and exec")]
fn obey_signals(command: &mut Command) {
    // SAFETY: signal(2) may be called between fork and exec, and the closure allocates nothing.
    unsafe {
        command.pre_exec(|| Ok(signal(Signal::SIGINT, SigHandler::SigDfl).map(drop)?));
    }
}

#[test]
fn meter_obeys_a_signal_while_a_driver_hangs() {
    let (mock, tree) = (mock(2, "hangs=1"), host());
    for ending in [Signal::SIGINT, Signal::SIGTERM] {
        let mut command = joulemark("meter", &tree.root(), &mock.library());
        obey_signals(&mut command);
        let mut child = command
            .args(["--json", "--", "sleep", "60"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        std::thread::sleep(Duration::from_secs(6));
        let begun = Monotonic::now();
        kill(Pid::from_raw(child.id() as i32), ending).expect("it is there");
        child.wait().expect("it ends");
        assert!(since(begun) < Duration::from_secs(10), "{:?}", since(begun));
    }
}

#[test]
fn windows_are_the_command_s_however_long_each_driver_call_takes() {
    for (devices, latency_ms) in [(4, 200), (16, 1), (1, 1500)] {
        let (mock, tree) = (mock(devices, &format!("latency_ms={latency_ms}")), host());
        let (output, _) = metered(&mock, &tree, "sleep 1");
        let duration = json(&output)["duration_sec"].as_f64().expect("a duration");
        assert!(
            (1.0..1.02).contains(&duration),
            "{devices} at {latency_ms} ms: {duration}"
        );
    }
}

#[test]
fn a_slow_board_keeps_no_other_source_waiting() {
    let (mock, tree) = (mock(2, "latency_ms=0,200"), host());
    let meter = meter(&mock, &tree);
    std::thread::sleep(Duration::from_secs(3));
    let during = window(Duration::from_secs(2));
    let energy = meter.read_host(&during);
    assert_near(of(&energy, 0).energy_j, truth(BOARD, &during), "the quick board");
    assert_near(energy.host_cpu_energy_j, truth(PACKAGE, &during), "the packages");
    assert!(of(&energy, 0).sample_count >= 18, "{:?}", of(&energy, 0));
    let asked = Monotonic::now();
    meter.edge();
    assert!(since(asked) < Duration::from_millis(100), "{:?}", since(asked));
}

#[test]
fn doctor_says_which_call_hangs() {
    let (mock, tree) = (mock(2, "hangs=1"), host());
    let output = joulemark("doctor", &tree.root(), Path::new(&mock.library()))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("nvmlDevice") && said.contains("has not returned"),
        "{said}"
    );
}

#[tokio::test]
async fn a_server_goes_on_with_experiments_that_do_not_need_the_board_whose_driver_hangs() {
    MockNvml::new("");
    let hangs_at = Monotonic::now().as_sec() + 3.0;
    let (mock, tree) = (mock(2, &format!("hangs=1\nhangs_at_sec={hangs_at}")), host());
    let (library, root) = (mock.library(), tree.root());
    let server = Server::start_with(&[
        "--allow-synthetic-engine",
        "--nvml-lib",
        library.to_str().unwrap(),
        "--rapl-root",
        root.to_str().unwrap(),
    ]);
    let problem_of = async |gpu: usize| server.get("/v1/devices").await.1["gpus"][gpu]["problem"].clone();
    let begun = Monotonic::now();
    while !problem_of(1).await.to_string().contains("has not returned") {
        assert!(since(begun) < Duration::from_secs(60), "{}", server.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(problem_of(0).await, Value::Null);
    let ready = server.get("/readyz").await.1;
    assert!(ready["energy_problems"][0].to_string().contains("GPU 1"), "{ready}");
    let on_the_other = json!({
        "model_name": "synthetic:prefill_ms=30,decode_ms=10", "prompts": ["one", "two"], "max_output_tokens": 20,
        "device": "cuda", "gpus": [0], "num_cycles": 1, "warmup_iterations": 0, "idle_baseline_sec": 0,
    });
    let id = server.accepted(&on_the_other).await;
    server.until_state(&id, "completed").await;
    let energy = server.results(&id).await["energy"].clone();
    assert!(
        energy["gpu_energy_j"].as_f64().is_some_and(|joules| joules > 0.0),
        "{energy}"
    );
}
