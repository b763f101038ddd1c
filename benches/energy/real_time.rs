//! The square wave that other tools were measured on, in real time through everything but a driver.

use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyMetrics, Window};
use joulemark_meter::{EnergyOptions, HostMeter, open};

use joulemark_testkit::fake_powercap::{FakePowercap, FakeZone};
use joulemark_testkit::mock_nvml::{MockNvml, uuid};

const WAVE: &str = "square:100:300:2";
const LENGTHS_SEC: [f64; 4] = [0.2, 1.0, 5.0, 20.0];

/// Zeus was within 0.001 % (GPU counter) and 0.005 % (RAPL) at 20 s, CodeCarbon within 0.006 % and 0.011 %.
pub fn square_wave() {
    println!("\nreal time, {WAVE} (low W : high W : s), sampled every 100 ms: error in % of the energy (± stated)");
    let mock = MockNvml::new(&format!(
        "devices=4\nshape={WAVE}\nrefresh_ms=0,20,100,0\nno_counter=0,0,0,1"
    ));
    let tree = FakePowercap::start(vec![
        FakeZone::new("intel-rapl:0", "package-0", WAVE),
        FakeZone {
            range_j: Some(160.0),
            ..FakeZone::new("intel-rapl:1", "psys", WAVE)
        },
    ]);
    let nowhere = tree.root().join("nowhere");
    let opened = open(&EnergyOptions {
        rapl_root: tree.root(),
        perf_event: None,
        nvml_library: Some(mock.library()),
        proc_root: nowhere.clone(),
        cgroup_root: nowhere,
        sample_interval: Duration::from_millis(100),
        ..EnergyOptions::default()
    });
    let meter = HostMeter::start(opened).expect("a meter");
    std::thread::sleep(Duration::from_secs(1));
    let names = [
        "counter, always fresh",
        "counter, 20 ms",
        "counter, 100 ms",
        "instant power, no counter",
        "RAPL",
        "RAPL, wraps every 0.8 s",
    ];
    println!("{:>6}  {}", "s", names.map(|name| format!("{name:>26}")).join(" "));
    for length_sec in LENGTHS_SEC {
        let start = meter.edge();
        std::thread::sleep(Duration::from_secs_f64(length_sec));
        let window = Window {
            start_monotonic_sec: start.as_sec(),
            end_monotonic_sec: Monotonic::now().as_sec(),
        };
        meter.edge();
        let metrics = meter.read_host(&window);
        println!("{length_sec:>6}  {}", errors(&metrics, &window, &tree).join(" "));
    }
}

fn errors(metrics: &EnergyMetrics, window: &Window, tree: &FakePowercap) -> Vec<String> {
    let truth_j = tree.zones[0].truth_j(window.start_monotonic_sec, window.end_monotonic_sec);
    assert_eq!(metrics.sources[0].gpu_uuid, Some(uuid(0)), "GPUs come first");
    let of = |reading: &joulemark_measurement::SourceReading| match (reading.energy_j, reading.uncertainty_j) {
        (Some(energy_j), Some(uncertainty_j)) => {
            let percent = |joules: f64| 100.0 * joules / truth_j;
            format!(
                "{:>26}",
                format!("{:+.4} (± {:.4})", percent(energy_j - truth_j), percent(uncertainty_j))
            )
        }
        _ => format!("{:>26}", "unknown"),
    };
    metrics.sources.iter().map(of).collect()
}
