//! What disturbed an experiment comes out as typed warnings of its result, through the real server on the mock NVML.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::mock_nvml::{MockNvml, uuid};
use crate::server::Server;
use crate::timeseries::{metering, server_with};

const OF_GPUS: [&str; 5] = [
    "foreign_gpu_process",
    "throttled",
    "temperature_drift",
    "persistence_mode_off",
    "gpu_limited",
];

async fn warnings(server: &Server, gpus: &[u32]) -> Vec<(String, String)> {
    let id = server.accepted(&metering(gpus, 2000, 2)).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let warnings = results["validation"]["warnings"].as_array().expect("warnings");
    let all = warnings
        .iter()
        .map(|warning| (text(&warning["code"]), text(&warning["message"])));
    all.filter(|(code, _)| OF_GPUS.contains(&code.as_str())).collect()
}

#[tokio::test]
async fn each_disturbance_of_a_gpu_is_one_warning_and_a_calm_gpu_has_none() {
    let mock = MockNvml::new(
        "devices=2\nclock_events=0x41,0x1\ntemperature=40:20,50\npids=4242,\npersistence=0,1\nmig=1,0\npower_limit=refused,400",
    );
    let server = server_with(&mock);
    let warnings = warnings(&server, &[0, 1]).await;
    let codes: Vec<_> = warnings.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, OF_GPUS, "{warnings:#?}");
    for (code, message) in &warnings {
        assert!(message.starts_with(&format!("GPU 0 ({})", uuid(0))), "{message}");
        let expected = match code.as_str() {
            "foreign_gpu_process" => "1 compute process of others (pid 4242)",
            "throttled" => "clocks were lowered (hw_thermal_slowdown) for 100 % of the window in cycle 0",
            "temperature_drift" => "°C in cycle",
            "persistence_mode_off" => "persistence mode was off",
            _ => {
                "MIG is enabled: readings are of the whole board, other slices included; this user may not read its power limit"
            }
        };
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn a_board_that_is_lost_while_it_is_measured_is_named() {
    // The compiler must not use up the seconds in which the board is still there.
    MockNvml::new("");
    let lost_at = joulemark_measurement::clock::Monotonic::now().as_sec() + 3.0;
    let mock = MockNvml::new(&format!("devices=1\nlost=0\nlost_at_sec={lost_at}"));
    let server = server_with(&mock);
    let warnings = warnings(&server, &[0]).await;
    let limited = warnings
        .iter()
        .find(|(code, _)| code == "gpu_limited")
        .expect("a warning of the board");
    assert!(limited.1.contains("it was lost by cycle"), "{}", limited.1);
}

#[tokio::test]
async fn a_board_that_tells_nothing_but_its_energy_is_not_suspected() {
    let nothing = [
        "utilisation",
        "sm_clock",
        "memory_clock",
        "clock_events",
        "power_limit",
        "temperature",
    ];
    let more = ["persistence", "mig", "pids"];
    let switches = nothing
        .iter()
        .chain(&more)
        .map(|switch| format!("{switch}=none\n"))
        .collect::<String>();
    let mock = MockNvml::new(&format!("devices=1\n{switches}"));
    let server = server_with(&mock);
    assert_eq!(warnings(&server, &[0]).await, []);
}

/// Keeps one CPU busy until it is dropped.
struct Neighbour(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Neighbour {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let its_stop = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !its_stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        Self(stop, Some(thread))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().map(JoinHandle::join);
    }
}

#[tokio::test]
async fn another_s_load_on_the_cpus_is_told() {
    let mock = MockNvml::new("devices=1");
    let server = server_with(&mock);
    let neighbour = Neighbour::start();
    let id = server.accepted(&metering(&[0], 1000, 1)).await;
    server.until_state(&id, "completed").await;
    drop(neighbour);
    let results = server.results(&id).await;
    let warnings = results["validation"]["warnings"].as_array().expect("warnings");
    let foreign = warnings
        .iter()
        .find(|warning| warning["code"] == "foreign_cpu_load")
        .expect("a warning of the CPUs");
    assert!(
        foreign["message"].as_str().unwrap().contains("do not cite, run again"),
        "{foreign}"
    );
}
