//! What a power that the sensor itself averages tells of energy at a moment. Pure.
//!
//! A running average over A shows A·P̄(t) = E(t) − E(t − A). Its integral is E smoothed over A, which bends where the
//! load changes; whole averages lead from there to a moment at which it does not.

use crate::energy::series::Refreshed;

/// As far as an edge is moved, in averages: each adds its own reading's error.
const FURTHEST: i32 = 3;

/// A step of height H within half an average leaves 0 to A·H/8 between smoothed and true energy; A·H/24, the mean, is
/// taken off. Two changes of one rhythm leave up to this part of A·H.
const LEFT_OVER: f64 = 0.2;

/// The slope of an average is read over this long; closer values show the sensor's noise.
const SLOPE_SEC: f64 = 0.1;

/// A rhythm that divides the average's length does not show at all: this part of the power is granted to it.
const HIDDEN: f64 = 0.003;

/// So far beyond what an edge's average covers the load must stand still, in averages.
const AROUND: f64 = 0.5;

/// An edge is moved where that leaves this part of its doubt at most: less may be chance.
const CLEARLY: f64 = 0.2;

/// So many standard deviations of noise are not taken for a change.
const NOISE: f64 = 4.0;

/// Energy at a moment, against the same zero for every moment of one curve, with its half-width.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    pub total_j: f64,
    pub half_width_j: f64,
}

pub struct Averaged<'a> {
    pub curve: &'a Refreshed,
    pub averaging_sec: f64,
    /// How far a refresh may be from where the curve has it, in seconds.
    pub place_sec: f64,
    /// Standard deviation of the values, in watts.
    pub noise_w: f64,
}

impl Averaged<'_> {
    /// Energy at `at`: where the load changes around it, by whole averages from the nearest moment where it stands still.
    pub fn level(&self, at: f64) -> Level {
        let unmoved = self.by(at, 0);
        let within = |averages: &i32| {
            let moved = at + f64::from(*averages) * self.averaging_sec;
            moved - self.averaging_sec >= self.curve.start() && moved + 1.5 * self.averaging_sec <= self.curve.end()
        };
        let nearest_first = (1..=FURTHEST).flat_map(|averages| [-averages, averages]);
        let levels = nearest_first.filter(within).map(|averages| self.by(at, averages));
        let least = levels.min_by(|one, other| one.half_width_j.total_cmp(&other.half_width_j));
        least
            .filter(|moved| moved.half_width_j < CLEARLY * unmoved.half_width_j)
            .unwrap_or(unmoved)
    }

    fn by(&self, at: f64, averages: i32) -> Level {
        let sec = self.averaging_sec;
        let moved = self.smoothed(at + f64::from(averages) * sec);
        let (mut total_j, mut half2) = (moved.total_j, moved.half_width_j.powi(2));
        // Forward: E(at) = E(at + A) − A·P̄(at + A); back: E(at) = E(at − A) + A·P̄(at).
        let steps = if averages > 0 { 1..=averages } else { averages + 1..=0 };
        for step in steps {
            let read_at = at + f64::from(step) * sec;
            total_j -= f64::from(averages.signum()) * sec * self.curve.power_w(read_at);
            half2 += (2.0 * sec * self.noise_w).powi(2) + (sec * self.slope(read_at) * self.place_sec).powi(2);
        }
        Level {
            total_j,
            half_width_j: half2.sqrt(),
        }
    }

    fn smoothed(&self, at: f64) -> Level {
        let (sec, shown) = (self.averaging_sec, at + self.averaging_sec / 2.0);
        let swing_w = sec * self.steepest(at - AROUND * sec, at + (1.0 + AROUND) * sec);
        let bend_j = if swing_w > 0.0 {
            sec * sec / 24.0 * self.signed_slope(shown)
        } else {
            0.0
        };
        Level {
            total_j: self.curve.total(shown) - bend_j,
            half_width_j: sec * (LEFT_OVER * swing_w).hypot(HIDDEN * self.curve.power_w(shown)),
        }
    }

    /// A running average moves by (power now − power one average ago) ÷ its length: how much that slope changes at once
    /// tells how far the power steps, however short its rhythm.
    fn steepest(&self, start: f64, end: f64) -> f64 {
        let steps = ((end - start) / SLOPE_SEC).round() as u32;
        let slopes = (0..=steps).map(|step| self.bend(start + f64::from(step) * SLOPE_SEC));
        slopes.fold(0.0, f64::max)
    }

    fn bend(&self, at: f64) -> f64 {
        let bend = self.signed_slope(at + SLOPE_SEC) - self.signed_slope(at - SLOPE_SEC);
        (bend.abs() - NOISE * self.noise_w / SLOPE_SEC).max(0.0)
    }

    fn signed_slope(&self, at: f64) -> f64 {
        (self.curve.power_w(at + SLOPE_SEC) - self.curve.power_w(at - SLOPE_SEC)) / (2.0 * SLOPE_SEC)
    }

    fn slope(&self, at: f64) -> f64 {
        (self.signed_slope(at).abs() - NOISE * self.noise_w / (2.0 * SLOPE_SEC)).max(0.0)
    }
}
