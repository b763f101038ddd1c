//! Estimates the errors of a curve through refreshes: changes of power between two points, uncertain times of
//! refreshes, and noise.
//!
//! Owns the size of each error. Leaves their combination to `window`.

use std::collections::BTreeMap;

use super::power_curve::{Point, PowerCurve};
use super::refresh_period::{MAX_REFRESH_SEC, USABLE};

/// Maximum noise of a sensor in W. Values that scatter more show the load.
const MAX_NOISE_W: f64 = 0.5;

/// Maximum difference of two values of a constant load, in standard deviations of the noise.
const MAX_NOISE_DEVIATIONS: f64 = 4.0;

/// Refreshes within which power goes back after a burst or a dip.
const BURST_REFRESHES: f64 = 1.5;

/// A change of power between two points that the changes next to it do not explain. It was a step at an unknown moment
/// between the two points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jump {
    /// Size of the change in W.
    pub watts: f64,
    /// Time between the two points in seconds.
    pub sec: f64,
    /// Whether power went back within [`BURST_REFRESHES`], before or after the step. The burst may have been much
    /// shorter than the points show.
    pub is_lone: bool,
}

/// The errors of a power curve.
pub struct PowerCurveErrors<'a> {
    curve: &'a PowerCurve,
    /// Longest refresh period of the sensor, in seconds.
    refresh_sec: f64,
    /// Standard deviation of the values' noise in W.
    noise_w: f64,
}

impl<'a> PowerCurveErrors<'a> {
    /// Examines the curve of a sensor that refreshes at least every `refresh_sec`; 0 for a value that is always fresh.
    pub fn of(curve: &'a PowerCurve, refresh_sec: f64) -> Self {
        Self {
            curve,
            refresh_sec,
            noise_w: noise_w(curve.points()),
        }
    }

    /// Returns the standard deviation of the values' noise in W.
    pub fn noise_w(&self) -> f64 {
        self.noise_w
    }

    /// Returns every change between `start` and `end`, in seconds from the span's start, that neither the changes next
    /// to it nor the noise explain.
    pub fn jumps(&self, start: f64, end: f64) -> impl Iterator<Item = Jump> {
        let points = self.curve.points();
        let first = points.partition_point(|point| point.at() <= start).saturating_sub(1);
        let last = points.partition_point(|point| point.at() < end);
        (first..last.min(points.len().saturating_sub(1))).filter_map(|index| self.jump(index))
    }

    /// Returns the jump between point number `index` and the next; `None` when the noise explains the change.
    fn jump(&self, index: usize) -> Option<Jump> {
        let points = self.curve.points();
        let (from, to) = (points[index], points[index + 1]);
        let own_w = to.power_w - from.power_w;
        let watts = self.unexplained_w(index);
        (watts.abs() > MAX_NOISE_DEVIATIONS * self.noise_w).then(|| Jump {
            watts: watts.abs(),
            sec: to.at() - from.at(),
            is_lone: self.is_lone(index, own_w),
        })
    }

    /// Returns the part in W of a step that the steps on either side do not explain.
    fn unexplained_w(&self, index: usize) -> f64 {
        let points = self.curve.points();
        let (from, to) = (points[index], points[index + 1]);
        let sec = to.at() - from.at();
        let own_w = to.power_w - from.power_w;
        // A value that lasted longer than any refresh period is a level of the load: its step explains nothing.
        let explained_by = |beside: Option<(Point, Point)>| {
            let (one, other) = beside.filter(|(one, other)| other.at() - one.at() <= MAX_REFRESH_SEC)?;
            Some((other.power_w - one.power_w) / (other.at() - one.at()) * sec)
        };
        let before = index.checked_sub(1).map(|before| (points[before], from));
        let after = points.get(index + 2).map(|after| (to, *after));
        let (before_w, after_w) = (explained_by(before).unwrap_or(0.0), explained_by(after).unwrap_or(0.0));
        let beyond_both_w = own_w - own_w.clamp(before_w.min(after_w), before_w.max(after_w));
        let beyond_mean_w = own_w - (before_w + after_w) / 2.0;
        if beyond_both_w.abs() < beyond_mean_w.abs() {
            beyond_both_w
        } else {
            beyond_mean_w
        }
    }

    /// Returns whether power went back soon, before or after the step of `own_w` at point `index`.
    fn is_lone(&self, index: usize, own_w: f64) -> bool {
        let points = self.curve.points();
        let (from, to) = (points[index], points[index + 1]);
        let soon_sec = BURST_REFRESHES * self.refresh_sec.max(to.at() - from.at());
        let is_back = |pair: &[Point]| (pair[1].power_w - pair[0].power_w) * own_w.signum() < -own_w.abs() / 2.0;
        let after = points[index + 1..]
            .windows(2)
            .take_while(|pair| pair[1].at() - to.at() <= soon_sec);
        let before = points[..=index]
            .windows(2)
            .rev()
            .take_while(|pair| from.at() - pair[0].at() <= soon_sec);
        after.chain(before).any(is_back)
    }

    /// Returns the half-widths in J of the errors from the uncertain times of refreshes.
    ///
    /// Refreshes placed by one anchor are off in the same direction: what a rise gains a fall loses. Unsharp ones may
    /// be off in the same direction as long as power changes in one direction. The others are independent.
    pub fn displaced_j(&self, start: f64, end: f64) -> Vec<f64> {
        let points = self.curve.points();
        let first = points.partition_point(|point| point.at() <= start).saturating_sub(1);
        let last = points.partition_point(|point| point.at() < end).min(points.len() - 1);
        let (mut by_anchor, mut alone) = (BTreeMap::<usize, f64>::new(), Vec::new());
        let mut in_step = 0.0f64;
        for index in first..=last {
            let point = points[index];
            let (before, after) = (points[index.max(first + 1) - 1], points[last.min(index + 1)]);
            let moved_j = (after.power_w - before.power_w) * point.place.half / 2.0;
            if let Some(anchor) = point.place.anchor {
                *by_anchor.entry(anchor).or_default() += moved_j;
            } else if point.place.half > USABLE * self.refresh_sec {
                // Readings may have come at nearly the same phase of several refreshes.
                if in_step * moved_j < 0.0 {
                    alone.push(std::mem::take(&mut in_step).abs());
                }
                in_step += moved_j;
            } else {
                alone.push(moved_j.abs());
            }
        }
        alone.push(in_step.abs());
        alone.extend(by_anchor.into_values().map(f64::abs));
        alone
    }
}

/// Returns the standard deviation of the values' noise in W, computed from the smallest fourth differences, so that
/// rare changes of the load do not count.
fn noise_w(points: &[Point]) -> f64 {
    // Mean of the smallest two fifths of a normal variable's absolute values, in standard deviations.
    const MEAN_OF_THE_SMALLEST: f64 = 0.2563;
    // Sum of the squares of the weights 1, −4, 6, −4, 1.
    const VARIANCE_OF_A_DIFFERENCE: f64 = 70.0;
    let mut differences: Vec<f64> = points
        .windows(5)
        .map(|five| {
            let outer_w = five[0].power_w + five[4].power_w;
            (outer_w - 4.0 * (five[1].power_w + five[3].power_w) + 6.0 * five[2].power_w).abs()
        })
        .collect();
    if differences.is_empty() {
        return 0.0;
    }
    differences.sort_by(f64::total_cmp);
    let smallest = &differences[..(differences.len() * 2).div_ceil(5)];
    let mean_w = smallest.iter().sum::<f64>() / smallest.len() as f64;
    (mean_w / (MEAN_OF_THE_SMALLEST * VARIANCE_OF_A_DIFFERENCE.sqrt())).min(MAX_NOISE_W)
}

#[cfg(test)]
mod tests {
    use super::super::power_curve::Place;
    use super::*;

    /// Returns the errors of power that rises from 100 W by 10 W at each refresh of 20 ms, five times, and falls back.
    /// The time of each refresh is off by `half`.
    fn up_and_down(half: f64, anchor: Option<usize>) -> Vec<f64> {
        let values = (0..=10u32).map(|refresh| {
            let at = f64::from(refresh) * 0.02;
            let power_w = 150.0 - 10.0 * (f64::from(refresh) - 5.0).abs();
            (Place { at, half, anchor }, power_w)
        });
        let curve = PowerCurve::through(values);
        let mut displaced_j = PowerCurveErrors::of(&curve, 0.02).displaced_j(0.0, 0.2);
        displaced_j.sort_by(f64::total_cmp);
        displaced_j
    }

    #[test]
    fn places_by_one_anchor_lose_in_the_fall_what_they_gained_in_the_rise() {
        let displaced_j: f64 = up_and_down(0.002, Some(7)).iter().sum();
        assert!(displaced_j < 1e-9, "{displaced_j}");
    }

    #[test]
    fn sharp_places_have_independent_errors() {
        let displaced_j = up_and_down(0.002, None);
        let inner = displaced_j.iter().filter(|moved_j| (**moved_j - 0.02).abs() < 1e-9);
        assert_eq!(inner.count(), 8, "10 W on either side, 2 ms: {displaced_j:?}");
        assert!(displaced_j.iter().all(|moved_j| *moved_j < 0.021));
    }

    #[test]
    fn unsharp_places_may_be_off_the_same_way_as_long_as_power_goes_one_way() {
        let displaced_j = up_and_down(0.009, None);
        let [.., fall_j, rise_j] = displaced_j.as_slice() else {
            panic!("a rise and a fall: {displaced_j:?}");
        };
        assert!(
            (fall_j - 0.405).abs() < 0.06 && (rise_j - 0.405).abs() < 0.06,
            "{displaced_j:?}"
        );
    }
}
