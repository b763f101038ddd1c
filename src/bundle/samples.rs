//! Whether the energies that were read agree with the samples of power beside them.

use std::collections::BTreeMap;

use serde_json::json;

use super::differences::Difference;
use joulemark_analysis::{CycleHost, hull};
use joulemark_measurement::{DeviceSeries, RankCycle, SourceReading, Window};

/// A part of an energy by which the sum of rounded samples may be off.
const TOLERANCE: f64 = 0.01;

/// What came of a reading that was held against samples.
enum Agreement {
    Agrees,
    Differs { sampled_j: f64 },
    NotTold(String),
}

/// Returns each reading of a cycle that its samples contradict, and why others could not be held against any.
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
            not_told.push(format!(
                "readings of cycle {}, of which there are no requests",
                host.cycle
            ));
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
        return Agreement::NotTold("there are none of its device".to_owned());
    };
    let Some(sampled) = integral(series, window) else {
        return Agreement::NotTold("they do not cover the cycle".to_owned());
    };
    // Where a step reaches over an edge, how its energy lies within it is not known.
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
    /// Of the steps that reach over an edge of the window, and of the highest power for a step at each.
    edges_j: f64,
}

/// Adds up power over time: each point's holds from the one before it. `None` where the samples leave a part of the window out.
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
    fn power_holds_from_the_sample_before_and_what_is_not_covered_is_not_told() {
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
