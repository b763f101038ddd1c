//! GPUs that go away and come back beneath a meter that is not started again: a reloaded driver, a board that was lost.

use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyMetrics, SourceReading, Window};
use joulemark_meter::{EnergyOptions, HostMeter, open};

use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::nvml::{MockNvml, measure, truth, uuid};

const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);
const SHAPES: [&str; 2] = ["constant:200", "sine:150:60:0.9"];
const PACKAGE: &str = "square:60:120:1.1";

/// A meter of these GPUs and of one package beside them.
fn meter(mock: &MockNvml, tree: &FakePowercap) -> HostMeter {
    let opened = open(&EnergyOptions {
        rapl_root: tree.root(),
        perf_event: None,
        nvml_library: Some(mock.library()),
        sample_interval: SAMPLE_INTERVAL,
        ..EnergyOptions::default()
    });
    HostMeter::start(opened).expect("a meter")
}

fn mock(switches: &str) -> MockNvml {
    MockNvml::new(&format!("devices=2\nshape={}\n{switches}", SHAPES.join(",")))
}

fn host() -> FakePowercap {
    FakePowercap::start(vec![FakeZone::new("intel-rapl:0", "package-0", PACKAGE)])
}

fn of(metrics: &EnergyMetrics, device: u32) -> &SourceReading {
    let found = metrics
        .sources
        .iter()
        .find(|r| r.gpu_uuid.as_deref() == Some(&uuid(device)));
    found.expect("a reading for each device")
}

fn assert_true(metrics: &EnergyMetrics, device: u32, window: &Window) {
    let reading = of(metrics, device);
    let energy_j = reading.energy_j.unwrap_or_else(|| panic!("no energy: {reading:?}"));
    let expected_j = truth(SHAPES[device as usize], window);
    assert!(
        (energy_j - expected_j).abs() < 0.01 * expected_j,
        "{energy_j} for {expected_j}"
    );
}

fn assert_void(metrics: &EnergyMetrics, device: u32, why: &str) {
    let reading = of(metrics, device);
    let note = reading.note.as_deref().unwrap_or_default();
    assert!(reading.energy_j.is_none() && note.contains(why), "{reading:?}");
}

/// Measures short windows until the device has an energy again.
fn until_back(meter: &HostMeter, device: u32) {
    let start = Monotonic::now();
    while measure(meter, Duration::from_millis(50), &[uuid(device)])
        .1
        .gpu_energy_j
        .is_none()
    {
        assert!(Monotonic::now().sec_since(start) < 20.0, "it never came back");
    }
}

#[test]
fn after_a_driver_reload_the_gpus_are_read_again_without_a_restart() {
    MockNvml::new("");
    let gone_at = Monotonic::now().as_sec() + 0.6;
    // Numbered from the other end afterwards: only the UUID says which is which.
    let mock = mock(&format!("reload_at_sec={gone_at}\nreload_sec=0.9\nreload_reverses=1"));
    let tree = host();
    let meter = meter(&mock, &tree);
    let all = [uuid(0), uuid(1)];
    let (across, metrics) = measure(&meter, Duration::from_millis(1300), &all);
    for device in [0, 1] {
        assert_void(&metrics, device, "driver was unloaded or reloaded");
    }
    assert_eq!((metrics.gpu_energy_j, metrics.total_energy_j), (None, None));
    let (package_j, expected_j) = (
        metrics.host_cpu_energy_j.expect("the package is read all the while"),
        tree.zones[0].truth_j(across.start_monotonic_sec, across.end_monotonic_sec),
    );
    assert!(
        (package_j - expected_j).abs() < 0.02 * expected_j,
        "{package_j} for {expected_j}"
    );
    assert!(meter.devices().gpus.iter().all(|gpu| gpu.live_power_w.is_none()));
    until_back(&meter, 0);
    let (window, metrics) = measure(&meter, Duration::from_millis(500), &all);
    for device in [0, 1] {
        assert_true(&metrics, device, &window);
        assert!(meter.gpu_absence(&uuid(device), &across).is_some(), "it was away");
    }
    let longer = Window {
        end_monotonic_sec: window.end_monotonic_sec,
        ..across
    };
    assert_void(&meter.read(&longer, &all, &[]), 1, "driver was unloaded or reloaded");
    assert!(meter.devices().gpus.iter().all(|gpu| gpu.live_power_w.is_some()));
    assert!(meter.gpu_state(&uuid(0)).expect("its state").lost.is_none());
}

#[test]
fn a_board_that_was_lost_and_is_back_is_read_again_and_the_other_never_stops() {
    MockNvml::new("");
    let now = Monotonic::now().as_sec();
    let mock = mock(&format!("lost=0\nlost_at_sec={}\nback_at_sec={}", now + 0.6, now + 1.2));
    let tree = host();
    let meter = meter(&mock, &tree);
    let all = [uuid(0), uuid(1)];
    let (across, metrics) = measure(&meter, Duration::from_millis(1000), &all);
    assert_void(&metrics, 0, "fell off the bus");
    assert_true(&metrics, 1, &across);
    until_back(&meter, 0);
    let (window, metrics) = measure(&meter, Duration::from_millis(500), &all);
    assert_true(&metrics, 0, &window);
    let longer = Window {
        end_monotonic_sec: window.end_monotonic_sec,
        ..across
    };
    let metrics = meter.read(&longer, &all, &[]);
    assert_void(&metrics, 0, "fell off the bus");
    assert_true(&metrics, 1, &longer);
}
