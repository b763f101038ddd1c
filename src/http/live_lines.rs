//! Charts of running experiments: the samples that were read before, thinned, so that a refresh reads only new samples.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use joulemark_charts::thin;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::{DeviceSeries, Window};

use super::device_lines::{COLUMNS, Course, DeviceLines, Series, add};

/// Age in seconds from which samples do not change any more. Younger ones are read again at each refresh, since the
/// meter interpolates between the samples around.
const SETTLED_SEC: f64 = 10.0;
/// Seconds before the unread samples at which a read begins, so that the first unread interval has a start.
const OVERLAP_SEC: f64 = 10.0;
/// Maximum number of settled points of a line; beyond it the line is thinned again.
const MAX_SETTLED: usize = 8 * COLUMNS;
/// Seconds after the last request at which the lines of an experiment are dropped.
const IDLE_SEC: f64 = 60.0;
/// Maximum number of experiments whose lines are in memory.
const MAX_EXPERIMENTS: usize = 32;

/// The lines of the running experiments whose pages are open.
#[derive(Clone, Debug, Default)]
pub struct LiveLines(Arc<Mutex<HashMap<ExperimentId, Arc<Mutex<Growing>>>>>);

/// The lines of one running experiment up to a time, and what is needed to extend them.
#[derive(Debug, Default)]
struct Growing {
    /// Start of the run. A later run of the same experiment begins anew.
    start_sec: f64,
    /// Time up to which the samples are in `settled`.
    settled_sec: f64,
    /// Time of the last request.
    used_sec: f64,
    settled: Vec<Settled>,
}

/// The settled samples of one device.
#[derive(Clone, Debug)]
struct Settled {
    device: Device,
    lines: DeviceLines,
    /// Time of the last sample.
    until_sec: f64,
}

/// Identity of a device: UUID of a GPU, or name and path of a zone.
type Device = (Option<String>, Option<String>, Option<String>);

impl LiveLines {
    /// Returns the lines of an experiment, and drops those that nobody has asked for lately.
    fn of(&self, id: ExperimentId, now_sec: f64) -> Arc<Mutex<Growing>> {
        let mut all = locked(&self.0);
        // Lines that are locked are in use.
        all.retain(|known, growing| {
            *known == id
                || growing
                    .try_lock()
                    .map_or(true, |growing| now_sec - growing.used_sec < IDLE_SEC)
        });
        if all.len() >= MAX_EXPERIMENTS && !all.contains_key(&id) {
            return Arc::default();
        }
        let lines = all.entry(id).or_default().clone();
        if let Ok(mut growing) = lines.try_lock() {
            growing.used_sec = now_sec;
        }
        lines
    }

    /// Reads the samples that were not read before, and returns the lines of an experiment in a window.
    pub fn extended(&self, id: ExperimentId, window: Window, read: impl Fn(&Window) -> Vec<DeviceSeries>) -> Series {
        let growing = self.of(id, window.end_monotonic_sec);
        locked(&growing).extended(window, read)
    }

    /// Drops the lines of an experiment that has ended.
    pub fn forget(&self, id: ExperimentId) {
        locked(&self.0).remove(&id);
    }
}

impl Growing {
    /// Returns an empty value for a run that began at `start_sec`.
    fn new(start_sec: f64) -> Self {
        Self {
            start_sec,
            settled_sec: start_sec,
            ..Self::default()
        }
    }

    /// Reads the samples that are not settled yet, and returns the lines of the whole window.
    fn extended(&mut self, window: Window, read: impl Fn(&Window) -> Vec<DeviceSeries>) -> Series {
        if self.start_sec != window.start_monotonic_sec {
            *self = Self::new(window.start_monotonic_sec);
        }
        let unread = Window {
            start_monotonic_sec: (self.settled_sec - OVERLAP_SEC).max(self.start_sec),
            ..window
        };
        let mut read_now = read(&unread);
        let known = self.settled.iter().map(|settled| settled.device.clone());
        if !known.eq(read_now.iter().map(device)) {
            // The earlier samples of a device that has appeared are unknown.
            *self = Self::new(window.start_monotonic_sec);
            if unread.start_monotonic_sec > self.start_sec {
                read_now = read(&window);
            }
            self.settled = read_now
                .iter()
                .map(|series| Settled::new(series, self.start_sec))
                .collect();
        }
        self.used_sec = window.end_monotonic_sec;
        let settled_before_sec = self.settled_sec;
        self.settled_sec = (window.end_monotonic_sec - SETTLED_SEC).max(settled_before_sec);
        let (start_sec, settled_sec) = (self.start_sec, self.settled_sec);
        let lines = self.settled.iter_mut().zip(read_now).map(|(settled, mut series)| {
            series
                .points
                .retain(|point| point.at_monotonic_sec > settled_before_sec);
            let count = series
                .points
                .partition_point(|point| point.at_monotonic_sec <= settled_sec);
            let young = series.points.split_off(count);
            settled.append(&series, start_sec);
            series.points = young;
            let mut shown = settled.clone();
            shown.append(&series, start_sec);
            shown.lines.thinned()
        });
        let lines = lines.collect();
        Series { window, lines }
    }
}

impl Settled {
    fn new(series: &DeviceSeries, start_sec: f64) -> Self {
        Self {
            device: device(series),
            lines: DeviceLines::default(),
            until_sec: start_sec,
        }
    }

    /// Appends later samples, and thins lines that have become too long.
    fn append(&mut self, series: &DeviceSeries, start_sec: f64) {
        let later = DeviceLines::since(series, start_sec, self.until_sec);
        let last = series.points.last().map(|point| point.at_monotonic_sec);
        self.until_sec = last.unwrap_or(self.until_sec);
        self.lines.name = later.name;
        for (line, later) in [
            (&mut self.lines.power_w, later.power_w),
            (&mut self.lines.temperature_c, later.temperature_c),
            (&mut self.lines.sm_clock_mhz, later.sm_clock_mhz),
        ] {
            append(line, later);
        }
        for mark in later.marks {
            add(&mut self.lines.marks, mark);
        }
    }
}

/// Appends later samples to a line. Thinning it again keeps its smallest and largest sample.
fn append(line: &mut Course, later: Course) {
    line.points.extend(later.points);
    if line.points.len() > MAX_SETTLED {
        line.points = thin(&line.points, COLUMNS);
    }
    line.extremes = match (line.extremes, later.extremes) {
        (Some((low, high)), Some((lower, higher))) => Some((low.min(lower), high.max(higher))),
        (one, other) => one.or(other),
    };
}

fn device(series: &DeviceSeries) -> Device {
    (series.gpu_uuid.clone(), series.zone.clone(), series.zone_path.clone())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use joulemark_measurement::SeriesPoint;

    use super::*;

    const START_SEC: f64 = 1000.0;

    /// Returns the samples of a GPU at 10 Hz within a window. Its power has one peak, which no other sample reaches.
    fn samples(window: &Window) -> Vec<DeviceSeries> {
        let first = (window.start_monotonic_sec * 10.0).floor() as u32 + 1;
        let last = (window.end_monotonic_sec * 10.0).floor() as u32;
        let point = |step: u32| SeriesPoint {
            at_monotonic_sec: f64::from(step) / 10.0,
            power_w: Some(match step {
                13_337 => 700.0,
                _ => 300.0 + f64::from(step.wrapping_mul(2_654_435_761) >> 24),
            }),
            throttle_reasons: match step % 5000 {
                0..2500 => vec!["sw_power_cap".to_owned()],
                _ => Vec::new(),
            },
            ..SeriesPoint::default()
        };
        vec![DeviceSeries {
            gpu: Some(0),
            gpu_uuid: Some("GPU-a".to_owned()),
            zone: None,
            zone_path: None,
            points: (first..=last).map(point).collect(),
        }]
    }

    fn until(sec: f64) -> Window {
        Window {
            start_monotonic_sec: START_SEC,
            end_monotonic_sec: START_SEC + sec,
        }
    }

    /// Returns the number of samples that a refresh reads after an experiment has been followed for some hours.
    fn samples_of_a_refresh(hours: u32) -> usize {
        let (mut growing, read) = (Growing::default(), Cell::new(0));
        let counted = |window: &Window| {
            let found = samples(window);
            read.set(read.get() + found[0].points.len());
            found
        };
        let end_sec = f64::from(hours) * 3600.0;
        growing.extended(until(end_sec - 5.0), counted);
        read.set(0);
        let series = growing.extended(until(end_sec), counted);
        assert!(series.lines[0].power_w.points.len() <= 5 * COLUMNS);
        assert!(growing.settled[0].lines.power_w.points.len() <= MAX_SETTLED);
        read.get()
    }

    #[test]
    fn a_refresh_reads_as_many_samples_after_ten_hours_as_after_one() {
        let after_one = samples_of_a_refresh(1);
        assert_eq!(samples_of_a_refresh(10), after_one);
        assert!(after_one <= 300, "{after_one}");
    }

    #[test]
    fn lines_that_were_extended_have_the_extremes_and_marks_of_lines_that_were_read_at_once() {
        let mut growing = Growing::default();
        let mut extended = None;
        for round in 1..=1440 {
            extended = Some(growing.extended(until(f64::from(round) * 5.0), samples));
        }
        let extended = extended.expect("lines").lines.remove(0);
        let whole = DeviceLines::of(&samples(&until(7200.0))[0], START_SEC);
        assert_eq!(extended.power_w.extremes, whole.power_w.extremes);
        assert_eq!(whole.power_w.extremes.map(|(_, highest)| highest), Some(700.0));
        let peak = |lines: &DeviceLines| lines.power_w.points.iter().find(|(_, watts)| *watts == 700.0).copied();
        assert_eq!(peak(&extended), peak(&whole));
        assert_eq!(extended.power_w.points.last(), whole.power_w.points.last());
        let spans =
            |lines: &DeviceLines| -> Vec<_> { lines.marks.iter().map(|mark| (mark.from_sec, mark.to_sec)).collect() };
        assert_eq!(spans(&extended), spans(&whole));
        assert!(extended.power_w.points.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn a_new_run_and_a_new_device_begin_anew() {
        let mut growing = Growing::default();
        growing.extended(until(100.0), samples);
        let two = |window: &Window| {
            let mut both = samples(window);
            both.push(DeviceSeries {
                gpu_uuid: Some("GPU-b".to_owned()),
                ..samples(window).remove(0)
            });
            both
        };
        let series = growing.extended(until(105.0), two);
        let first = |series: &Series| {
            series
                .lines
                .iter()
                .map(|lines| lines.power_w.points[0].0)
                .collect::<Vec<_>>()
        };
        assert_eq!(first(&series).len(), 2);
        assert!(first(&series).iter().all(|sec| *sec < 1.0), "{:?}", first(&series));
        let later = Window {
            start_monotonic_sec: START_SEC + 110.0,
            end_monotonic_sec: START_SEC + 130.0,
        };
        let series = growing.extended(later, two);
        assert!(
            first(&series).iter().all(|sec| (0.0..1.0).contains(sec)),
            "{:?}",
            first(&series)
        );
    }

    #[test]
    fn lines_that_nobody_looks_at_are_dropped() {
        let (lines, now) = (LiveLines::default(), 5000.0);
        let ids = [ExperimentId::generate(), ExperimentId::generate()];
        locked(&lines.of(ids[0], now)).used_sec = 5000.0;
        lines.of(ids[1], 5000.0 + 2.0 * IDLE_SEC);
        assert_eq!(locked(&lines.0).keys().collect::<Vec<_>>(), [&ids[1]]);
    }
}
