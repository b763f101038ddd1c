//! Readings that are no measurements: leaps, power beyond any limit, zeros of what cannot draw nothing. They are null with
//! the reason, and so is what would need them; windows before and after are right.

use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{Confidence, EnergyMetrics, SourceReading, Window};
use joulemark_meter::{EnergyOptions, HostMeter, open};

use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::mock_nvml::MockNvml;

const PACKAGE: &str = "intel-rapl:0";

struct Host {
    tree: Option<FakePowercap>,
    _mock: Option<MockNvml>,
    meter: HostMeter,
}

impl Host {
    fn start(tree: Option<FakePowercap>, mock: Option<MockNvml>) -> Self {
        let nowhere = std::path::PathBuf::from("/nowhere/at/all");
        let meter = HostMeter::start(open(&EnergyOptions {
            rapl_root: tree.as_ref().map_or(nowhere.clone(), FakePowercap::root),
            perf_event: None,
            nvml_library: Some(mock.as_ref().map_or(nowhere.clone(), MockNvml::library)),
            proc_root: nowhere.clone(),
            cgroup_root: nowhere,
            sample_interval: Duration::from_millis(100),
            ..EnergyOptions::default()
        }));
        let meter = meter.expect("a meter");
        Self {
            tree,
            _mock: mock,
            meter,
        }
    }

    fn zones(zones: Vec<FakeZone>) -> Self {
        Self::start(Some(FakePowercap::start(zones)), None)
    }

    fn boards(switches: &str) -> Self {
        Self::start(None, Some(MockNvml::new(switches)))
    }

    fn measure(&self, millis: u64) -> (Window, EnergyMetrics) {
        let fast_polling = self.meter.poll_faster();
        let start = self.meter.edge();
        std::thread::sleep(Duration::from_millis(millis));
        let window = Window {
            start_monotonic_sec: start.as_sec(),
            end_monotonic_sec: Monotonic::now().as_sec(),
        };
        let metrics = self.meter.read_host(&window);
        drop(fast_polling);
        (window, metrics)
    }

    fn assert_right(&self, watts: f64) {
        let (window, metrics) = self.measure(600);
        let expected_j = watts * window.duration_sec();
        let total_j = metrics
            .total_energy_j
            .unwrap_or_else(|| panic!("no total: {metrics:?}"));
        assert!(
            (total_j - expected_j).abs() < 0.03 * expected_j,
            "{total_j} for {expected_j}: {metrics:?}"
        );
    }

    fn finding(&self, subject: &str) -> joulemark_meter::Finding {
        let findings = self.meter.devices().findings;
        let found = findings.iter().find(|finding| finding.subject.contains(subject));
        found.unwrap_or_else(|| panic!("{subject} in {findings:?}")).clone()
    }
}

fn zone<'a>(metrics: &'a EnergyMetrics, path: &str) -> &'a SourceReading {
    let is_it = |reading: &&SourceReading| reading.zone_path.as_deref() == Some(path);
    metrics.sources.iter().find(is_it).expect("a reading for each zone")
}

fn package(shape: &str) -> FakeZone {
    FakeZone::new(PACKAGE, "package-0", shape)
}

fn soon(sec: f64) -> f64 {
    // The mock is compiled before the time runs.
    drop(MockNvml::new(""));
    Monotonic::now().as_sec() + sec
}

fn assert_null(reading: &SourceReading, reason: &str) {
    assert_eq!(
        (
            reading.energy_j,
            reading.mean_power_w,
            reading.uncertainty_j,
            reading.counted_in_total
        ),
        (None, None, None, false),
        "{reading:?}"
    );
    assert_eq!(reading.confidence, Confidence::Low);
    let note = reading.note.as_deref().unwrap_or_default();
    assert!(note.contains(reason), "{reason} in {note}");
}

#[test]
fn a_leap_of_a_package_s_counter_voids_its_window_and_no_other() {
    for by_j in [148_000.0, 700.0, 3e9] {
        let host = Host::zones(vec![FakeZone {
            range_j: None,
            leap: Some((soon(1.5), by_j)),
            ..package("constant:68")
        }]);
        host.assert_right(68.0);
        let (_, metrics) = host.measure(1200);
        assert_null(&metrics.sources[0], "the growth is implausible");
        assert_eq!((metrics.host_cpu_energy_j, metrics.total_energy_j), (None, None));
        host.assert_right(68.0);
    }
}

#[test]
fn a_leap_beyond_a_zone_s_own_limit_voids_the_window() {
    let host = Host::zones(vec![FakeZone {
        limit_w: Some(15.0),
        leap: Some((soon(1.0), 60.0)),
        ..package("constant:12")
    }]);
    let (_, metrics) = host.measure(1500);
    assert_null(&metrics.sources[0], "its own limit is 15 W");
    host.assert_right(12.0);
}

#[test]
fn power_far_above_a_zone_s_own_limit_is_null_and_somewhat_above_it_low() {
    for watts in [4500, 120] {
        let host = Host::zones(vec![FakeZone {
            limit_w: Some(15.0),
            ..package(&format!("constant:{watts}"))
        }]);
        let (_, metrics) = host.measure(1000);
        assert_null(&metrics.sources[0], "its own limit is 15 W");
        assert_eq!(metrics.total_energy_j, None);
    }
    let host = Host::zones(vec![FakeZone {
        limit_w: Some(15.0),
        ..package("constant:44")
    }]);
    let (_, metrics) = host.measure(600);
    assert_eq!(metrics.sources[0].confidence, Confidence::Low);
    let note = metrics.sources[0].note.as_deref().unwrap_or_default();
    assert!(note.contains("its own limit is 15 W"), "{note}");
}

#[test]
fn a_limit_of_0_is_none() {
    let host = Host::zones(vec![FakeZone {
        limit_w: Some(0.0),
        ..package("constant:300")
    }]);
    host.assert_right(300.0);
}

#[test]
fn a_package_whose_counter_stops_under_load_is_null_from_then_on() {
    let host = Host::zones(vec![FakeZone {
        stops_at_sec: Some(soon(1.5)),
        ..package("constant:75")
    }]);
    host.assert_right(75.0);
    for millis in [1600, 500, 200] {
        let (_, metrics) = host.measure(millis);
        assert_null(&metrics.sources[0], "stood still");
        assert_eq!(metrics.total_energy_j, None);
    }
    let finding = host.finding("package-0");
    assert!(finding.detail.contains("stands still"), "{finding:?}");
    assert_eq!(host.meter.devices().cpu.live_power_w, None);
}

#[test]
fn zones_that_never_move_are_null_within_half_a_second_and_idle_ones_are_not() {
    let host = Host::zones(vec![
        package("constant:3"),
        FakeZone::new("intel-rapl:0:0", "core", "constant:0"),
        FakeZone::new("intel-rapl:0:1", "uncore", "constant:0"),
        FakeZone::new("intel-rapl:0:2", "dram", "constant:0"),
        FakeZone::new("intel-rapl:1", "package-1", "constant:0.4"),
        FakeZone::new("intel-rapl:1:0", "dram", "constant:0.05"),
        FakeZone::new("intel-rapl:1:1", "uncore", "burst:0:2:50000:1"),
    ]);
    let (_, metrics) = host.measure(500);
    for path in ["intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:0:2"] {
        assert_null(zone(&metrics, path), "stood still");
    }
    for path in [PACKAGE, "intel-rapl:1", "intel-rapl:1:0"] {
        assert!(zone(&metrics, path).energy_j.is_some(), "{:?}", zone(&metrics, path));
    }
    assert_eq!(metrics.host_dram_energy_j, None, "one of two is not the whole");
    assert!(metrics.host_cpu_energy_j.is_some());
    let says_so = |subject| host.finding(subject).detail.contains("stands still");
    assert!(says_so("dram (intel-rapl:0:2)") && !says_so("dram (intel-rapl:1:0)"));
    assert!(host.tree.is_some());
}

#[test]
fn a_board_that_answers_0_w_with_success_is_null_and_so_is_the_total() {
    for switches in [
        "no_counter=1\npower_scale=0",
        "no_counter=1\nno_instant=1\npower_scale=0",
        "devices=2\nno_counter=1\npower_scale=1,0",
    ] {
        let host = Host::boards(&format!("{switches}\nshape=constant:200"));
        let (_, metrics) = host.measure(500);
        assert_null(metrics.sources.last().expect("a board"), "0 W");
        assert_eq!((metrics.gpu_energy_j, metrics.total_energy_j), (None, None));
        let devices = host.meter.devices();
        let gpu = devices.gpus.last().expect("a board");
        assert!(
            gpu.problem.as_ref().is_some_and(|problem| problem.contains("0 W")),
            "{gpu:?}"
        );
        assert_eq!(gpu.live_power_w, None);
        let finding = host.finding(&gpu.uuid);
        assert!(!finding.works && finding.detail.contains("0 W"), "{finding:?}");
    }
}

#[test]
fn a_board_whose_power_turns_to_0_w_is_null_from_then_on() {
    let host = Host::boards(&format!(
        "no_counter=1\nshape=constant:250\nspike_at_sec={}\nspike_w=0\nspike_sec=1e9",
        soon(1.2)
    ));
    host.assert_right(250.0);
    let (_, metrics) = host.measure(800);
    assert_null(&metrics.sources[0], "0 W");
}

#[test]
fn a_board_s_counter_that_stands_still_while_power_says_otherwise_is_null() {
    let host = Host::boards(&format!(
        "refresh_ms=100\nshape=constant:300\nstops_at_sec={}",
        soon(-5.0)
    ));
    let (_, metrics) = host.measure(500);
    assert_null(&metrics.sources[0], "stood still");
    let host = Host::boards(&format!(
        "refresh_ms=100\nshape=constant:300\nstops_at_sec={}",
        soon(1.0)
    ));
    let (_, metrics) = host.measure(2000);
    assert_null(&metrics.sources[0], "stood still");
    assert_eq!(metrics.total_energy_j, None);
}

#[test]
fn a_leap_of_a_board_s_counter_voids_its_window_and_no_other() {
    for (limits, by_j) in [
        ("max_limit=700", 429_000.0),
        ("max_limit=700", 900.0),
        ("power_limit=none", 5_000.0),
    ] {
        let host = Host::boards(&format!(
            "{limits}\nrefresh_ms=20\nshape=constant:300\nleap_j={by_j}\nleap_at_sec={}",
            soon(1.8)
        ));
        host.assert_right(300.0);
        let (_, metrics) = host.measure(1500);
        assert_null(&metrics.sources[0], "the growth is implausible");
        assert_eq!((metrics.gpu_energy_j, metrics.total_energy_j), (None, None));
        host.assert_right(300.0);
    }
}

#[test]
fn impossible_power_samples_are_left_out_and_said_so() {
    for (limits, spike_w, spike_sec) in [
        ("max_limit=700", 4_294_967.295, 0.1),
        ("max_limit=700", 1_900.0, 0.1),
        ("max_limit=0\npower_limit=700", 65_535.0, 0.02),
        ("max_limit=0\npower_limit=none", 4_294_967.295, 0.1),
        ("max_limit=700\nno_instant=1\naverage_ms=1000", 4_294_967.295, 0.1),
    ] {
        let host = Host::boards(&format!(
            "{limits}\nno_counter=1\nshape=constant:420\nspike_w={spike_w}\nspike_sec={spike_sec}\nspike_at_sec={}",
            soon(2.2)
        ));
        std::thread::sleep(Duration::from_millis(1000));
        let (window, metrics) = host.measure(2000);
        let reading = &metrics.sources[0];
        let said = format!("{limits}, {spike_w} W: {reading:?}");
        let note = reading.note.as_deref().unwrap_or_default();
        assert!(
            note.contains("left out") && note.contains(&format!("{spike_w:.0} W")),
            "{said}"
        );
        let expected_j = 420.0 * window.duration_sec();
        let error_j = (reading.energy_j.expect("a line across it") - expected_j).abs();
        assert!(error_j < 0.02 * expected_j, "{said}");
        assert!(error_j <= reading.uncertainty_j.expect("known"), "{said}");
        assert!(reading.uncertainty_basis.contains("left out"), "{said}");
        std::thread::sleep(Duration::from_millis(1200));
        let (_, after) = host.measure(600);
        assert!(
            !after.sources[0]
                .note
                .as_ref()
                .is_some_and(|note| note.contains("left out"))
        );
    }
}

#[test]
fn parts_that_exceed_their_whole_take_the_confidence_of_both_down() {
    let cases = [
        (
            vec![
                package("constant:20"),
                FakeZone::new("intel-rapl:0:0", "core", "constant:30"),
            ],
            "its cores",
        ),
        (
            vec![
                package("constant:50"),
                FakeZone::new("intel-rapl:0:0", "core", "constant:40"),
                FakeZone::new("intel-rapl:0:1", "uncore", "constant:25"),
            ],
            "its cores",
        ),
        (
            vec![
                package("constant:60"),
                FakeZone::new("intel-rapl:1", "package-1", "constant:50"),
                FakeZone::new("intel-rapl:2", "psys", "constant:80"),
            ],
            "the packages",
        ),
    ];
    for (zones, named) in cases {
        let host = Host::zones(zones);
        let (_, metrics) = host.measure(500);
        for reading in &metrics.sources {
            assert_eq!(reading.confidence, Confidence::Low, "{reading:?}");
            let note = reading.note.as_deref().unwrap_or_default();
            assert!(note.contains(named) && note.contains('%'), "{note}");
        }
    }
}

#[test]
fn parts_that_fit_into_their_whole_are_left_alone() {
    let host = Host::zones(vec![
        package("square:40:90:0.4"),
        FakeZone::new("intel-rapl:0:0", "core", "square:30:75:0.4"),
        FakeZone::new("intel-rapl:0:1", "uncore", "constant:5"),
        FakeZone::new("intel-rapl:1", "psys", "square:45:100:0.4"),
    ]);
    for millis in [100, 300, 1000] {
        let (_, metrics) = host.measure(millis);
        assert!(
            metrics.sources.iter().all(|reading| reading.note.is_none()),
            "{metrics:?}"
        );
    }
}

#[test]
fn a_board_s_counter_that_its_power_contradicts_is_low_in_windows_of_any_length() {
    for switches in [
        "power_scale=1.754",
        "power_scale=0.57\nrefresh_ms=100",
        "power_scale=1.754\nno_instant=1\naverage_ms=1000\nrefresh_ms=50",
    ] {
        let host = Host::boards(&format!("{switches}\nshape=constant:300"));
        std::thread::sleep(Duration::from_millis(1400));
        for millis in [700, 1500] {
            let (_, metrics) = host.measure(millis);
            let reading = &metrics.sources[0];
            assert_eq!(
                reading.confidence,
                Confidence::Low,
                "{switches}, {millis} ms: {reading:?}"
            );
            let note = reading.note.as_deref().unwrap_or_default();
            assert!(
                note.contains("polled power") && note.contains('%'),
                "{switches}, {millis} ms: {note}"
            );
        }
    }
}
