//! Reads of an experiment's devices over time what is drawn: lines with no more points than a drawing has columns for, and
//! when clocks were lowered. Few devices are in memory whole at a time.

use futures::{StreamExt as _, stream};
use joulemark_charts::{Mark, thin};

use super::super::zones::ESTIMATE;
use crate::http::access::Caller;
use crate::http::experiments::timeseries::{Found, find};
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::{DeviceSeries, SeriesPoint, Window};
use joulemark_store::{Store, StoreError};

/// How many devices are in memory whole.
const AT_ONCE: usize = 2;
/// More columns than a chart is wide.
const COLUMNS: usize = 800;
/// Reasons for which a board lowers its clocks that are neither a setting nor idleness.
const HEAT_OR_POWER: [&str; 5] = [
    "sw_power_cap",
    "hw_slowdown",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
];
/// Statuses of what has no series: it never had devices, or retention dropped them.
const NOTHING_THERE: [u16; 2] = [409, 410];

/// An experiment's devices over time; moments are seconds since the claim.
#[derive(Debug)]
pub struct Series {
    pub window: Window,
    pub lines: Vec<DeviceLines>,
}

/// One device over time.
#[derive(Clone, Debug, Default)]
pub struct DeviceLines {
    pub name: String,
    pub power_w: Course,
    pub temperature_c: Course,
    pub sm_clock_mhz: Course,
    pub marks: Vec<Mark>,
}

/// One quantity over time, thinned; its extremes are those of all samples.
#[derive(Clone, Debug, Default)]
pub struct Course {
    pub points: Vec<(f64, f64)>,
    pub extremes: Option<(f64, f64)>,
}

/// Reads the devices of an experiment; of one that runs here, until now. The outer error is the server's, the inner one says
/// why there is nothing to draw.
///
/// # Errors
/// Returns a [`Problem`] where the database fails.
pub async fn read(state: &AppState, id: ExperimentId, caller: &Caller) -> Result<Result<Series, String>, Problem> {
    let found = match find(state, id, caller).await {
        Ok((_, found)) => found,
        Err(problem) if NOTHING_THERE.contains(&problem.status) => return Ok(Err(problem.detail)),
        Err(problem) => return Err(problem),
    };
    let window = match &found {
        Found::Live(live) => live.window,
        Found::Kept(kept) => kept.window,
    };
    let zero_sec = window.start_monotonic_sec;
    let lines = match found {
        Found::Live(live) => live
            .devices
            .iter()
            .map(|series| DeviceLines::of(series, zero_sec))
            .collect(),
        Found::Kept(kept) => kept_lines(&state.resources.store, id, kept.devices, zero_sec).await?,
    };
    Ok(Ok(Series { window, lines }))
}

/// Reads and thins several devices at a time: hours of samples take each a while.
async fn kept_lines(store: &Store, id: ExperimentId, devices: i64, zero_sec: f64) -> Result<Vec<DeviceLines>, Problem> {
    let line = |position| {
        let store = store.clone();
        tokio::spawn(async move {
            let series = store.device_series(id, position).await?;
            Ok::<_, StoreError>(series.map(|series| DeviceLines::of(&series, zero_sec)))
        })
    };
    let mut lines = Vec::new();
    let mut items = stream::iter((0..devices).map(line)).buffered(AT_ONCE);
    while let Some(joined) = items.next().await {
        let read = joined.map_err(|error| {
            tracing::error!(%error, "a device's series cannot be read");
            Problem::internal()
        })?;
        lines.extend(read?);
    }
    Ok(lines)
}

impl DeviceLines {
    /// Returns a device's lines, whose moments are seconds since `zero_sec`.
    pub fn of(series: &DeviceSeries, zero_sec: f64) -> Self {
        let course = |of: fn(&SeriesPoint) -> Option<f64>| course(series, zero_sec, of);
        Self {
            name: name(series),
            power_w: course(|point| point.power_w),
            temperature_c: course(|point| point.temperature_c),
            sm_clock_mhz: course(|point| point.sm_clock_mhz),
            marks: marks(series, zero_sec),
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

fn course(series: &DeviceSeries, zero_sec: f64, of: fn(&SeriesPoint) -> Option<f64>) -> Course {
    let known = || series.points.iter().filter_map(of).filter(|value| value.is_finite());
    let Some(lowest) = known().reduce(f64::min) else {
        return Course::default();
    };
    let at = |point: &SeriesPoint| (point.at_monotonic_sec - zero_sec, of(point).unwrap_or(f64::NAN));
    let points: Vec<(f64, f64)> = series.points.iter().map(at).collect();
    Course {
        points: thin(&points, COLUMNS),
        extremes: known().reduce(f64::max).map(|highest| (lowest, highest)),
    }
}

/// Returns when the board lowered its clocks, and why.
fn marks(series: &DeviceSeries, zero_sec: f64) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut since = zero_sec;
    // Hours of samples have few changes: a label is written for each of those alone.
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
        match marks.last_mut() {
            Some(last) if last.label == label && last.to_sec >= from_sec => last.to_sec = to_sec,
            _ => marks.push(Mark {
                from_sec,
                to_sec,
                label: label.clone(),
            }),
        }
    }
    marks
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
    format!(
        "{}: clocks lowered ({})",
        name(series),
        slowing.join(", ").replace('_', " ")
    )
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
    fn stretches_of_lowered_clocks_are_joined_and_idleness_is_none() {
        let found = marks(
            &series(&[
                (10.5, &["gpu_idle"]),
                (11.0, &["sw_power_cap"]),
                (12.0, &["sw_power_cap", "gpu_idle"]),
                (13.0, &[]),
                (14.0, &["hw_thermal_slowdown"]),
            ]),
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
    fn a_long_course_is_thinned_and_keeps_its_extremes() {
        let all: Vec<(f64, &[&str])> = (0..36_000).map(|step| (f64::from(step), &[][..])).collect();
        let found = course(&series(&all), 0.0, |point| point.power_w);
        assert!(found.points.len() <= 5 * COLUMNS, "{}", found.points.len());
        assert_eq!(found.extremes, Some((0.0, 35_999.0)));
        let highest = found.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        assert_eq!(highest, 35_999.0);
    }

    #[test]
    fn what_a_device_does_not_tell_has_no_course() {
        let found = course(&series(&[(1.0, &[])]), 0.0, |point| point.temperature_c);
        assert!(found.points.is_empty() && found.extremes.is_none());
    }
}
