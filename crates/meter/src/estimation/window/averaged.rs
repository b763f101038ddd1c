//! What a power that the sensor itself averages tells of energy at a moment. Pure.
//!
//! A running average over A shows A·P̄(t) = E(t) − E(t − A). Its integral is E smoothed over A, which differs from E by
//! where power changed within half an average. Power's change at a moment is that of one average before and what the
//! average bent in between: so all changes of one phase are known but for one number, and that is told by the load being
//! smooth or steady in most of them.

use std::collections::BTreeMap;

use crate::estimation::series::PowerCurve;

/// Phases of an average that are looked at one by one.
const CELLS: i32 = 20;

/// So many averages on either side of an edge tell of the change of power there.
const AVERAGES_AROUND: i32 = 6;

/// The 95 % half-width in units of the jackknife's deviation: what leaving out one estimate after the other changes.
const JACKKNIFE_95: f64 = 1.85;

/// Energy between two moments, with its half-width.
#[derive(Clone, Copy, Debug)]
pub struct Energy {
    pub total_j: f64,
    pub half_width_j: f64,
}

/// Energy at a moment, against the same zero for every moment of one curve.
struct Level {
    total_j: f64,
    /// What leaving out each estimate would change. An estimate is made of a stretch of the curve as long as an average;
    /// its number counts from the curve's zero.
    without_j: BTreeMap<i32, f64>,
}

pub struct Averaged<'a> {
    pub curve: &'a PowerCurve,
    pub averaging_sec: f64,
}

impl Averaged<'_> {
    /// What misleads both ends of a short span misleads them alike, and is in their difference no more.
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

    /// The change of power in W around `at` as each moment some whole averages away tells it, if the load was smooth
    /// there.
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

    /// By how much power changed more at `at` than one average before.
    fn bend_w(&self, at: f64, cell_sec: f64) -> f64 {
        let [before, now, after] = [-1.0, 0.0, 1.0].map(|cell| self.shown_w(at + cell * cell_sec, cell_sec));
        self.averaging_sec * (after - 2.0 * now + before) / cell_sec
    }

    /// The change of power around `at` where the load is smooth: what the average shows half its length later.
    fn smooth_w(&self, at: f64, cell_sec: f64) -> f64 {
        let shown = at + self.averaging_sec / 2.0;
        self.shown_w(shown + cell_sec / 2.0, cell_sec) - self.shown_w(shown - cell_sec / 2.0, cell_sec)
    }

    /// The average's mean over a cell: single values show the sensor's noise.
    fn shown_w(&self, at: f64, cell_sec: f64) -> f64 {
        (self.curve.total(at + cell_sec / 2.0) - self.curve.total(at - cell_sec / 2.0)) / cell_sec
    }
}

/// The median; 0 of nothing.
fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}
