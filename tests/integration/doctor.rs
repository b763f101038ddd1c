//! `joulemark doctor`: a finding for every source, the fix where there is one, and an exit code a script can use.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::meter_command::{Powercap, joulemark};
use crate::mock_nvml::MockNvml;

fn doctor(rapl_root: &Path, nvml: &Path, options: &[&str]) -> Output {
    joulemark("doctor", rapl_root, nvml)
        .args(options)
        .output()
        .expect("it runs")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

#[test]
fn a_host_with_a_working_gpu_and_package_is_well_and_shows_live_power() {
    let mock = MockNvml::new("devices=2\nshape=constant:200,constant:150");
    let tree = Powercap::new(&[("intel-rapl:0", "package-0")]);
    let output = doctor(tree.root(), &mock.library(), &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    let found = json(&output);
    assert_eq!(found["measures"], true);
    let power = |index: usize| found["gpus"][index]["live_power_w"].as_f64().expect("watts");
    assert!(
        (power(0) - 200.0).abs() < 5.0 && (power(1) - 150.0).abs() < 5.0,
        "{found:#}"
    );
    let findings = found["findings"].as_array().expect("a list");
    let works = |source: &str| {
        findings
            .iter()
            .filter(|f| f["source"] == source && f["works"] == true)
            .count()
    };
    assert_eq!((works("nvml"), works("rapl_powercap")), (2, 1), "{found:#}");
    assert!(found["cpu"]["cpu_time_source"].is_string(), "{found:#}");
    assert_eq!(found["sources"].as_array().expect("a list").len(), 3);
}

#[test]
fn a_host_with_nothing_but_an_estimate_is_not_well_and_each_finding_has_its_fix() {
    let nothing = tempfile::tempdir().expect("a folder");
    let output = doctor(nothing.path(), &nothing.path().join("libnvidia-ml.so"), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found = json(&output);
    assert_eq!(found["measures"], false);
    for source in ["nvml", "rapl_powercap"] {
        let finding = found["findings"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|f| f["source"] == source);
        let finding = finding.unwrap_or_else(|| panic!("nothing of {source} in {found:#}"));
        assert!(finding["works"] == false && finding["fix"].is_string(), "{finding:#}");
    }
}

#[test]
fn a_gpu_that_may_not_be_read_is_named_with_the_fix_for_people() {
    let mock = MockNvml::new("no_permission=1");
    // One that moves: a package whose counter stands still measures nothing.
    let tree = FakePowercap::start(vec![FakeZone::new("intel-rapl:0", "package-0", "constant:50")]);
    let root = tree.root();
    let output = doctor(&root, &mock.library(), &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "the package is measured: {text}");
    for part in [
        "GPU 0 (GPU-",
        "fix: run as a user who may open /dev/nvidia*",
        "package-0 (intel-rapl:0)",
        "CPU time",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[test]
fn an_interval_out_of_range_is_refused_by_name() {
    let output = doctor(
        Path::new("/nowhere"),
        Path::new("/nowhere"),
        &["--sample-interval-ms", "1"],
    );
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("sample_interval_ms is 1; accepted are 5 to 10000"));
}
