//! The section on power over time.

use askama::Template;
use joulemark_charts::{Band, Line, Mark, Panel, Svg, Timeline, timeline};

use super::bands::bands;
use super::raw::Raw;
use crate::http::device_lines::{Course, DeviceLines, Series};
use crate::number;
use joulemark_experiment::report::{GpuClocks, GpuPowerLimit, ReadingRange, Report};

/// Power, temperature and clocks of the devices over time.
#[derive(Template)]
#[template(path = "experiment/power.html")]
pub struct Power {
    chart: Option<Svg>,
    /// Why there is no chart; `None` when there is one.
    why_none: Option<String>,
    devices: Vec<DeviceRow>,
    settings: Vec<Setting>,
    is_live: bool,
}

/// Ranges of a device's readings.
struct DeviceRow {
    name: String,
    power: String,
    temperature: String,
    clock: String,
    lowered: String,
}

/// Requested and actual power limit and clock of a GPU.
struct Setting {
    gpu: String,
    asked: String,
    limit: String,
    clock: String,
}

impl Power {
    /// Creates the section from the samples, and from the result if there is one.
    pub fn new(series: Result<&Series, &String>, results: Option<(&Report, &Raw)>) -> Self {
        let settings = results.map_or_else(Vec::new, |(report, _)| settings(report));
        let empty = Self {
            chart: None,
            why_none: None,
            devices: Vec::new(),
            settings,
            is_live: false,
        };
        match series {
            Err(why) => Self {
                why_none: Some(why.clone()),
                ..empty
            },
            Ok(series) => Self {
                chart: Some(chart(series, results)),
                devices: series.lines.iter().map(DeviceRow::of).collect(),
                is_live: results.is_none(),
                ..empty
            },
        }
    }
}

impl DeviceRow {
    fn of(device: &DeviceLines) -> Self {
        let range = |course: &Course, unit: &str| {
            course.extremes.map_or_else(
                || number::UNKNOWN.to_owned(),
                |(low, high)| format!("{} to {} {unit}", number::plain(low), number::plain(high)),
            )
        };
        let lowered_sec: f64 = device.marks.iter().map(|mark| mark.to_sec - mark.from_sec).sum();
        Self {
            name: device.name.clone(),
            power: range(&device.power_w, "W"),
            temperature: range(&device.temperature_c, "°C"),
            clock: range(&device.sm_clock_mhz, "MHz"),
            lowered: match lowered_sec > 0.0 {
                true => number::duration(lowered_sec),
                false => "–".to_owned(),
            },
        }
    }
}

fn chart(series: &Series, results: Option<(&Report, &Raw)>) -> Svg {
    let length_sec = series.window.duration_sec();
    let shown: Vec<Band> = results.map_or_else(Vec::new, |(report, raw)| {
        bands(report, raw, series.window.start_monotonic_sec, length_sec)
    });
    let marks: Vec<Mark> = series.lines.iter().flat_map(|device| device.marks.clone()).collect();
    let panel = |label: &str, unit: &str, of: fn(&DeviceLines) -> &Course| {
        let lines = series.lines.iter().filter(|device| !of(device).points.is_empty());
        let lines: Vec<Line> = lines
            .map(|device| Line {
                name: device.name.clone(),
                points: of(device).points.clone(),
            })
            .collect();
        (!lines.is_empty()).then(|| Panel {
            label: label.to_owned(),
            unit: unit.to_owned(),
            lines,
        })
    };
    let panels = [
        panel("Power", "W", |device| &device.power_w),
        panel("Temperature", "°C", |device| &device.temperature_c),
        panel("SM clock", "MHz", |device| &device.sm_clock_mhz),
    ];
    let lowered = match marks.is_empty() {
        true => "",
        false => " The bars below show when GPUs were throttled by heat or power.",
    };
    timeline(&Timeline {
        title: "Power over time".to_owned(),
        description: format!(
            "Power, and where known temperature and clock, of {} devices over {} from the start of the experiment.{lowered}",
            series.lines.len(),
            number::duration(length_sec),
        ),
        from_sec: 0.0,
        to_sec: length_sec,
        bands: shown,
        panels: panels.into_iter().flatten().collect(),
        marks,
    })
}

fn settings(report: &Report) -> Vec<Setting> {
    let clocks_of = |gpu: &str| report.clocks.iter().find(|clocks| clocks.gpu == gpu);
    let of = |limit: &GpuPowerLimit| {
        let clocks = clocks_of(&limit.gpu);
        Setting {
            gpu: limit.gpu.clone(),
            asked: asked(limit, clocks),
            limit: range(limit.in_force_w, "W"),
            clock: range(clocks.and_then(|clocks| clocks.sm_clock_mhz), "MHz"),
        }
    };
    report.power_limits.iter().map(of).collect()
}

fn asked(limit: &GpuPowerLimit, clocks: Option<&GpuClocks>) -> String {
    let asked = [
        limit.asked_w.map(|watts| format!("{} W", number::plain(watts))),
        clocks.and_then(|clocks| Some(format!("SM clock {} MHz", clocks.asked_gpu_clock_mhz?))),
        clocks.and_then(|clocks| Some(format!("memory clock {} MHz", clocks.asked_memory_clock_mhz?))),
    ];
    let asked: Vec<String> = asked.into_iter().flatten().collect();
    match asked.is_empty() {
        true => "unchanged".to_owned(),
        false => asked.join(", "),
    }
}

fn range(range: Option<ReadingRange>, unit: &str) -> String {
    range.map_or_else(
        || number::UNKNOWN.to_owned(),
        |range| match range.min == range.max {
            true => format!("{} {unit}", number::plain(range.median)),
            false => format!(
                "{} {unit} ({} to {})",
                number::plain(range.median),
                number::plain(range.min),
                number::plain(range.max)
            ),
        },
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use joulemark_measurement::{DeviceSeries, SeriesPoint, Window};

    use super::*;

    /// Size limit of the whole page, compressed.
    const VIEW_BYTES: usize = 150_000;
    const SAMPLES: u32 = 36_000;

    /// Returns an hour of samples at 10 Hz, with a power that never repeats.
    fn board(index: u32) -> DeviceSeries {
        let noise =
            |step: u32| f64::from(step.wrapping_mul(2_654_435_761).wrapping_add(index) >> 8) / f64::from(u32::MAX >> 8);
        let point = |step: u32| SeriesPoint {
            at_monotonic_sec: f64::from(step) / 10.0,
            power_w: Some(300.0 + 200.0 * noise(step)),
            temperature_c: Some(60.0 + (10.0 * noise(step / 50)).round()),
            sm_clock_mhz: Some(1200.0 + 15.0 * (10.0 * noise(step / 7)).round()),
            ..SeriesPoint::default()
        };
        DeviceSeries {
            gpu: Some(index),
            gpu_uuid: None,
            zone: None,
            zone_path: None,
            points: (1..=SAMPLES).map(point).collect(),
        }
    }

    #[test]
    fn an_hour_of_eight_gpus_uses_at_most_two_thirds_of_the_page() {
        let window = Window {
            start_monotonic_sec: 0.0,
            end_monotonic_sec: f64::from(SAMPLES) / 10.0,
        };
        let lines = (0..8).map(|index| DeviceLines::of(&board(index), 0.0)).collect();
        let drawn = Power::new(Ok(&Series { window, lines }), None)
            .render()
            .expect("a section");
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(drawn.as_bytes()).unwrap();
        let bytes = packed.finish().unwrap().len();
        assert!(bytes < VIEW_BYTES * 2 / 3, "{bytes} of {} compressed", drawn.len());
    }
}
