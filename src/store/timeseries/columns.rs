//! A device's series as it is stored: a column a quantity, whole numbers, equal neighbours once with their count.
//! Pure; lossless to the microsecond and to a thousandth of a watt, percent or degree.
//!
//! Bytes: a moment takes 7 (`100012,`), power 7 (`200123,`), and a quantity that stays for n samples about 8/n, so that
//! a GPU at 10 Hz takes 15 to 25 bytes a sample and at most 1.8 MB, the meter's 2 h; `SeriesPoint` as served is 270.

use std::iter::repeat_n;

use serde::{Deserialize, Serialize};

use crate::measurement::{DeviceSeries, SeriesPoint};
use crate::store::StoreError;
use crate::store::record::to_json;

const MICROS: f64 = 1e6;
const MILLIS: f64 = 1e3;
const UNITS: f64 = 1.0;

/// A value and how often it comes in a row.
type Runs<T> = Vec<(T, usize)>;

#[derive(Debug, Serialize, Deserialize)]
pub struct Columns {
    gpu: Option<u32>,
    gpu_uuid: Option<String>,
    zone: Option<String>,
    zone_path: Option<String>,
    /// The first moment in microseconds, then differences.
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

pub fn encode(series: &DeviceSeries) -> Result<String, StoreError> {
    let points = &series.points;
    let mut before_us = 0;
    let at_us = points.iter().map(|point| {
        let at_us = (point.at_monotonic_sec * MICROS).round() as i64;
        let since = at_us - before_us;
        before_us = at_us;
        since
    });
    let numbers = |scale: f64, of: fn(&SeriesPoint) -> Option<f64>| {
        runs(
            points
                .iter()
                .map(|point| of(point).map(|value| (value * scale).round() as i64)),
        )
    };
    to_json(&Columns {
        gpu: series.gpu,
        gpu_uuid: series.gpu_uuid.clone(),
        zone: series.zone.clone(),
        zone_path: series.zone_path.clone(),
        at_us: at_us.collect(),
        power_mw: points
            .iter()
            .map(|point| point.power_w.map(|watts| (watts * MILLIS).round() as i64))
            .collect(),
        utilisation_millipercent: numbers(MILLIS, |point| point.utilisation_percent),
        temperature_millidegrees: numbers(MILLIS, |point| point.temperature_c),
        sm_clock_mhz: numbers(UNITS, |point| point.sm_clock_mhz),
        memory_clock_mhz: numbers(UNITS, |point| point.memory_clock_mhz),
        memory_used_bytes: numbers(UNITS, |point| point.memory_used_bytes),
        power_limit_mw: numbers(MILLIS, |point| point.power_limit_w),
        throttle_reasons: runs(points.iter().map(|point| point.throttle_reasons.clone())),
    })
}

/// A column that is too short, which only another program can have written, leaves its quantity unknown.
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

fn runs<T: PartialEq>(values: impl Iterator<Item = T>) -> Runs<T> {
    let mut runs: Runs<T> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some((last, times)) if *last == value => *times += 1,
            _ => runs.push((value, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(points: Vec<SeriesPoint>) -> DeviceSeries {
        DeviceSeries {
            gpu: Some(1),
            gpu_uuid: Some("GPU-a".to_owned()),
            zone: None,
            zone_path: None,
            points,
        }
    }

    fn read_back(series: &DeviceSeries) -> DeviceSeries {
        decode(serde_json::from_str(&encode(series).unwrap()).unwrap())
    }

    /// As a GPU looks at 10 Hz: power always moves, load and clocks at 5 Hz, temperature at 1 Hz.
    fn lively(samples: u32) -> DeviceSeries {
        let point = |sample: u32| SeriesPoint {
            at_monotonic_sec: 5000.0 + f64::from(sample) * 0.1 + f64::from(sample % 7) * 1e-6,
            power_w: Some(200.0 + f64::from(sample * 7919 % 100_000) / 1e3),
            utilisation_percent: Some(f64::from(60 + sample / 2 * 31 % 40)),
            temperature_c: Some(f64::from(50 + sample / 10 % 20)),
            sm_clock_mhz: Some(f64::from(1000 + sample / 2 * 15 % 900)),
            memory_clock_mhz: Some(1593.0),
            memory_used_bytes: Some(40e9),
            power_limit_w: Some(400.0),
            throttle_reasons: vec!["sw_power_cap".to_owned()],
        };
        series((0..samples).map(point).collect())
    }

    #[test]
    fn a_lively_gpu_takes_no_more_than_twenty_five_bytes_a_sample() {
        let series = lively(10_000);
        let bytes = encode(&series).unwrap().len() as f64 / 10_000.0;
        assert!((15.0..25.0).contains(&bytes), "{bytes}");
        let served = serde_json::to_string(&series).unwrap().len() as f64 / 10_000.0;
        assert!((240.0..300.0).contains(&served), "{served}");
    }

    #[test]
    fn an_empty_series_and_one_without_anything_known_read_back() {
        for points in [
            vec![],
            vec![
                SeriesPoint {
                    at_monotonic_sec: 1.5,
                    ..SeriesPoint::default()
                };
                3
            ],
        ] {
            assert_eq!(read_back(&series(points.clone())), series(points));
        }
    }

    #[test]
    fn a_lively_series_reads_back_whole() {
        let near = |a: Option<f64>, b: Option<f64>| (a.unwrap() - b.unwrap()).abs() < 1e-6;
        let (before, after) = (lively(500), read_back(&lively(500)));
        for (before, after) in before.points.iter().zip(&after.points) {
            assert!((before.at_monotonic_sec - after.at_monotonic_sec).abs() < 1e-6);
            assert!(near(before.power_w, after.power_w), "{before:?} {after:?}");
            let rest = SeriesPoint {
                at_monotonic_sec: after.at_monotonic_sec,
                power_w: after.power_w,
                ..before.clone()
            };
            assert_eq!(&rest, after);
        }
    }

    proptest! {
        #[test]
        fn unknown_stays_unknown_and_known_stays_known(known in prop::collection::vec(any::<[bool; 7]>(), 0..60)) {
            let points: Vec<SeriesPoint> = known.iter().enumerate().map(|(index, known)| {
                let value = |of: usize| known[of].then_some(index as f64 / 8.0 + of as f64);
                SeriesPoint {
                    at_monotonic_sec: index as f64 / 8.0,
                    power_w: value(0),
                    utilisation_percent: value(1),
                    temperature_c: value(2),
                    sm_clock_mhz: value(3).map(f64::round),
                    memory_clock_mhz: value(4).map(f64::round),
                    memory_used_bytes: value(5).map(f64::round),
                    power_limit_w: value(6),
                    throttle_reasons: if known[0] { vec!["hw_slowdown".to_owned()] } else { Vec::new() },
                }
            }).collect();
            prop_assert_eq!(read_back(&series(points.clone())), series(points));
        }
    }
}
