//! Measures tokens per second of the real model while the meter samples 8 GPUs and 2 packages, and without a meter: the
//! cost of metering. One model stays loaded, and the cases alternate every second or so in changing order, so that a
//! machine that slows down slows all. Inference and meter share all CPUs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use joulemark_meter::{EnergyOptions, HostMeter, open};

use super::direct::Direct;
use super::{MODEL, OUTPUT_TOKENS};
use joulemark_testkit::mock_nvml::{MockNvml, uuid};

const ROUNDS: usize = 40;
const CASES: [(&str, Option<Duration>); 3] = [
    ("no meter", None),
    ("100 ms", Some(Duration::from_millis(100))),
    ("10 ms", Some(Duration::from_millis(10))),
];
/// The quantile 0.975 of the standard normal distribution.
const WIDTH_OF_95_PERCENT: f64 = 1.96;

pub async fn compare(threads: usize) {
    let mock = MockNvml::new("devices=8\nrefresh_ms=20\nshape=sine:250:100:3");
    let tree = still_powercap();
    let model = Direct::in_float32(MODEL).await;
    let prompts = joulemark_worker::inference::prompts::load("short-32", Some(1)).expect("the set is built in");
    model.tokens_per_second(&prompts, OUTPUT_TOKENS).await;
    let mut speeds = [const { Vec::new() }; CASES.len()];
    for round in 0..ROUNDS {
        for turn in 0..CASES.len() {
            let case = (turn + round) % CASES.len();
            let meter = CASES[case].1.map(|interval| meter(interval, &mock, tree.path()));
            let start = Monotonic::now();
            let tokens = model.pass(&prompts, OUTPUT_TOKENS).await;
            speeds[case].push(tokens as f64 / Monotonic::now().sec_since(start));
            drop(meter);
        }
    }
    println!("{MODEL}, {threads} threads, {OUTPUT_TOKENS} output tokens, {ROUNDS} rounds, 8 mock GPUs and 2 packages");
    for (case, of_case) in CASES.iter().zip(&speeds) {
        let (ratio, half_width) = ratio(of_case, &speeds[0]);
        println!(
            "{:>8}  {:>6.2} output tokens/s (median)  ratio to no meter {ratio:.4} ± {half_width:.4} (95 %; to reach: 0.99)",
            case.0,
            median(of_case)
        );
    }
}

fn meter(sample_interval: Duration, mock: &MockNvml, rapl_root: &Path) -> HostMeter {
    let opened = open(&EnergyOptions {
        rapl_root: rapl_root.to_owned(),
        perf_event: None,
        nvml_library: Some(mock.library()),
        sample_interval,
        ..EnergyOptions::default()
    });
    let last = opened.devices.gpus.last().map(|gpu| gpu.uuid.clone());
    assert_eq!(last, Some(uuid(7)), "the mock's eight GPUs are what is read");
    let meter = HostMeter::start(opened).expect("a meter");
    meter.track(std::process::id()).expect("our own CPU time");
    meter
}

/// Creates two packages with DRAM whose counters stand still: reading them costs the same, while advancing them would
/// use CPU time.
fn still_powercap() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a temporary folder");
    for (zone, name) in [
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "dram"),
        ("intel-rapl:1", "package-1"),
        ("intel-rapl:1:0", "dram"),
    ] {
        let folder = root.path().join(zone);
        fs::create_dir_all(&folder).expect("a zone");
        for (file, text) in [
            ("name", name),
            ("energy_uj", "123456789"),
            ("max_energy_range_uj", "262143328850"),
        ] {
            fs::write(folder.join(file), text).expect("a file of the zone");
        }
    }
    root
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    (sorted[half] + sorted[(sorted.len() - 1) / 2]) / 2.0
}

/// Returns the geometric mean of the rounds' ratios without their outer quarters, in which something else used the CPU,
/// and the half-width of its 95 % interval (Yuen's standard error of a trimmed mean, 1974).
fn ratio(ours: &[f64], without: &[f64]) -> (f64, f64) {
    let mut logs: Vec<f64> = ours
        .iter()
        .zip(without)
        .map(|(our, their)| (our / their).ln())
        .collect();
    logs.sort_by(f64::total_cmp);
    let (count, cut) = (logs.len(), logs.len() / 4);
    let kept = &logs[cut..count - cut];
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let centre = mean(kept);
    let drawn_in: Vec<f64> = logs
        .iter()
        .map(|log| log.clamp(kept[0], kept[kept.len() - 1]))
        .collect();
    let middle = mean(&drawn_in);
    let squares: f64 = drawn_in.iter().map(|log| (log - middle).powi(2)).sum();
    let error = (squares / (kept.len() * (kept.len() - 1)) as f64).sqrt();
    (centre.exp(), WIDTH_OF_95_PERCENT * error * centre.exp())
}
