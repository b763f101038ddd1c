//! Checks that the energy readings agree with the power samples over the same time.

use std::collections::BTreeMap;

use serde_json::json;

use super::differences::Difference;
use joulemark_analysis::{CycleHost, hull};
use joulemark_measurement::{DeviceSeries, RankCycle, SourceReading, Window};

/// Tolerance as a share of the energy, for the rounding of samples.
const TOLERANCE: f64 = 0.01;

/// Result of comparing a reading with samples.
enum Agreement {
    Agrees,
    Differs { sampled_j: f64 },
    NotTold(String),
}

/// Returns the readings that contradict the samples, the number of readings that agree, and why others could not be
/// compared.
pub fn contradicted(
    hosts: &[CycleHost],
    cycles: &[RankCycle],
    devices: &[DeviceSeries],
) -> (Vec<Difference>, u64, Vec<String>) {
    let mut windows: BTreeMap<u32, Vec<Window>> = BTreeMap::new();
    for cycle in cycles {
        windows.entry(cycle.cycle).or_default().push(cycle.window);
    }
    let (mut found, mut compared, mut not_told) = (Vec::new(), 0, Vec::new());
    for (place, host) in hosts.iter().enumerate() {
        let Some(window) = windows.get(&host.cycle).and_then(|windows| hull(windows)) else {
            not_told.push(format!("readings of cycle {}, which has no requests", host.cycle));
            continue;
        };
        for (number, reading) in host.energy.sources.iter().enumerate() {
            let Some(energy_j) = reading.energy_j else { continue };
            let pointer = format!("readings.json/hosts/{place}/energy/sources/{number}/energy_j");
            match agreement(reading, energy_j, &window, devices) {
                Agreement::Agrees => compared += 1,
                Agreement::Differs { sampled_j } => found.push(Difference {
                    place: pointer,
                    recorded: json!(energy_j),
                    computed: json!(sampled_j),
                }),
                Agreement::NotTold(why) => not_told.push(format!("{pointer} against samples: {why}")),
            }
        }
    }
    (found, compared, not_told)
}

fn agreement(reading: &SourceReading, energy_j: f64, window: &Window, devices: &[DeviceSeries]) -> Agreement {
    let is_its = |series: &&DeviceSeries| match &reading.gpu_uuid {
        Some(uuid) => series.gpu_uuid.as_ref() == Some(uuid),
        None => {
            series.gpu_uuid.is_none() && series.zone_path == reading.zone_path && {
                reading.zone_path.is_some() || reading.zone.is_none() || series.zone == reading.zone
            }
        }
    };
    let Some(series) = devices.iter().find(is_its) else {
        return Agreement::NotTold("its device has no samples".to_owned());
    };
    let Some(sampled) = integral(series, window) else {
        return Agreement::NotTold("they do not cover the cycle".to_owned());
    };
    // How the energy of a step is distributed around the edge of a window is unknown.
    let allowed = reading.uncertainty_j.unwrap_or(0.0) + sampled.edges_j + TOLERANCE * energy_j.abs();
    if (sampled.energy_j - energy_j).abs() <= allowed {
        Agreement::Agrees
    } else {
        Agreement::Differs {
            sampled_j: sampled.energy_j,
        }
    }
}

struct Sampled {
    energy_j: f64,
    /// Uncertainty at the edges of the window: the highest power over the longest step, at each edge.
    edges_j: f64,
}

/// Integrates power over time; the power of a point holds since the previous point. Returns `None` when the samples do
/// not cover the window.
fn integral(series: &DeviceSeries, window: &Window) -> Option<Sampled> {
    let (start, end) = (window.start_monotonic_sec, window.end_monotonic_sec);
    let (mut energy_j, mut highest_w, mut longest_sec) = (0.0, 0.0_f64, 0.0_f64);
    let mut covered_to = None;
    for pair in series.points.windows(2) {
        let (from, to) = (pair[0].at_monotonic_sec, pair[1].at_monotonic_sec);
        let within = to.min(end) - from.max(start);
        if within <= 0.0 {
            continue;
        }
        if covered_to.is_none() && from > start {
            return None;
        }
        let power_w = pair[1].power_w?;
        energy_j += power_w * within;
        highest_w = highest_w.max(power_w);
        longest_sec = longest_sec.max(to - from);
        covered_to = Some(to);
    }
    (covered_to? >= end).then_some(Sampled {
        energy_j,
        edges_j: 2.0 * highest_w * longest_sec,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use joulemark_measurement::SeriesPoint;

    fn series(powers_w: &[f64]) -> DeviceSeries {
        let point = |(second, power_w): (usize, &f64)| SeriesPoint {
            at_monotonic_sec: second as f64,
            power_w: Some(*power_w),
            ..SeriesPoint::default()
        };
        DeviceSeries {
            gpu: None,
            gpu_uuid: None,
            zone: Some("package-0".to_owned()),
            zone_path: None,
            points: powers_w.iter().enumerate().map(point).collect(),
        }
    }

    #[test]
    fn power_holds_since_the_previous_sample_and_a_window_must_be_covered() {
        let window = |start_monotonic_sec: f64, end_monotonic_sec: f64| Window {
            start_monotonic_sec,
            end_monotonic_sec,
        };
        let of = series(&[0.0, 10.0, 20.0, 30.0]);
        assert_eq!(integral(&of, &window(0.5, 2.0)).unwrap().energy_j, 25.0);
        assert_eq!(integral(&of, &window(0.0, 3.0)).unwrap().energy_j, 60.0);
        assert!(integral(&of, &window(2.0, 3.5)).is_none());
        assert!(integral(&of, &window(-1.0, 2.0)).is_none());
        assert!(integral(&series(&[]), &window(0.0, 1.0)).is_none());
    }
}
