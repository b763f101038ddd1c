//! GPUs that are counted but cannot be metered: without a handle or a UUID, behind a driver that does not initialise, or
//! slices of a board.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::meter_command::{Powercap, joulemark};
use crate::mock_nvml::{MockNvml, uuid};
use crate::nvml::{measure, meter};
use crate::timeseries::{metering, server_with};
use joulemark_meter::NvmlSource;

fn metered(mock: &MockNvml, gpus: Option<&str>) -> Value {
    let tree = Powercap::new(&[]);
    let mut command = joulemark("meter", tree.root(), &mock.library());
    command.args(["--json", "--sample-interval-ms", "20"]);
    if let Some(gpus) = gpus {
        command.args(["--gpus", gpus]);
    }
    let output = command.args(["sleep", "0.4"]).output().expect("it runs");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn of_gpu(reading: &Value, index: u32) -> &Value {
    let sources = reading["sources"].as_array().expect("a list");
    let found = sources.iter().find(|source| source["gpu"] == json!(index));
    found.unwrap_or_else(|| panic!("no GPU {index} in {reading:#}"))
}

#[test]
fn a_gpu_without_a_handle_or_a_uuid_is_null_with_the_reason_and_voids_the_total() {
    for (switch, words) in [
        ("no_handle=0,15,0", "cannot be opened: a GPU fell off the bus"),
        (
            "no_handle=0,999,0",
            "cannot be opened: the driver has an internal error",
        ),
        ("no_uuid=0,999,0", "does not report its UUID"),
    ] {
        let mock = MockNvml::new(&format!("devices=3\n{switch}"));
        let all = metered(&mock, None);
        let broken = of_gpu(&all, 1);
        assert_eq!(broken["energy_j"], Value::Null);
        assert!(
            broken["note"].as_str().is_some_and(|note| note.contains(words)),
            "{broken:#}"
        );
        assert_eq!(
            (&all["gpu_energy_j"], &all["total_energy_j"]),
            (&Value::Null, &Value::Null)
        );
        let findings = all["findings"].as_array().expect("a list");
        let finding = findings
            .iter()
            .find(|finding| finding["subject"] == "GPU 1")
            .expect("a finding");
        assert!(finding["fix"].is_string(), "{finding:#}");
        let named = metered(&mock, Some("1"));
        assert_eq!(named["total_energy_j"], Value::Null);
        let others = metered(&mock, Some("0,2"));
        assert!(
            others["gpu_energy_j"].is_number() && others["total_energy_j"].is_number(),
            "{others:#}"
        );
    }
}

#[test]
fn the_host_s_own_total_lacks_no_gpu_in_silence() {
    let mock = MockNvml::new("devices=2\nno_handle=15,0");
    let meter = meter(&mock, Duration::from_millis(20));
    let (window, metrics) = measure(&meter, Duration::from_millis(200), &[uuid(1)]);
    assert!(metrics.gpu_energy_j.is_some() && metrics.total_energy_j.is_some());
    let host = meter.read_host(&window);
    assert_eq!((host.gpu_energy_j, host.total_energy_j), (None, None));
    assert!(
        host.sources
            .iter()
            .any(|reading| reading.gpu == Some(0) && reading.energy_j.is_none())
    );
}

#[tokio::test]
async fn a_gpu_that_cannot_be_opened_is_listed_with_the_reason_and_any_gpu_is_another() {
    let mock = MockNvml::new("devices=2\nno_handle=15,0");
    let server = server_with(&mock);
    let (_, devices) = server.get("/v1/devices").await;
    let gpu = &devices["gpus"][0];
    assert_eq!((&gpu["index"], &gpu["energy_method"]), (&json!(0), &Value::Null));
    assert!(
        gpu["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("fell off the bus")),
        "{gpu:#}"
    );
    assert_eq!(devices["gpus"][1]["problem"], Value::Null);
    let mut any = metering(&[], 100, 1);
    any.as_object_mut().expect("an object").remove("gpus");
    any["gpu_count"] = json!(1);
    let id = server.accepted(&any).await;
    let shown = server.until_state(&id, "completed").await;
    assert!(shown.to_string().contains(&uuid(1)), "{shown:#}");
    let id = server.accepted(&metering(&[0, 1], 100, 1)).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    assert!(results.to_string().contains("fell off the bus"), "{results:#}");
}

#[test]
fn every_failure_of_nvmlinit_has_its_cause_and_the_fix_that_helps() {
    for (code, cause, fix) in [
        (4, "may not use the driver", "/dev/nvidia*"),
        (9, "driver is not loaded", "`sudo modprobe nvidia`"),
        (12, "library of the driver is missing", "NVIDIA Container Toolkit"),
        (13, "library is too old", "of one version"),
        (15, "fell off the bus", "reboot the host"),
        (17, "operating system or a cgroup", "--gpus all"),
        (18, "of different versions", "sudo modprobe -r nvidia_uvm"),
        (27, "not ready yet", "nvidia-smi"),
        (999, "internal error", "in a container: start it anew"),
    ] {
        let mock = MockNvml::new(&format!("init={code}"));
        let (source, gpus, findings) = NvmlSource::open(Some(&mock.library()));
        assert!(source.is_empty() && gpus.is_empty());
        let (detail, help) = (&findings[0].detail, findings[0].fix.as_deref().unwrap_or_default());
        assert!(
            detail.contains(cause) && detail.contains(&format!("NVML error {code}")),
            "{detail}"
        );
        assert!(help.contains(fix), "{code}: {help}");
    }
}

#[test]
fn a_mig_slice_is_refused_with_the_board_to_name() {
    let mock = MockNvml::new("devices=2\nmig=0,1");
    let (new, old) = (
        "MIG-11111111-2222-3333-4444-000000000001",
        format!("MIG-{}/3/0", uuid(1)),
    );
    for slice in [new, &old] {
        let mut command = joulemark("meter", Path::new("/nowhere"), &mock.library());
        let output = command
            .args(["--gpus", slice, "--", "echo", "ran"])
            .output()
            .expect("it runs");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(125), 0));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        for part in [
            "MIG slice of GPU 1",
            "only whole boards can be metered",
            &format!("1 or {}", uuid(1)),
        ] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }
    let mut command = joulemark("meter", Path::new("/nowhere"), &mock.library());
    let unknown = "MIG-11111111-2222-3333-4444-000000000000";
    let output = command
        .args(["--gpus", unknown, "--", "true"])
        .output()
        .expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains("only whole boards") && message.contains(&uuid(0)),
        "{message}"
    );
}

#[tokio::test]
async fn a_submission_that_names_a_mig_slice_is_told_the_board() {
    let mock = MockNvml::new("devices=2\nmig=0,1");
    let server = server_with(&mock);
    for slice in [
        "MIG-11111111-2222-3333-4444-000000000001",
        &format!("MIG-{}/1/0", uuid(1)),
    ] {
        let mut asked = metering(&[], 100, 1);
        asked["gpus"] = json!([0, slice]);
        let (status, problem) = server.submit(&asked).await;
        assert!(status.is_client_error(), "{problem:#}");
        let text = problem.to_string();
        assert!(
            text.contains("/gpus/1") && text.contains("MIG slice of GPU 1") && text.contains(&uuid(1)),
            "{problem:#}"
        );
    }
}
