//! The power of compared results over time.

use std::pin::pin;

use futures::TryStreamExt as _;
use joulemark_charts::{Line, Panel, Svg, Timeline, timeline};

use super::super::zones::is_package;
use super::sources::Shown;
use crate::http::access::Caller;
use crate::http::device_lines::ESTIMATE;
use crate::http::experiments::timeseries::{Found, devices, find, resampled};
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;
use joulemark_measurement::{DeviceSeries, Window};

/// Maximum number of lines in the chart.
const MAX_LINES: usize = 8;
/// Number of steps of a line, about one for each pixel.
const STEPS: f64 = 800.0;
/// Part of the chart before the start of the measurement, relative to the part after it.
const LEAD_SHARE: f64 = 0.1;
/// Difference in seconds below which two times are equal.
const SAME_SEC: f64 = 1e-6;

/// Power of the results over time since the start of their measurements.
#[derive(Default)]
pub struct Power {
    pub chart: Option<Svg>,
    /// Letters of the results that are not drawn, with the reason.
    pub missing: Vec<(String, String)>,
}

/// Power of one result: the sum of its GPUs, and the sum of its host's CPU packages.
struct Lines {
    from_sec: f64,
    to_sec: f64,
    gpus: Vec<(f64, f64)>,
    cpus: Vec<(f64, f64)>,
    /// Whether the CPU power is estimated, since the host has no counter.
    cpus_are_estimated: bool,
}

/// Draws the power of every result whose samples are kept, each from the start of its first measured cycle.
///
/// # Errors
/// Returns a [`Problem`] when the database fails.
pub async fn power(asked_by: (&AppState, &Caller), results: &[Shown]) -> Result<Power, Problem> {
    let mut missing = Vec::new();
    let mut found: Vec<(String, Lines)> = Vec::new();
    for result in results {
        if found.len() == MAX_LINES {
            let why = format!("the chart shows at most {MAX_LINES} results");
            missing.push((result.letter.clone(), why));
            continue;
        }
        match lines(asked_by, result.experiment).await? {
            Ok(lines) => found.push((result.label(), lines)),
            Err(why) => missing.push((result.letter.clone(), why)),
        }
    }
    let chart = (!found.is_empty()).then(|| drawn(found));
    Ok(Power { chart, missing })
}

fn drawn(found: Vec<(String, Lines)>) -> Svg {
    let to_sec = found.iter().map(|(_, lines)| lines.to_sec).fold(0.0, f64::max);
    let from_sec = found.iter().map(|(_, lines)| lines.from_sec).fold(0.0, f64::min);
    let (mut gpus, mut cpus) = (Vec::new(), Vec::new());
    let is_estimate = |(_, lines): &(String, Lines)| lines.cpus_are_estimated;
    // A line has the same name in both panels, so the label of the panel marks estimates.
    let of_cpus = match (found.iter().any(is_estimate), found.iter().all(is_estimate)) {
        (_, true) => "CPUs of the host (an estimate)",
        (true, false) => "CPUs of the host (in part estimates)",
        (false, false) => "CPU packages of the host",
    };
    for (name, lines) in found {
        // The position in the list gives a line its color, the same in both panels.
        gpus.push(Line {
            name: name.clone(),
            points: lines.gpus,
        });
        cpus.push(Line {
            name,
            points: lines.cpus,
        });
    }
    let panels = [("GPUs of the experiment", gpus), (of_cpus, cpus)];
    let has_points = |lines: &Vec<Line>| lines.iter().any(|line| !line.points.is_empty());
    let panels = panels.into_iter().filter(|(_, lines)| has_points(lines));
    timeline(&Timeline {
        title: "Power over time".to_owned(),
        description: "The power of each result in watts. At 0 s its first measured cycle started.".to_owned(),
        from_sec: from_sec.max(-LEAD_SHARE * to_sec),
        to_sec,
        bands: Vec::new(),
        panels: panels
            .map(|(label, lines)| Panel {
                label: label.to_owned(),
                unit: "W".to_owned(),
                lines,
            })
            .collect(),
        marks: Vec::new(),
    })
}

/// Returns the lines of an experiment, or the reason why there are none.
async fn lines((state, caller): (&AppState, &Caller), id: ExperimentId) -> Result<Result<Lines, String>, Problem> {
    const CLIENT_ERRORS: std::ops::Range<u16> = 400..500;
    let kept = match find(state, id, caller).await {
        Ok((_, Found::Kept(kept))) => kept,
        Ok((_, Found::Live(_))) => return Ok(Err("it is still running".to_owned())),
        Err(problem) if CLIENT_ERRORS.contains(&problem.status) => return Ok(Err(problem.detail)),
        Err(problem) => return Err(problem),
    };
    let (window, sample_interval_ms) = (kept.window, kept.sample_interval_ms);
    let begin_sec = {
        let mut cycles = pin!(state.resources.store.rank_cycles(id));
        cycles.try_next().await?.map(|cycle| cycle.window.start_monotonic_sec)
    };
    let Some(begin_sec) = begin_sec else {
        return Ok(Err("it has no measured cycle".to_owned()));
    };
    let step_ms = (window.duration_sec() * MILLISECONDS_PER_SECOND / STEPS).max(sample_interval_ms);
    let all = devices(state.resources.store.clone(), id, Found::Kept(kept));
    let all: Vec<DeviceSeries> = all
        .and_then(|series| resampled(series, window, Some(step_ms.ceil() as u32)))
        .try_collect()
        .await?;
    Ok(Ok(aligned(all, &window, begin_sec)))
}

fn aligned(all: Vec<DeviceSeries>, window: &Window, begin_sec: f64) -> Lines {
    let (gpus, zones): (Vec<_>, Vec<_>) = all.into_iter().partition(|series| series.gpu_uuid.is_some());
    let packages: Vec<_> = zones.into_iter().filter(is_package).collect();
    let shifted = |line: Vec<(f64, f64)>| {
        let points = line.into_iter().map(|(at, power_w)| (at - begin_sec, power_w));
        points.collect()
    };
    Lines {
        from_sec: window.start_monotonic_sec - begin_sec,
        to_sec: window.end_monotonic_sec - begin_sec,
        gpus: shifted(summed(&gpus)),
        cpus: shifted(summed(&packages)),
        cpus_are_estimated: packages.iter().any(|series| series.zone.as_deref() == Some(ESTIMATE)),
    }
}

/// Adds up the power of the devices, at the times of the first. Where a device's power is unknown, so is the sum.
fn summed(devices: &[DeviceSeries]) -> Vec<(f64, f64)> {
    let Some((first, others)) = devices.split_first() else {
        return Vec::new();
    };
    // A point has the mean power since the previous point.
    let power_at = |series: &DeviceSeries, at: f64| {
        let place = series
            .points
            .partition_point(|point| point.at_monotonic_sec < at - SAME_SEC);
        let point = series.points.get(place);
        point.and_then(|point| point.power_w).unwrap_or(f64::NAN)
    };
    let sum = |point: &joulemark_measurement::SeriesPoint| {
        let at = point.at_monotonic_sec;
        let of_others: f64 = others.iter().map(|series| power_at(series, at)).sum();
        (at, point.power_w.unwrap_or(f64::NAN) + of_others)
    };
    first.points.iter().map(sum).collect()
}

#[cfg(test)]
mod tests {
    use joulemark_measurement::SeriesPoint;

    use super::*;

    fn series(gpu: Option<&str>, zone: Option<&str>, points: &[(f64, Option<f64>)]) -> DeviceSeries {
        let point = |(at, power_w): &(f64, Option<f64>)| SeriesPoint {
            at_monotonic_sec: *at,
            power_w: *power_w,
            ..SeriesPoint::default()
        };
        DeviceSeries {
            gpu: None,
            gpu_uuid: gpu.map(str::to_owned),
            zone: zone.map(str::to_owned),
            zone_path: None,
            points: points.iter().map(point).collect(),
        }
    }

    #[test]
    fn gpus_are_summed_from_the_start_of_the_measurement_and_zones_within_packages_are_not() {
        let window = Window {
            start_monotonic_sec: 100.0,
            end_monotonic_sec: 110.0,
        };
        let all = vec![
            series(
                Some("a"),
                None,
                &[(101.0, Some(10.0)), (104.0, Some(20.0)), (110.0, Some(30.0))],
            ),
            series(Some("b"), None, &[(102.0, Some(1.0)), (104.0, Some(2.0))]),
            series(None, Some("package-0"), &[(104.0, Some(50.0))]),
            series(None, Some("core"), &[(104.0, Some(40.0))]),
        ];
        let lines = aligned(all, &window, 102.0);
        assert_eq!((lines.from_sec, lines.to_sec), (-2.0, 8.0));
        assert_eq!(lines.gpus[..2], [(-1.0, 11.0), (2.0, 22.0)]);
        assert!(lines.gpus[2].1.is_nan(), "the sum is unknown where one device is");
        assert_eq!(lines.cpus, [(2.0, 50.0)]);
    }

    #[test]
    fn without_devices_there_is_no_line() {
        assert_eq!(summed(&[]), []);
    }
}
