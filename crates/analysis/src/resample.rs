//! Resampling of a device's time series to a coarser resolution. Points are means over time, so that power times time
//! stays the energy. Pure functions.

use joulemark_measurement::{DeviceSeries, SeriesPoint, Window};

/// Averages `series` over steps of `step_sec`, counted from the window's start. A point stands for the time since the
/// previous point, the first one for the time since the window's start. The point of a step is at its end and holds the
/// mean of each known value, weighted by time, and every throttle reason in the step. Whole steps inside one sample
/// become one point, so the result has at most twice as many points as the input.
pub fn resample(series: &DeviceSeries, window: &Window, step_sec: f64) -> DeviceSeries {
    let mut steps = Steps {
        start_sec: window.start_monotonic_sec,
        step_sec,
        mean: Mean::default(),
        done: Vec::new(),
    };
    let mut from = window.start_monotonic_sec;
    for point in &series.points {
        if point.at_monotonic_sec > from {
            steps.add(point, from);
            from = point.at_monotonic_sec;
        }
    }
    steps.close(from);
    DeviceSeries {
        gpu: series.gpu,
        gpu_uuid: series.gpu_uuid.clone(),
        zone: series.zone.clone(),
        zone_path: series.zone_path.clone(),
        points: steps.done,
    }
}

/// Steps that are finished, and the mean of the current one.
struct Steps {
    start_sec: f64,
    step_sec: f64,
    mean: Mean,
    done: Vec<SeriesPoint>,
}

impl Steps {
    /// Adds the time from `from` to a point.
    fn add(&mut self, point: &SeriesPoint, from: f64) {
        let to = point.at_monotonic_sec;
        let end_of_first = self.boundary(from) + self.step_sec;
        if to < end_of_first {
            self.mean.add(point, to - from);
            return;
        }
        self.mean.add(point, end_of_first - from);
        self.close(end_of_first);
        let last = self.boundary(to).max(end_of_first);
        if last > end_of_first {
            self.mean.add(point, last - end_of_first);
            self.close(last);
        }
        self.mean.add(point, to - last);
    }

    /// Returns the start of the step that contains `at`.
    fn boundary(&self, at: f64) -> f64 {
        // A step's start, computed with rounding, must not fall into the previous step.
        const SLACK: f64 = 1e-9;
        let steps = ((at - self.start_sec) / self.step_sec + SLACK).floor();
        self.start_sec + steps * self.step_sec
    }

    /// Finishes the current step at `at`.
    fn close(&mut self, at: f64) {
        if let Some(point) = std::mem::take(&mut self.mean).at(at) {
            self.done.push(point);
        }
    }
}

/// Sums of value × time and of time, for each quantity.
#[derive(Default)]
struct Mean {
    covered_sec: f64,
    sums: [(f64, f64); 7],
    throttle_reasons: Vec<String>,
}

impl Mean {
    /// Adds `sec` seconds of a point's values.
    fn add(&mut self, point: &SeriesPoint, sec: f64) {
        if sec <= 0.0 {
            return;
        }
        self.covered_sec += sec;
        let values = [
            point.power_w,
            point.utilisation_percent,
            point.temperature_c,
            point.sm_clock_mhz,
            point.memory_clock_mhz,
            point.memory_used_bytes,
            point.power_limit_w,
        ];
        for ((sum, known_sec), value) in self.sums.iter_mut().zip(values) {
            if let Some(value) = value {
                *sum += value * sec;
                *known_sec += sec;
            }
        }
        for reason in &point.throttle_reasons {
            if !self.throttle_reasons.contains(reason) {
                self.throttle_reasons.push(reason.clone());
            }
        }
    }

    /// Returns the mean as a point; `None` where it covers no time.
    fn at(self, at_monotonic_sec: f64) -> Option<SeriesPoint> {
        if self.covered_sec <= 0.0 {
            return None;
        }
        let [
            power_w,
            utilisation_percent,
            temperature_c,
            sm_clock_mhz,
            memory_clock_mhz,
            memory_used_bytes,
            limit,
        ] = self.sums.map(|(sum, sec)| (sec > 0.0).then(|| sum / sec));
        Some(SeriesPoint {
            at_monotonic_sec,
            power_w,
            utilisation_percent,
            temperature_c,
            sm_clock_mhz,
            memory_clock_mhz,
            memory_used_bytes,
            power_limit_w: limit,
            throttle_reasons: self.throttle_reasons,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Window = Window {
        start_monotonic_sec: 100.0,
        end_monotonic_sec: 200.0,
    };

    fn series(points: &[(f64, Option<f64>)]) -> DeviceSeries {
        let point = |&(at_monotonic_sec, power_w): &(f64, Option<f64>)| SeriesPoint {
            at_monotonic_sec,
            power_w,
            ..SeriesPoint::default()
        };
        DeviceSeries {
            gpu: Some(2),
            gpu_uuid: Some("GPU-a".to_owned()),
            zone: None,
            zone_path: None,
            points: points.iter().map(point).collect(),
        }
    }

    fn resampled(points: &[(f64, Option<f64>)], step_sec: f64) -> Vec<(f64, Option<f64>)> {
        let coarse = resample(&series(points), &WINDOW, step_sec);
        assert_eq!((coarse.gpu, coarse.gpu_uuid.as_deref()), (Some(2), Some("GPU-a")));
        coarse
            .points
            .iter()
            .map(|point| (point.at_monotonic_sec, point.power_w))
            .collect()
    }

    #[test]
    fn a_step_is_the_mean_over_its_time_and_stands_at_its_end() {
        let points = [
            (100.5, Some(100.0)),
            (101.0, Some(300.0)),
            (101.75, Some(10.0)),
            (102.0, Some(50.0)),
        ];
        assert_eq!(resampled(&points, 1.0), [(101.0, Some(200.0)), (102.0, Some(20.0))]);
    }

    #[test]
    fn a_point_that_crosses_a_boundary_counts_on_both_sides() {
        let points = [(100.75, Some(0.0)), (101.25, Some(80.0)), (101.5, Some(20.0))];
        assert_eq!(resampled(&points, 1.0), [(101.0, Some(20.0)), (101.5, Some(50.0))]);
    }

    #[test]
    fn steps_finer_than_the_samples_invent_nothing() {
        let points = [(101.0, Some(5.0)), (104.0, Some(7.0))];
        assert_eq!(
            resampled(&points, 0.25),
            [
                (100.25, Some(5.0)),
                (101.0, Some(5.0)),
                (101.25, Some(7.0)),
                (104.0, Some(7.0))
            ]
        );
    }

    #[test]
    fn unknown_parts_are_left_out_and_a_step_of_them_is_unknown() {
        let points = [(100.5, None), (101.0, Some(8.0)), (102.0, None)];
        assert_eq!(resampled(&points, 1.0), [(101.0, Some(8.0)), (102.0, None)]);
        assert_eq!(resampled(&[], 1.0), []);
    }

    #[test]
    fn every_reason_that_held_in_a_step_is_named_once() {
        let mut fine = series(&[(100.25, None), (100.5, None), (100.75, None)]);
        fine.points[0].throttle_reasons = vec!["gpu_idle".to_owned()];
        fine.points[1].throttle_reasons = vec!["sw_power_cap".to_owned(), "gpu_idle".to_owned()];
        assert_eq!(
            resample(&fine, &WINDOW, 1.0).points[0].throttle_reasons,
            ["gpu_idle", "sw_power_cap"]
        );
    }

    proptest! {
        #[test]
        fn energy_and_time_are_kept_at_every_resolution(
            steps in prop::collection::vec((0.001f64..2.0, 0.0f64..500.0), 1..100),
            step_sec in 0.01f64..20.0,
        ) {
            let mut at = WINDOW.start_monotonic_sec;
            let points: Vec<_> = steps.iter().map(|(dt, watts)| { at += dt; (at, Some(*watts)) }).collect();
            let energy = |points: &[(f64, Option<f64>)]| {
                let mut from = WINDOW.start_monotonic_sec;
                points.iter().map(|(at, watts)| {
                    let joules = watts.unwrap() * (at - from);
                    from = *at;
                    joules
                }).sum::<f64>()
            };
            let coarse = resampled(&points, step_sec);
            prop_assert!(coarse.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!((coarse.last().unwrap().0 - at).abs() < 1e-6);
            let (fine_j, coarse_j) = (energy(&points), energy(&coarse));
            prop_assert!((fine_j - coarse_j).abs() < 1e-6 * (1.0 + fine_j), "{} {}", fine_j, coarse_j);
            prop_assert!(coarse.len() <= 2 * points.len() + 1);
        }
    }
}
