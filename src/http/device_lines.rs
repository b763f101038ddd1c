//! The samples of devices as lines of a chart. Leaves to others where the samples are read.

use joulemark_charts::{Mark, thin};

use joulemark_measurement::{DeviceSeries, SeriesPoint, Window};

/// Zone of the estimate from nameplate power, which covers the whole host.
pub const ESTIMATE: &str = "host";

/// Columns of a chart, each thinned to a few points.
pub const COLUMNS: usize = 800;
/// Throttle reasons other than idleness and settings.
const HEAT_OR_POWER: [&str; 5] = [
    "sw_power_cap",
    "hw_slowdown",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
];

/// Device samples of an experiment; times are seconds since its start.
#[derive(Debug)]
pub struct Series {
    pub window: Window,
    pub lines: Vec<DeviceLines>,
}

/// Samples of one device.
#[derive(Clone, Debug, Default)]
pub struct DeviceLines {
    pub name: String,
    pub power_w: Course,
    pub temperature_c: Course,
    pub sm_clock_mhz: Course,
    pub marks: Vec<Mark>,
}

/// One quantity over time, thinned. The extremes are those of all samples.
#[derive(Clone, Debug, Default)]
pub struct Course {
    pub points: Vec<(f64, f64)>,
    pub extremes: Option<(f64, f64)>,
}

impl DeviceLines {
    /// Returns the thinned lines of a device; times are seconds since `zero_sec`.
    pub fn of(series: &DeviceSeries, zero_sec: f64) -> Self {
        Self::since(series, zero_sec, zero_sec).thinned()
    }

    /// Returns the lines of a device with every sample. The first sample is valid from `since_sec` on.
    pub fn since(series: &DeviceSeries, zero_sec: f64, since_sec: f64) -> Self {
        let course = |of: fn(&SeriesPoint) -> Option<f64>| Course::of(series, zero_sec, of);
        Self {
            name: name(series),
            power_w: course(|point| point.power_w),
            temperature_c: course(|point| point.temperature_c),
            sm_clock_mhz: course(|point| point.sm_clock_mhz),
            marks: marks(series, zero_sec, since_sec),
        }
    }

    /// Returns the lines thinned to the columns of a chart, without points if a quantity is unknown throughout.
    pub fn thinned(self) -> Self {
        Self {
            power_w: self.power_w.thinned(),
            temperature_c: self.temperature_c.thinned(),
            sm_clock_mhz: self.sm_clock_mhz.thinned(),
            ..self
        }
    }
}

impl Course {
    /// Returns every sample of a quantity; NaN where it is unknown.
    fn of(series: &DeviceSeries, zero_sec: f64, of: fn(&SeriesPoint) -> Option<f64>) -> Self {
        let known = || series.points.iter().filter_map(of).filter(|value| value.is_finite());
        let at = |point: &SeriesPoint| (point.at_monotonic_sec - zero_sec, of(point).unwrap_or(f64::NAN));
        Self {
            points: series.points.iter().map(at).collect(),
            extremes: known().reduce(f64::min).zip(known().reduce(f64::max)),
        }
    }

    fn thinned(self) -> Self {
        match self.extremes {
            Some(_) => Self {
                points: thin(&self.points, COLUMNS),
                ..self
            },
            None => Self::default(),
        }
    }
}

fn name(series: &DeviceSeries) -> String {
    match (series.gpu, series.zone.as_deref()) {
        (Some(index), _) => format!("GPU {index}"),
        (None, Some(ESTIMATE)) => "CPU (estimate)".to_owned(),
        (None, Some(zone)) => format!("CPU {zone}"),
        (None, None) => "CPU".to_owned(),
    }
}

/// Returns the intervals in which the GPU was throttled, with the reasons.
fn marks(series: &DeviceSeries, zero_sec: f64, since_sec: f64) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut since = since_sec;
    // The reasons seldom change, so the label is made only when they do.
    let (mut label, mut reasons_before): (String, &[String]) = (String::new(), &[]);
    for point in &series.points {
        let (from_sec, to_sec) = (since - zero_sec, point.at_monotonic_sec - zero_sec);
        since = point.at_monotonic_sec;
        if !point.throttle_reasons.iter().any(|reason| is_slowing(reason)) {
            continue;
        }
        if reasons_before != point.throttle_reasons {
            label = label_of(series, &point.throttle_reasons);
            reasons_before = &point.throttle_reasons;
        }
        let label = label.clone();
        add(
            &mut marks,
            Mark {
                from_sec,
                to_sec,
                label,
            },
        );
    }
    marks
}

/// Adds a later mark, or extends the last one if it has the same label and reaches the new one.
pub fn add(marks: &mut Vec<Mark>, mark: Mark) {
    match marks.last_mut() {
        Some(last) if last.label == mark.label && last.to_sec >= mark.from_sec => last.to_sec = mark.to_sec,
        _ => marks.push(mark),
    }
}

fn is_slowing(reason: &str) -> bool {
    HEAT_OR_POWER.contains(&reason)
}

fn label_of(series: &DeviceSeries, reasons: &[String]) -> String {
    let slowing: Vec<&str> = reasons
        .iter()
        .map(String::as_str)
        .filter(|reason| is_slowing(reason))
        .collect();
    format!("{}: throttled ({})", name(series), slowing.join(", ").replace('_', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(f64, &[&str])]) -> DeviceSeries {
        let point = |(at_monotonic_sec, reasons): &(f64, &[&str])| SeriesPoint {
            at_monotonic_sec: *at_monotonic_sec,
            power_w: Some(*at_monotonic_sec),
            throttle_reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
            ..SeriesPoint::default()
        };
        DeviceSeries {
            gpu: Some(3),
            gpu_uuid: None,
            zone: None,
            zone_path: None,
            points: points.iter().map(point).collect(),
        }
    }

    #[test]
    fn consecutive_throttled_samples_are_merged_and_idleness_does_not_count() {
        let found = marks(
            &series(&[
                (10.5, &["gpu_idle"]),
                (11.0, &["sw_power_cap"]),
                (12.0, &["sw_power_cap", "gpu_idle"]),
                (13.0, &[]),
                (14.0, &["hw_thermal_slowdown"]),
            ]),
            10.0,
            10.0,
        );
        let spans: Vec<_> = found.iter().map(|mark| (mark.from_sec, mark.to_sec)).collect();
        assert_eq!(spans, [(0.5, 2.0), (3.0, 4.0)]);
        assert!(
            found[0].label.contains("GPU 3") && found[0].label.contains("sw power cap"),
            "{}",
            found[0].label
        );
    }

    #[test]
    fn a_long_series_is_thinned_and_keeps_its_extremes() {
        let all: Vec<(f64, &[&str])> = (0..36_000).map(|step| (f64::from(step), &[][..])).collect();
        let found = DeviceLines::of(&series(&all), 0.0).power_w;
        assert!(found.points.len() <= 5 * COLUMNS, "{}", found.points.len());
        assert_eq!(found.extremes, Some((0.0, 35_999.0)));
        let highest = found.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        assert_eq!(highest, 35_999.0);
    }

    #[test]
    fn an_unknown_quantity_has_no_points() {
        let found = DeviceLines::of(&series(&[(1.0, &[])]), 0.0).temperature_c;
        assert!(found.points.is_empty() && found.extremes.is_none());
    }
}
