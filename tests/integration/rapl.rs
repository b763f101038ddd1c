//! RAPL against a powercap tree that moves by itself: what contains what, wraps, resets, and what is not counted twice.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMetrics, SourceReading, Window};
use joulemark_meter::{EnergyOptions, Finding, HostMeter, open};

use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::undisturbed::undisturbed;

fn meter(tree: &FakePowercap) -> HostMeter {
    let nowhere = tree.root().join("nowhere");
    let opened = open(&EnergyOptions {
        rapl_root: tree.root(),
        perf_event: None,
        nvml_library: Some(nowhere.clone()),
        proc_root: nowhere.clone(),
        cgroup_root: nowhere,
        sample_interval: Duration::from_millis(100),
    });
    HostMeter::start(opened).expect("a meter")
}

fn between(start: Monotonic, end: Monotonic) -> Window {
    Window {
        start_monotonic_sec: start.as_sec(),
        end_monotonic_sec: end.as_sec(),
    }
}

fn measure(meter: &HostMeter, length: Duration) -> (Window, EnergyMetrics) {
    let start = meter.edge();
    std::thread::sleep(length);
    let window = between(start, Monotonic::now());
    (window, meter.read_host(&window))
}

fn zone<'a>(metrics: &'a EnergyMetrics, path: &str) -> &'a SourceReading {
    let found = metrics
        .sources
        .iter()
        .find(|reading| reading.zone_path.as_deref() == Some(path));
    found.expect("a reading for each zone")
}

/// The writer's thread may be late by milliseconds on a busy machine: 4 ms at either edge are allowed for.
fn assert_right(reading: &SourceReading, expected_j: f64, peak_w: f64) {
    let energy_j = reading.energy_j.unwrap_or_else(|| panic!("no energy: {reading:?}"));
    let error = (energy_j - expected_j).abs();
    assert!(error <= 0.008 * peak_w, "{energy_j} for {expected_j}: {reading:?}");
}

#[test]
fn packages_and_dram_are_added_up_and_nothing_is_counted_twice() {
    let tree = FakePowercap::start(vec![
        FakeZone::new("intel-rapl:0", "package-0", "square:60:140:0.9"),
        FakeZone::new("intel-rapl:0:0", "core", "constant:50"),
        FakeZone::new("intel-rapl:0:1", "dram", "constant:12"),
        FakeZone::new("intel-rapl:1", "package-1", "sine:90:30:1.1"),
        FakeZone::new("intel-rapl:1:0", "dram", "constant:17"),
        FakeZone::new("intel-rapl:2", "psys", "constant:400"),
        FakeZone::new("intel-rapl-mmio:0", "package-0", "square:60:140:0.9"),
    ]);
    let meter = meter(&tree);
    let (window, metrics) = measure(&meter, Duration::from_millis(1300));
    let truth = |index: usize| tree.zones[index].truth_j(window.start_monotonic_sec, window.end_monotonic_sec);
    for (index, fake) in tree.zones.iter().enumerate().take(6) {
        assert_right(zone(&metrics, fake.path), truth(index), 400.0);
    }
    assert!(
        metrics
            .sources
            .iter()
            .all(|reading| reading.zone_path.as_deref() != Some("intel-rapl-mmio:0"))
    );
    let cpu_j = metrics.host_cpu_energy_j.expect("packages");
    assert!((cpu_j - truth(0) - truth(3)).abs() < 2.0, "{cpu_j}");
    let dram_j = metrics.host_dram_energy_j.expect("both dram zones");
    assert!((dram_j - truth(2) - truth(4)).abs() < 0.5, "{dram_j}");
    let total_j = metrics.total_energy_j.expect("a total");
    assert!(
        (total_j - cpu_j - dram_j).abs() < 1e-6,
        "psys, core and the second view are in it already"
    );
    let counted = metrics.sources.iter().filter(|reading| reading.counted_in_total);
    assert!(
        counted
            .clone()
            .all(|reading| matches!(reading.domain, EnergyDomain::Package | EnergyDomain::Dram))
    );
    assert_eq!(counted.count(), 4);
}

#[test]
fn dies_of_one_package_add_up() {
    let tree = FakePowercap::start(vec![
        FakeZone::new("intel-rapl:0", "package-0-die-0", "constant:70"),
        FakeZone::new("intel-rapl:1", "package-0-die-1", "constant:80"),
    ]);
    let (window, metrics) = measure(&meter(&tree), Duration::from_millis(500));
    let expected_j = 150.0 * window.duration_sec();
    let cpu_j = metrics.host_cpu_energy_j.expect("both dies");
    assert!((cpu_j - expected_j).abs() < 1.2, "{cpu_j} for {expected_j}");
}

/// Puts one register behind both zones; the writer's thread moves the first.
fn one_register(tree: &FakePowercap, shown: &str, again: &str) {
    let counter = |zone: &str| tree.root().join(zone).join("energy_uj");
    std::fs::remove_file(counter(again)).expect("a counter");
    std::fs::hard_link(counter(shown), counter(again)).expect("a link");
}

#[test]
fn one_register_under_two_names_is_counted_once_and_the_finding_says_so() {
    let tree = FakePowercap::start(vec![
        FakeZone::new("intel-rapl:0", "package-0-die-0", "constant:68"),
        FakeZone::new("intel-rapl:1", "package-0-die-1", "constant:55"),
    ]);
    one_register(&tree, "intel-rapl:0", "intel-rapl:1");
    let meter = meter(&tree);
    let (window, metrics) = measure(&meter, Duration::from_millis(600));
    let expected_j = 68.0 * window.duration_sec();
    let cpu_j = metrics.host_cpu_energy_j.expect("one package");
    assert!((cpu_j - expected_j).abs() < 1.2, "{cpu_j} for {expected_j}");
    assert!((metrics.total_energy_j.expect("a total") - cpu_j).abs() < 1e-9);
    let findings = meter.devices().findings;
    let second = findings
        .iter()
        .find(|finding| finding.subject == "package-0-die-1 (intel-rapl:1)")
        .expect("a finding");
    assert!(
        !second.works && second.detail.contains("the same register"),
        "{second:?}"
    );
}

#[test]
fn dies_that_show_one_register_in_files_of_their_own_are_counted_once() {
    let tree = FakePowercap::start(vec![
        FakeZone::new("intel-rapl:0", "package-0-die-0", "constant:68"),
        FakeZone::new("intel-rapl:1", "package-0-die-1", "constant:68"),
    ]);
    let (window, metrics) = measure(&meter(&tree), Duration::from_millis(900));
    let expected_j = 68.0 * window.duration_sec();
    let cpu_j = metrics.host_cpu_energy_j.expect("one package");
    assert!((cpu_j - expected_j).abs() < 1.2, "{cpu_j} for {expected_j}");
}

#[test]
fn dies_with_counters_of_their_own_are_both_counted() {
    let tree = FakePowercap::start(vec![
        FakeZone::new("intel-rapl:0", "package-0-die-0", "constant:68"),
        FakeZone::new("intel-rapl:1", "package-0-die-1", "constant:55"),
    ]);
    let (window, metrics) = measure(&meter(&tree), Duration::from_millis(600));
    let expected_j = 123.0 * window.duration_sec();
    let cpu_j = metrics.host_cpu_energy_j.expect("both dies");
    assert!((cpu_j - expected_j).abs() < 1.2, "{cpu_j} for {expected_j}");
}

#[test]
fn one_register_that_stood_still_at_the_start_is_counted_once_when_it_moves() {
    let tree = FakePowercap::start(Vec::new());
    let root = tree.root();
    let shows = |zone: &str, name: &str, text: &str| std::fs::write(root.join(zone).join(name), text).expect("a file");
    for (zone, name) in [("intel-rapl:0", "package-0-die-0"), ("intel-rapl:1", "package-0-die-1")] {
        std::fs::create_dir(root.join(zone)).expect("a zone");
        shows(zone, "name", name);
        shows(zone, "energy_uj", "0");
    }
    one_register(&tree, "intel-rapl:0", "intel-rapl:1");
    let meter = meter(&tree);
    let undecided = |finding: &Finding| finding.works && finding.detail.contains("not decided yet");
    assert!(meter.devices().findings.iter().any(undecided));
    // It moves on behind the window's end: one that stopped there would be none to measure by.
    let (steps, ends) = (AtomicU32::new(0), AtomicBool::new(false));
    let (metrics, stepped) = std::thread::scope(|scope| {
        let start = meter.edge();
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                let step = steps.fetch_add(1, Ordering::Relaxed) + 1;
                shows("intel-rapl:0", "energy_uj", &format!("{}", step * 1_000_000));
                std::thread::sleep(Duration::from_millis(60));
            }
        });
        std::thread::sleep(Duration::from_millis(1200));
        let (end, stepped) = (Monotonic::now(), steps.load(Ordering::Relaxed));
        let metrics = meter.read_host(&between(start, end));
        ends.store(true, Ordering::Relaxed);
        (metrics, stepped)
    });
    let cpu_j = metrics.host_cpu_energy_j.expect("one package");
    // At each edge a part of one step of 1 J belongs to the other side. Counted twice, it would be twice as much.
    assert!((cpu_j - f64::from(stepped)).abs() < 2.0, "{cpu_j} for {stepped}");
    let said = meter.devices().findings;
    assert!(
        said.iter()
            .any(|finding| finding.detail.contains("the same register") && !finding.works)
    );
}

#[test]
fn a_memory_zone_that_never_moves_is_null_with_the_reason_and_not_in_the_total() {
    let tree = FakePowercap::start(vec![
        FakeZone::new("intel-rapl:0", "package-0", "constant:60"),
        FakeZone::new("intel-rapl:0:0", "dram", "constant:0"),
        FakeZone::new("intel-rapl:0:1", "core", "constant:0"),
    ]);
    let (_, metrics) = measure(&meter(&tree), Duration::from_millis(520));
    for path in ["intel-rapl:0:0", "intel-rapl:0:1"] {
        let reading = zone(&metrics, path);
        assert_eq!(
            (reading.energy_j, reading.counted_in_total),
            (None, false),
            "{reading:?}"
        );
        assert!(reading.note.as_ref().is_some_and(|note| note.contains("stood still")));
    }
    assert_eq!(metrics.host_dram_energy_j, None);
    assert_eq!(metrics.total_energy_j, metrics.host_cpu_energy_j);
}

#[test]
fn no_wrap_is_lost_of_a_range_that_wraps_every_eight_tenths_of_a_second() {
    let wrapping = |path, name, limit_w| FakeZone {
        range_j: Some(160.0),
        limit_w,
        ..FakeZone::new(path, name, "square:150:250:0.5")
    };
    let tree = FakePowercap::start(vec![
        wrapping("intel-rapl:0", "package-0", Some(270.0)),
        wrapping("intel-rapl:1", "psys", None),
    ]);
    let meter = meter(&tree);
    let (window, metrics) = measure(&meter, Duration::from_millis(4300));
    for fake in tree.zones.iter() {
        let expected_j = fake.truth_j(window.start_monotonic_sec, window.end_monotonic_sec);
        assert_right(zone(&metrics, fake.path), expected_j, 250.0);
    }
}

#[test]
fn a_window_that_closes_just_after_a_wrap_has_the_whole_range() {
    let range_j = 100.0;
    let fake = FakeZone {
        range_j: Some(range_j),
        limit_w: Some(150.0),
        ..FakeZone::new("intel-rapl:0", "package-0", "constant:100")
    };
    let tree = FakePowercap::start(vec![fake]);
    let meter = meter(&tree);
    for after_ms in [1, 5, 30] {
        let start = meter.edge();
        let wraps_at_sec = (start.as_sec() + 0.2).ceil();
        let end_sec = wraps_at_sec + f64::from(after_ms) * 1e-3;
        std::thread::sleep(Duration::from_secs_f64(end_sec - Monotonic::now().as_sec()));
        let window = between(start, Monotonic::now());
        let metrics = meter.read_host(&window);
        assert_right(zone(&metrics, "intel-rapl:0"), 100.0 * window.duration_sec(), 100.0);
    }
}

#[test]
fn a_counter_reset_in_the_window_voids_it_and_the_next_window_is_right_again() {
    let reset_at_sec = Some(Monotonic::now().as_sec() + 0.4);
    let tree = FakePowercap::start(vec![
        FakeZone {
            reset_at_sec,
            ..FakeZone::new("intel-rapl:0", "package-0", "constant:100")
        },
        FakeZone::new("intel-rapl:1", "package-1", "constant:90"),
    ]);
    let meter = meter(&tree);
    let (_, metrics) = measure(&meter, Duration::from_millis(800));
    let reading = zone(&metrics, "intel-rapl:0");
    assert_eq!(reading.energy_j, None, "{reading:?}");
    assert!(reading.note.as_ref().expect("a note").contains("reset"));
    assert_eq!(metrics.host_cpu_energy_j, None, "one package of two is not the host");
    let (window, metrics) = measure(&meter, Duration::from_millis(300));
    assert_right(zone(&metrics, "intel-rapl:0"), 100.0 * window.duration_sec(), 100.0);
}

#[test]
fn a_window_that_begins_with_the_meter_loses_nothing_to_its_start() {
    let tree = FakePowercap::start(vec![FakeZone::new("intel-rapl:0", "package-0", "constant:100")]);
    let meter = meter(&tree);
    let start = Monotonic::now();
    std::thread::sleep(Duration::from_millis(300));
    let window = between(start, Monotonic::now());
    let metrics = meter.read_host(&window);
    assert_right(zone(&metrics, "intel-rapl:0"), 100.0 * window.duration_sec(), 100.0);
}

#[test]
fn the_millisecond_s_tick_is_found_and_told() {
    // On a busy host the thread that moves the counter wakes late, and the counter truly ticks every few milliseconds: that
    // is not told from a meter that finds the wrong tick.
    undisturbed(|| {
        let tree = FakePowercap::start(vec![FakeZone::new("intel-rapl:0", "package-0", "square:100:200:0.5")]);
        let meter = meter(&tree);
        for _ in 0..5 {
            meter.edge();
        }
        let (_, metrics) = measure(&meter, Duration::from_millis(600));
        let refresh_ms = zone(&metrics, "intel-rapl:0").refresh_ms.expect("a refresh");
        assert!((0.9..2.5).contains(&refresh_ms), "{refresh_ms}");
    });
}
