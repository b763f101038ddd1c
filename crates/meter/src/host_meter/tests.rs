use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::cpu_time::HostCpuClock;
use crate::source::{CpuDevice, EnergySource, PollError, SourceDescription, SourceId, Value};
use joulemark_measurement::{EnergyMethod, EnergySourceKind};

/// A package that draws 100 W exactly, or fails as its behaviour says.
struct Package {
    descriptions: [SourceDescription; 1],
    behaviour: Behaviour,
    calls: Arc<AtomicU32>,
}

#[derive(Clone, Copy)]
enum Behaviour {
    Steady,
    Panics,
    /// Fails for this number of readings after the first.
    Refuses(u32),
}

impl Package {
    fn boxed(name: &str, behaviour: Behaviour) -> (Box<dyn EnergySource>, Arc<AtomicU32>) {
        let calls = Arc::new(AtomicU32::new(0));
        let id = SourceId {
            kind: EnergySourceKind::RaplPowercap,
            domain: EnergyDomain::Package,
            place: Place::Zone {
                name: name.to_owned(),
                path: name.to_owned(),
            },
        };
        let description = SourceDescription {
            id,
            method: EnergyMethod::EnergyCounter,
            refresh_sec: 0.0,
            averaging_sec: 0.0,
            relative_uncertainty: 0.0,
            wraps: None,
            note: None,
        };
        (
            Box::new(Self {
                descriptions: [description],
                behaviour,
                calls: Arc::clone(&calls),
            }),
            calls,
        )
    }
}

impl EnergySource for Package {
    fn sources(&self) -> &[SourceDescription] {
        &self.descriptions
    }

    fn sample(&mut self) -> Vec<Result<Value, PollError>> {
        let before = self.calls.fetch_add(1, Ordering::Relaxed);
        let at = Monotonic::now();
        match self.behaviour {
            // The kernel's answer to a reader whose permission was revoked.
            Behaviour::Refuses(times) if (1..=times).contains(&before) => {
                let refused = std::io::Error::from_raw_os_error(libc::EACCES);
                vec![Err(PollError::Retry(refused.to_string()))]
            }
            Behaviour::Steady | Behaviour::Refuses(_) => vec![Ok(Value {
                at,
                counter_j: Some(at.as_sec() * 100.0),
                power_w: None,
            })],
            Behaviour::Panics => panic!("a source that panics, as this test wants"),
        }
    }
}

fn opened(sources: Vec<Box<dyn EnergySource>>) -> FoundSources {
    let cpu = CpuDevice {
        model: None,
        logical_cpus: 2,
        energy_source: Some(EnergySourceKind::RaplPowercap),
        rapl_problem: None,
        cpu_time_source: None,
        live_power_w: None,
    };
    FoundSources {
        sources,
        devices: Devices {
            gpus: Vec::new(),
            cpu,
            findings: Vec::new(),
        },
        host_cpu_clock: HostCpuClock::open(Path::new("/proc"), Path::new("/sys/fs/cgroup")).ok(),
        sample_interval: Duration::from_millis(20),
    }
}

fn between(start: Monotonic, end: Monotonic) -> Window {
    Window {
        start_monotonic_sec: start.as_sec(),
        end_monotonic_sec: end.as_sec(),
    }
}

#[test]
fn a_window_between_two_edges_is_measured_to_the_millijoule() {
    let (source, _) = Package::boxed("package-0", Behaviour::Steady);
    let meter = HostMeter::start(opened(vec![source])).expect("a meter");
    let start = meter.edge();
    std::thread::sleep(Duration::from_millis(130));
    let end = meter.edge();
    let window = between(start, end);
    let metrics = meter.read_host(&window);
    let energy = metrics.cpu_energy_j.expect("energy");
    assert!((energy - 100.0 * window.duration_sec()).abs() < 1e-3, "{energy}");
    assert!(metrics.sources[0].sample_count >= 3);
}

#[test]
fn a_source_that_panics_costs_only_its_own_readings() {
    let (steady, _) = Package::boxed("package-0", Behaviour::Steady);
    let (broken, calls) = Package::boxed("package-1", Behaviour::Panics);
    let meter = HostMeter::start(opened(vec![broken, steady])).expect("a meter");
    let start = meter.edge();
    std::thread::sleep(Duration::from_millis(100));
    let metrics = meter.read_host(&between(start, meter.edge()));
    assert!(metrics.sources[1].energy_j.is_some());
    assert_eq!(metrics.sources[0].energy_j, None);
    assert!(
        metrics.sources[0]
            .note
            .as_ref()
            .is_some_and(|note| note.contains("panicked"))
    );
    assert_eq!(metrics.host_cpu_energy_j, None, "half of the packages are not the host");
    assert_eq!(calls.load(Ordering::Relaxed), 3, "it is given up after three panics");
}

#[test]
fn a_process_gets_its_share_and_an_idle_one_next_to_nothing() {
    let (source, _) = Package::boxed("package-0", Behaviour::Steady);
    let meter = HostMeter::start(opened(vec![source])).expect("a meter");
    let mut busy = std::process::Command::new("sh")
        .args(["-c", "while :; do :; done"])
        .spawn()
        .expect("a child");
    let mut idle = std::process::Command::new("sleep").arg("10").spawn().expect("a child");
    meter.track(busy.id()).expect("a clock");
    meter.track(idle.id()).expect("a clock");
    let start = meter.edge();
    std::thread::sleep(Duration::from_millis(500));
    let window = between(start, meter.edge());
    let (of_busy, of_idle) = (
        meter.read(&window, &[], &[busy.id()]),
        meter.read(&window, &[], &[idle.id()]),
    );
    busy.kill().and_then(|()| busy.wait()).expect("its end");
    idle.kill().and_then(|()| idle.wait()).expect("its end");
    let (of_busy, of_idle) = (
        of_busy.cpu_time_share.expect("a share"),
        of_idle.cpu_time_share.expect("a share"),
    );
    assert!(of_busy > 0.05 && of_busy <= 1.0, "{of_busy}");
    assert!(of_idle < 0.05, "{of_idle}");
    assert!(of_busy + of_idle <= 1.0);
}

#[test]
fn a_group_has_the_share_that_its_clock_counts() {
    let (source, _) = Package::boxed("package-0", Behaviour::Steady);
    let meter = HostMeter::start(opened(vec![source])).expect("a meter");
    let group = tempfile::tempdir().expect("a folder");
    let count =
        |usec: u32| std::fs::write(group.path().join("cpu.stat"), format!("usage_usec {usec}\n")).expect("a file");
    count(1_000_000);
    let clock = crate::CgroupCpuClock::open(group.path()).expect("a clock");
    meter.track_cgroup(u32::MAX, clock).expect("it counts");
    let start = meter.edge();
    count(1_002_000);
    std::thread::sleep(Duration::from_millis(100));
    let window = between(start, meter.edge());
    let share = meter.read(&window, &[], &[u32::MAX]).cpu_time_share.expect("a share");
    assert!(share > 0.0, "{share}");
    assert!(meter.process_tree(u32::MAX).is_empty());
}

#[test]
fn a_process_that_ended_inside_the_window_keeps_what_it_used() {
    let (source, _) = Package::boxed("package-0", Behaviour::Steady);
    let meter = HostMeter::start(opened(vec![source])).expect("a meter");
    let mut child = std::process::Command::new("sleep")
        .arg("0.05")
        .spawn()
        .expect("a child");
    meter.track(child.id()).expect("a clock");
    let start = meter.edge();
    child.wait().expect("its end");
    std::thread::sleep(Duration::from_millis(60));
    let metrics = meter.read(&between(start, meter.edge()), &[], &[child.id()]);
    assert!(metrics.cpu_time_share.is_some());
}

#[test]
fn a_window_in_the_future_is_unknown() {
    let (source, _) = Package::boxed("package-0", Behaviour::Steady);
    let meter = HostMeter::start(opened(vec![source])).expect("a meter");
    let start = meter.edge();
    let end = Monotonic(start.0 + 60_000_000_000);
    assert_eq!(meter.read_host(&between(start, end)).total_energy_j, None);
}

#[test]
fn dropping_the_last_handle_ends_the_thread() {
    let (source, calls) = Package::boxed("package-0", Behaviour::Steady);
    let meter = HostMeter::start(opened(vec![source])).expect("a meter");
    let second = meter.clone();
    drop(meter);
    second.edge();
    drop(second);
    let at_drop = calls.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(calls.load(Ordering::Relaxed), at_drop);
}

#[test]
fn a_counter_that_wraps_fast_is_read_faster_than_asked() {
    let (source, _) = Package::boxed("package-0", Behaviour::Steady);
    let mut description = source.sources()[0].clone();
    description.wraps = Some(crate::source::Wraps {
        range_j: 80.0,
        highest_power_w: 2000.0,
    });
    assert_eq!(
        sampler::pace(Duration::from_millis(100), &[description.clone()]),
        Duration::from_millis(20)
    );
    description.wraps = Some(crate::source::Wraps {
        range_j: 1.0,
        highest_power_w: 2000.0,
    });
    assert_eq!(
        sampler::pace(Duration::from_millis(100), &[description]),
        Duration::from_millis(5)
    );
    assert_eq!(
        sampler::pace(Duration::from_millis(100), &[]),
        Duration::from_millis(100)
    );
}

#[test]
fn live_power_is_reported_with_the_devices() {
    let (source, _) = Package::boxed("package-0", Behaviour::Steady);
    let meter = HostMeter::start(opened(vec![source])).expect("a meter");
    std::thread::sleep(Duration::from_millis(60));
    let power = meter.devices().cpu.live_power_w.expect("power");
    assert!((power - 100.0).abs() < 1.0, "{power}");
}

fn sleepy(source: Box<dyn EnergySource>) -> HostMeter {
    let opened = FoundSources {
        sample_interval: Duration::from_secs(60),
        ..opened(vec![source])
    };
    HostMeter::start(opened).expect("a meter")
}

#[test]
fn an_edge_at_which_a_source_fails_for_a_moment_is_read_again_at_once() {
    let (source, calls) = Package::boxed("package-0", Behaviour::Refuses(3));
    let meter = sleepy(source);
    // The first sweep may come before or after the first edge.
    while calls.load(Ordering::Relaxed) < 5 {
        meter.edge();
    }
    let start = meter.edge();
    let end = meter.edge();
    let metrics = meter.read_host(&between(start, end));
    assert!(metrics.cpu_energy_j.is_some(), "{:?}", metrics.sources);
}

#[test]
fn an_edge_at_which_permission_stays_denied_voids_the_window_and_says_why() {
    let (source, calls) = Package::boxed("package-0", Behaviour::Refuses(u32::MAX));
    let meter = sleepy(source);
    while calls.load(Ordering::Relaxed) < 2 {
        meter.edge();
    }
    let start = meter.edge();
    let end = meter.edge();
    let metrics = meter.read_host(&between(start, end));
    assert_eq!((metrics.cpu_energy_j, metrics.total_energy_j), (None, None));
    let note = metrics.sources[0].note.as_deref().unwrap_or_default();
    assert!(note.contains("denied"), "{note}");
}

#[test]
fn a_measured_closure_returns_its_value_and_the_energy_of_its_window() {
    let (source, _) = Package::boxed("package-0", Behaviour::Steady);
    let meter = HostMeter::start(opened(vec![source])).expect("a meter");
    let metered = meter.measure(|| {
        std::thread::sleep(Duration::from_millis(130));
        meter.0.fast_pollers.load(Ordering::Relaxed)
    });
    assert_eq!(metered.value, 1, "it is attended to while it runs");
    assert_eq!(meter.0.fast_pollers.load(Ordering::Relaxed), 0, "and no longer");
    let length_sec = metered.window.duration_sec();
    assert!(length_sec >= 0.13, "{length_sec}");
    let energy = metered.energy.cpu_energy_j.expect("energy");
    assert!((energy - 100.0 * length_sec).abs() < 1e-3, "{energy}");
}
