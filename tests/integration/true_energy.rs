//! The server's path against ground truth: what each process of a real experiment is said to have used, on the mock
//! NVML and a powercap tree that moves by itself.

use std::process::{Child, Command};
use std::time::Duration;

use joulemark_measurement::Window;
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::{EnergyOptions, HostMeter, open};
use serde_json::{Value, json};

use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::nvml::{MockNvml, truth, uuid};
use crate::server::Server;

const GPU_SHAPES: [&str; 2] = ["square:90:310:0.7", "sine:200:80:1.9"];

fn mock() -> MockNvml {
    MockNvml::new(&format!("devices=2\nrefresh_ms=50\nshape={}", GPU_SHAPES.join(",")))
}

fn host() -> FakePowercap {
    FakePowercap::start(vec![
        FakeZone::new("intel-rapl:0", "package-0", "square:60:120:1.1"),
        FakeZone::new("intel-rapl:0:0", "dram", "constant:15"),
    ])
}

fn window_of(entry: &Value) -> Window {
    serde_json::from_value(entry["window"].clone()).expect("each entry has its window")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test]
async fn each_process_s_energy_is_the_truth_for_its_window() {
    let (mock, tree) = (mock(), host());
    let (library, root) = (mock.library(), tree.root());
    let options = [
        "--allow-synthetic-engine",
        "--nvml-lib",
        library.to_str().unwrap(),
        "--rapl-root",
        root.to_str().unwrap(),
    ];
    let server = Server::start_with(&options);
    let experiment = json!({
        "model_name": "synthetic:prefill_ms=40,decode_ms=30", "prompts": ["one", "two", "three", "four"],
        "max_output_tokens": 10, "device": "cpu", "gpus": [0, 1], "num_processes": 2, "num_cycles": 2,
        "warmup_iterations": 0,
    });
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "completed").await;
    let entries = server.processes(&id).await["items"]
        .as_array()
        .expect("entries")
        .clone();
    assert_eq!(entries.len(), 4, "two ranks in two cycles");
    for entry in &entries {
        let (window, energy) = (window_of(entry), &entry["energy"]);
        let gpus = entry["gpus"].as_array().expect("the rank's own GPUs");
        let of = |gpu: &Value| {
            truth(
                if gpu == &json!(uuid(0)) {
                    GPU_SHAPES[0]
                } else {
                    GPU_SHAPES[1]
                },
                &window,
            )
        };
        let expected_j: f64 = gpus.iter().map(of).sum();
        let gpu_j = number(&energy["gpu_energy_j"]);
        assert!(
            (gpu_j - expected_j).abs() < 0.01 * expected_j,
            "{gpu_j} for {expected_j}"
        );
        let package_j = tree.zones[0].truth_j(window.start_monotonic_sec, window.end_monotonic_sec);
        let host_j = number(&energy["host_cpu_energy_j"]);
        assert!(
            (host_j - package_j).abs() < 0.02 * package_j,
            "{host_j} for {package_j}"
        );
        let (share, own_j) = (number(&energy["cpu_time_share"]), number(&energy["cpu_energy_j"]));
        assert!(
            (0.0..=1.0).contains(&share) && (0.0..=host_j).contains(&own_j),
            "{share} {own_j}"
        );
    }
}

/// A process that keeps a CPU busy until it is dropped.
struct Busy(Child);

impl Busy {
    fn start() -> Self {
        Self(
            Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .spawn()
                .expect("a child"),
        )
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("its end");
    }
}

/// On the meter itself, with processes that do nothing but compute; `overlapping` shows the same through the server.
#[test]
fn two_experiments_that_overlap_each_get_their_own_and_never_more_than_the_host() {
    let (mock, tree) = (mock(), host());
    let opened = open(&EnergyOptions {
        rapl_root: tree.root(),
        perf_event: None,
        nvml_library: Some(mock.library()),
        sample_interval: Duration::from_millis(100),
        ..EnergyOptions::default()
    });
    let meter = HostMeter::start(opened).expect("a meter");
    let processes = [Busy::start(), Busy::start()];
    for process in &processes {
        meter.track(process.0.id()).expect("its clock");
    }
    let pause = |ms| std::thread::sleep(Duration::from_millis(ms));
    let first_start = meter.edge();
    pause(400);
    let second_start = meter.edge();
    pause(900);
    let first_end = Monotonic::now();
    meter.edge();
    pause(400);
    let second_end = Monotonic::now();
    meter.edge();
    let window = |start: Monotonic, end: Monotonic| Window {
        start_monotonic_sec: start.as_sec(),
        end_monotonic_sec: end.as_sec(),
    };
    for (device, start, end) in [(0, first_start, first_end), (1, second_start, second_end)] {
        let window = window(start, end);
        let metrics = meter.read(&window, &[uuid(device)], &[processes[device as usize].0.id()]);
        let (gpu_j, expected_j) = (
            metrics.gpu_energy_j.expect("its GPU"),
            truth(GPU_SHAPES[device as usize], &window),
        );
        // A meter thread that had to wait for a CPU may be further off than a percent, and must say so itself.
        let reading = metrics
            .sources
            .iter()
            .find(|reading| reading.gpu_uuid.as_deref() == Some(&uuid(device)));
        let stated_j = reading
            .and_then(|reading| reading.uncertainty_j)
            .expect("its uncertainty");
        assert!(
            (gpu_j - expected_j).abs() < (0.01 * expected_j).max(2.0 * stated_j),
            "{gpu_j} ± {stated_j} for {expected_j}"
        );
        assert!(metrics.cpu_energy_j.expect("its share") > 0.0);
    }
    let both = window(second_start, first_end);
    let shares = processes
        .each_ref()
        .map(|process| meter.read(&both, &[], &[process.0.id()]));
    let host_j = shares[0].host_cpu_energy_j.expect("the package");
    let given_j: f64 = shares.iter().map(|share| share.cpu_energy_j.expect("a share")).sum();
    assert!(
        given_j > 0.2 * host_j && given_j <= host_j * (1.0 + 1e-9),
        "{given_j} of {host_j}"
    );
    let together = meter.read(&both, &[], &processes.each_ref().map(|process| process.0.id()));
    assert!((together.cpu_energy_j.expect("known") - given_j).abs() < 1e-6 * host_j);
}
