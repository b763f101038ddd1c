//! The real NVML source against the mock library, loaded through the same path as NVIDIA's.
//!
//! Environment variables are one for the process, so each test has a copy of the library in a folder of its own: the
//! loader sees another file and gives it its own statics, and its switches stand in `<library>.conf` beside it.
//! The mock has no dependencies: it is built with `rustc`, once a process, and is never stale.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use joulemark::clock::Monotonic;
use joulemark::energy::{EnergyOptions, HostMeter, NvmlSource, Opened, open};
use joulemark::measurement::{Confidence, EnergyMethod, EnergyMetrics, Window};

#[path = "../mock_nvml/src/shape.rs"]
mod shape;

use shape::Shape;

/// A copy of the mock with its own switches; the folder goes when it is dropped.
struct MockNvml {
    folder: tempfile::TempDir,
}

impl MockNvml {
    fn new(switches: &str) -> Self {
        let built = built();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mock = Self { folder };
        std::fs::copy(built, mock.library()).expect("a copy of the mock");
        std::fs::write(mock.folder.path().join("libmock_nvml.so.conf"), switches).expect("its switches");
        mock
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("libmock_nvml.so")
    }

    /// A meter whose only real source is this mock; the CPU side looks into an empty folder.
    fn meter(&self) -> HostMeter {
        let nowhere = self.folder.path().join("nowhere");
        let opened: Opened = open(&EnergyOptions {
            rapl_root: nowhere.clone(),
            nvml_library: Some(self.library()),
            proc_root: nowhere.clone(),
            cgroup_root: nowhere,
            sample_interval: Duration::from_millis(20),
        });
        HostMeter::start(opened).expect("a meter")
    }
}

fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mock_nvml/src/lib.rs");
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("libmock_nvml_{}.so", std::process::id()));
    let status = Command::new(option_env!("RUSTC").unwrap_or("rustc"))
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "cdylib",
            "--crate-name",
            "mock_nvml",
            "-O",
            "-o",
        ])
        .arg(&output)
        .arg(source)
        .status()
        .expect("rustc runs");
    assert!(status.success(), "the mock builds");
    output
}

fn uuid(device: u32) -> String {
    format!("GPU-00000000-0000-0000-0000-{device:012}")
}

fn measure(meter: &HostMeter, length: Duration, uuids: &[String]) -> (Window, EnergyMetrics) {
    let start = meter.edge();
    std::thread::sleep(length);
    let window = Window {
        start_monotonic_sec: start.as_sec(),
        end_monotonic_sec: Monotonic::now().as_sec(),
    };
    (window, meter.read(&window, uuids, &[]))
}

fn truth(shape: &str, window: &Window) -> f64 {
    let shape = Shape::parse(shape).expect("a shape");
    shape.energy_j(window.end_monotonic_sec) - shape.energy_j(window.start_monotonic_sec)
}

#[test]
fn the_counter_of_each_gpu_matches_the_truth_for_exactly_the_gpus_asked_for() {
    let mock = MockNvml::new("devices=2\nshape=constant:200,sine:150:50:0.4");
    let meter = mock.meter();
    let (window, metrics) = measure(&meter, Duration::from_millis(700), &[uuid(1)]);
    let energy = metrics.gpu_energy_j.expect("energy");
    let expected = truth("sine:150:50:0.4", &window);
    assert!((energy - expected).abs() < 0.005 * expected, "{energy} for {expected}");
    assert_eq!(metrics.sources.len(), 1);
    assert_eq!(metrics.sources[0].gpu, Some(1));
    assert_eq!(metrics.sources[0].method, EnergyMethod::EnergyCounter);
    assert!((energy - expected).abs() <= metrics.sources[0].uncertainty_j.expect("known"));
    let both = meter
        .read(&window, &[uuid(0), uuid(1)], &[])
        .gpu_energy_j
        .expect("energy");
    let expected = expected + truth("constant:200", &window);
    assert!((both - expected).abs() < 0.005 * expected, "{both} for {expected}");
}

#[test]
fn without_a_counter_instant_power_is_integrated_and_said() {
    let mock = MockNvml::new("no_counter=1\nshape=step:100:300:0.5");
    let meter = mock.meter();
    let (window, metrics) = measure(&meter, Duration::from_millis(1500), &[uuid(0)]);
    let reading = &metrics.sources[0];
    assert_eq!(reading.method, EnergyMethod::PowerIntegration);
    assert!(reading.confidence <= Confidence::Medium);
    assert!(reading.note.as_ref().expect("a note").contains("instant power"));
    let expected = truth("step:100:300:0.5", &window);
    let error = (reading.energy_j.expect("energy") - expected).abs();
    assert!(
        error < 0.05 * expected && error <= reading.uncertainty_j.expect("known"),
        "{error} of {expected}"
    );
}

#[test]
fn averaged_power_is_the_last_choice_and_is_named() {
    let mock = MockNvml::new("no_counter=1\nno_instant=1");
    let (source, gpus, findings) = NvmlSource::open(Some(&mock.library()));
    assert!(source.is_some());
    assert_eq!(gpus[0].energy_method, Some(EnergyMethod::PowerIntegration));
    assert_eq!(gpus[0].memory_bytes, Some(80 << 30));
    assert_eq!(gpus[0].driver_version.as_deref(), Some("555.42.06-mock"));
    assert!(findings[0].detail.contains("averaged"), "{}", findings[0].detail);
}

#[test]
fn no_permission_is_a_finding_with_the_fix_and_no_energy() {
    let mock = MockNvml::new("no_permission=1");
    let meter = mock.meter();
    let devices = meter.devices();
    let finding = devices
        .findings
        .iter()
        .find(|finding| finding.subject.starts_with("GPU 0"))
        .expect("a finding");
    assert!(!finding.works && finding.fix.is_some());
    let (_, metrics) = measure(&meter, Duration::from_millis(50), &[uuid(0)]);
    assert_eq!((metrics.gpu_energy_j, metrics.total_energy_j), (None, None));
}

#[test]
fn a_gpu_that_is_lost_does_not_stop_the_others() {
    built(); // The compiler must not use up the second in which the board is still there.
    let lost_at = Monotonic::now().as_sec() + 1.0;
    let mock = MockNvml::new(&format!("devices=2\nlost=0\nlost_at_sec={lost_at}"));
    let meter = mock.meter();
    let (window, metrics) = measure(&meter, Duration::from_millis(1500), &[uuid(0), uuid(1)]);
    let of = |device: u32| {
        metrics
            .sources
            .iter()
            .find(|reading| reading.gpu == Some(device))
            .expect("a reading")
    };
    assert_eq!(of(0).energy_j, None);
    assert!(of(0).note.as_ref().expect("a note").contains("fell off the bus"));
    let energy = of(1).energy_j.expect("energy");
    assert!((energy - truth("constant:200", &window)).abs() < 2.0, "{energy}");
    assert_eq!(
        metrics.gpu_energy_j, None,
        "one GPU of two is not the experiment's energy"
    );
}

#[test]
fn a_slow_counter_stays_within_its_stated_uncertainty() {
    let mock = MockNvml::new("refresh_ms=100\nshape=step:80:320:0.6");
    let meter = mock.meter();
    for _ in 0..5 {
        let (window, metrics) = measure(&meter, Duration::from_millis(430), &[uuid(0)]);
        let reading = &metrics.sources[0];
        let error = (reading.energy_j.expect("energy") - truth("step:80:320:0.6", &window)).abs();
        assert!(
            error <= reading.uncertainty_j.expect("known"),
            "{error} beyond {:?}",
            reading.uncertainty_j
        );
    }
}

#[test]
fn a_library_that_is_not_there_is_a_finding_that_names_it() {
    let (source, gpus, findings) = NvmlSource::open(Some(Path::new("/nowhere/libnvidia-ml.so")));
    assert!(source.is_none() && gpus.is_empty());
    assert!(findings[0].detail.contains("/nowhere/libnvidia-ml.so"));
}
