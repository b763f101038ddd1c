//! The time series of a device as releases up to 0.1 stored it: one JSON document with a column for each quantity,
//! scaled to whole numbers, and equal neighbours run-length encoded. Read only; new series are stored in blocks
//! (`raw`).

use std::iter::repeat_n;

use serde::Deserialize;

use joulemark_measurement::{DeviceSeries, SeriesPoint};

const MICROS: f64 = 1e6;
const MILLIS: f64 = 1e3;
const UNITS: f64 = 1.0;

/// Values with the length of each run.
type Runs<T> = Vec<(T, usize)>;

/// The stored document.
#[derive(Debug, Deserialize)]
pub struct Columns {
    gpu: Option<u32>,
    gpu_uuid: Option<String>,
    zone: Option<String>,
    zone_path: Option<String>,
    /// The first time in microseconds, then differences.
    at_us: Vec<i64>,
    power_mw: Vec<Option<i64>>,
    utilisation_millipercent: Runs<Option<i64>>,
    temperature_millidegrees: Runs<Option<i64>>,
    sm_clock_mhz: Runs<Option<i64>>,
    memory_clock_mhz: Runs<Option<i64>>,
    memory_used_bytes: Runs<Option<i64>>,
    power_limit_mw: Runs<Option<i64>>,
    throttle_reasons: Runs<Vec<String>>,
}

/// Decodes a document. A column that is too short leaves its quantity unknown.
pub fn decode(columns: Columns) -> DeviceSeries {
    let numbers = |runs: Runs<Option<i64>>, scale: f64| {
        let each = runs.into_iter().flat_map(|(value, times)| repeat_n(value, times));
        each.map(move |value| value.map(|value| value as f64 / scale))
    };
    let mut power_w = columns
        .power_mw
        .into_iter()
        .map(|value| value.map(|value| value as f64 / MILLIS));
    let mut utilisation = numbers(columns.utilisation_millipercent, MILLIS);
    let mut temperature = numbers(columns.temperature_millidegrees, MILLIS);
    let mut sm_clock = numbers(columns.sm_clock_mhz, UNITS);
    let mut memory_clock = numbers(columns.memory_clock_mhz, UNITS);
    let mut memory_used = numbers(columns.memory_used_bytes, UNITS);
    let mut power_limit = numbers(columns.power_limit_mw, MILLIS);
    let reasons = columns.throttle_reasons.into_iter();
    let mut reasons = reasons.flat_map(|(names, times)| repeat_n(names, times));
    let mut at_us = 0;
    let points = columns.at_us.into_iter().map(|since| {
        at_us += since;
        SeriesPoint {
            at_monotonic_sec: at_us as f64 / MICROS,
            power_w: power_w.next().flatten(),
            utilisation_percent: utilisation.next().flatten(),
            temperature_c: temperature.next().flatten(),
            sm_clock_mhz: sm_clock.next().flatten(),
            memory_clock_mhz: memory_clock.next().flatten(),
            memory_used_bytes: memory_used.next().flatten(),
            power_limit_w: power_limit.next().flatten(),
            throttle_reasons: reasons.next().unwrap_or_default(),
        }
    });
    DeviceSeries {
        points: points.collect(),
        gpu: columns.gpu,
        gpu_uuid: columns.gpu_uuid,
        zone: columns.zone,
        zone_path: columns.zone_path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_release_0_1_is_read() {
        let stored = r#"{"gpu":1,"gpu_uuid":"GPU-a","zone":null,"zone_path":null,"at_us":[5000000000,100003],
            "power_mw":[200125,null],"utilisation_millipercent":[[60000,2]],"temperature_millidegrees":[[null,2]],
            "sm_clock_mhz":[[1410,1],[1395,1]],"memory_clock_mhz":[[1593,2]],"memory_used_bytes":[[40000000000,2]],
            "power_limit_mw":[[400000,2]],"throttle_reasons":[[[],1],[["sw_power_cap"],1]]}"#;
        let series = decode(serde_json::from_str(stored).unwrap());
        assert_eq!((series.gpu, series.gpu_uuid.as_deref()), (Some(1), Some("GPU-a")));
        let expected = |at_monotonic_sec, power_w, sm_clock_mhz, reasons: &[&str]| SeriesPoint {
            at_monotonic_sec,
            power_w,
            utilisation_percent: Some(60.0),
            temperature_c: None,
            sm_clock_mhz: Some(sm_clock_mhz),
            memory_clock_mhz: Some(1593.0),
            memory_used_bytes: Some(4e10),
            power_limit_w: Some(400.0),
            throttle_reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
        };
        let points = [
            expected(5000.0, Some(200.125), 1410.0, &[]),
            expected(5000.100003, None, 1395.0, &["sw_power_cap"]),
        ];
        assert_eq!(series.points, points);
    }
}
