//! Computes the energy at a moment from power that the sensor itself averages. Pure.
//!
//! A running average over a time A shows A·P̄(t) = E(t) − E(t − A). Its integral is E smoothed over A, which differs
//! from E where power changed within half an average. The change of power at a moment equals the change one average
//! before plus the bend of the average in between. All changes of one phase are thus known up to one number. Its
//! estimate is a median over moments at most of which the load was smooth or constant.

use std::collections::BTreeMap;

use crate::estimation::series::PowerCurve;

/// Number of phases of an average that are examined separately.
const CELLS: i32 = 20;

/// Number of averages on either side of an edge from which the change of power there is estimated.
const AVERAGES_AROUND: i32 = 6;

/// The 95 % half-width in units of the jackknife's deviation, which is computed from leaving out each estimate in turn.
const JACKKNIFE_95: f64 = 1.85;

/// Energy between two moments in J, with its half-width.
#[derive(Clone, Copy, Debug)]
pub struct Energy {
    pub total_j: f64,
    pub half_width_j: f64,
}

/// Energy at a moment in J. All moments of one curve have the same zero.
struct Level {
    total_j: f64,
    /// Change of the energy when one estimate is left out, by the number of the estimate. An estimate uses an interval
    /// of the curve as long as an average; numbers count from the curve's zero.
    without_j: BTreeMap<i32, f64>,
}

/// The curve of a power that its sensor averages.
pub struct Averaged<'a> {
    /// Averaged power over time.
    pub curve: &'a PowerCurve,
    /// Length of the average in seconds.
    pub averaging_sec: f64,
}

impl Averaged<'_> {
    /// Returns the energy between two moments. An error that both ends of a short span share cancels in the difference.
    pub fn between(&self, start: f64, end: f64) -> Energy {
        let [from, mut to] = [start, end].map(|at| self.level(at));
        for (estimate, change_j) in from.without_j {
            *to.without_j.entry(estimate).or_default() -= change_j;
        }
        let half2: f64 = to.without_j.values().map(|change_j| change_j * change_j).sum();
        Energy {
            total_j: to.total_j - from.total_j,
            half_width_j: JACKKNIFE_95 * half2.sqrt(),
        }
    }

    /// Returns the energy at a moment.
    fn level(&self, at: f64) -> Level {
        let sec = self.averaging_sec;
        let cell_sec = sec / f64::from(CELLS);
        let here = (at / sec).round() as i32;
        let (mut bent_j, mut without_j) = (0.0, BTreeMap::new());
        for cell in -CELLS / 2 + 1..CELLS / 2 {
            let off = f64::from(cell) * cell_sec;
            let weight = (sec / 2.0 - off.abs()).powi(2) / (2.0 * sec);
            let estimates = self.estimates(at + off, cell_sec);
            let change_w = middle(estimates.iter().map(|(_, change_w)| *change_w));
            bent_j -= weight * change_w;
            for (averages, _) in &estimates {
                let others = estimates.iter().filter(|(other, _)| other != averages);
                let other_w = if estimates.len() > 1 {
                    middle(others.map(|(_, change_w)| *change_w))
                } else {
                    0.0
                };
                *without_j.entry(here + averages).or_default() += weight * (other_w - change_w);
            }
        }
        Level {
            total_j: self.curve.total(at + sec / 2.0) + bent_j,
            without_j,
        }
    }

    /// Returns estimates of the change of power in W around `at`. Each comes from a moment that is a whole number of
    /// averages away, and holds if the load was smooth there.
    fn estimates(&self, at: f64, cell_sec: f64) -> Vec<(i32, f64)> {
        let sec = self.averaging_sec;
        let shown =
            |moment: f64| moment - 1.5 * cell_sec >= self.curve.start() && moment + 1.5 * cell_sec <= self.curve.end();
        let mut estimates = Vec::new();
        for step in [1, -1] {
            let mut since_w = 0.0;
            for averages in 0..=AVERAGES_AROUND {
                let moment = at + f64::from(step * averages) * sec;
                if averages > 0 {
                    let bend_at = if step > 0 { moment } else { moment + sec };
                    if !shown(bend_at) {
                        break;
                    }
                    since_w += f64::from(step) * self.bend_w(bend_at, cell_sec);
                }
                if (averages > 0 || step > 0) && shown(moment + sec / 2.0) {
                    estimates.push((step * averages, self.smooth_w(moment, cell_sec) - since_w));
                }
            }
        }
        estimates
    }

    /// Returns the difference in W between the change of power at `at` and the change one average before.
    fn bend_w(&self, at: f64, cell_sec: f64) -> f64 {
        let [before, now, after] = [-1.0, 0.0, 1.0].map(|cell| self.shown_w(at + cell * cell_sec, cell_sec));
        self.averaging_sec * (after - 2.0 * now + before) / cell_sec
    }

    /// Returns the change of power in W around `at` when the load is smooth: the change that the average shows half its
    /// length later.
    fn smooth_w(&self, at: f64, cell_sec: f64) -> f64 {
        let shown = at + self.averaging_sec / 2.0;
        self.shown_w(shown + cell_sec / 2.0, cell_sec) - self.shown_w(shown - cell_sec / 2.0, cell_sec)
    }

    /// Returns the mean of the averaged power over a cell in W. Single values are noisy.
    fn shown_w(&self, at: f64, cell_sec: f64) -> f64 {
        (self.curve.total(at + cell_sec / 2.0) - self.curve.total(at - cell_sec / 2.0)) / cell_sec
    }
}

/// Returns the median; 0 when there is no value.
fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}
