//! The list of devices through the real server, on the mock NVML.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::mock_nvml::{MockNvml, uuid};
use crate::timeseries::{metering, server_with};

#[tokio::test]
async fn every_gpu_is_listed_with_its_source_its_power_and_whoever_has_it() {
    let mock = MockNvml::new("devices=2\nshape=constant:210,constant:90\nno_counter=0\npersistence=0,1\npids=4242,");
    let server = server_with(&mock);
    let id = server.accepted(&metering(&[1], 30_000, 1)).await;
    server.until_state(&id, "measuring").await;
    let (status, devices) = server.get("/v1/devices").await;
    assert_eq!(status, StatusCode::OK);
    let gpus = devices["gpus"].as_array().unwrap();
    assert_eq!(gpus.len(), 2);
    for (gpu, (index, watts)) in gpus.iter().zip([(0, 210.0), (1, 90.0)]) {
        assert_eq!((&gpu["index"], &gpu["uuid"]), (&json!(index), &json!(uuid(index))));
        assert_eq!(
            (&gpu["name"], &gpu["memory_bytes"]),
            (&json!("Mock GPU 80GB"), &json!(80_u64 << 30))
        );
        assert_eq!(
            (&gpu["driver_version"], &gpu["energy_method"]),
            (&json!("555.42.06-mock"), &json!("energy_counter"))
        );
        let live_w = gpu["live_power_w"].as_f64().expect("a power");
        assert!((live_w - watts).abs() < 0.1 * watts, "{live_w}");
        assert_eq!(
            (&gpu["now"]["temperature_c"], &gpu["now"]["sm_clock_mhz"]),
            (&json!(50), &json!(1410))
        );
        assert_eq!(gpu["now"]["persistence_mode"], json!(index == 1));
        assert_eq!(gpu["now"]["compute_processes"], json!(u32::from(index == 0)));
    }
    assert_eq!(
        (&gpus[0]["leased_by"], &gpus[1]["leased_by"]),
        (&Value::Null, &json!(id))
    );
    assert_eq!(devices["cpu"]["leased_by"], json!(id));
    assert!(devices["cpu"]["logical_cpus"].as_u64().unwrap() > 0 && devices["cpu"]["cpu_time_source"].is_string());
    server.cancel(&id).await;
    server.until(&id, |shown| shown["state"] == "cancelled").await;
    let freed = server.get("/v1/devices").await.1;
    assert_eq!(
        (&freed["gpus"][1]["leased_by"], &freed["cpu"]["leased_by"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_gpu_whose_energy_may_not_be_read_is_listed_with_the_fix() {
    let mock = MockNvml::new("devices=1\nno_permission=1\nutilisation=refused");
    let server = server_with(&mock);
    let (_, devices) = server.get("/v1/devices").await;
    let gpu = &devices["gpus"][0];
    assert_eq!(
        (&gpu["uuid"], &gpu["energy_method"], &gpu["live_power_w"]),
        (&json!(uuid(0)), &Value::Null, &Value::Null)
    );
    assert_eq!(
        (&gpu["now"]["utilisation_percent"], &gpu["now"]["sm_clock_mhz"]),
        (&Value::Null, &json!(1410))
    );
    let findings = devices["findings"].as_array().unwrap();
    let finding = findings
        .iter()
        .find(|finding| finding["subject"].as_str().unwrap().starts_with("GPU 0"));
    let finding = finding.expect("a finding of the GPU");
    assert_eq!(finding["works"], false);
    assert!(
        finding["fix"].as_str().is_some_and(|fix| fix.contains("/dev/nvidia")),
        "{finding:#}"
    );
}
