//! Polled power: its integral, and what trapezoids can have missed of it. Pure.

use std::collections::VecDeque;

use super::{Sample, Series};
use crate::clock::Monotonic;

/// What alternates from one value to the next is not resolved: each value was hit or missed by chance and its whole
/// stretch is in doubt, with the value's own variance. The least of three second differences in a row tells it from a
/// single step; for even noise its square is a third of the variance, for a lone hit of height h it is h²/4. In units
/// of a half-width squared over 4: 3.5 × 3 × 4.
const UNRESOLVED: f64 = 42.0;

/// Values that last longer than any sensor's refresh are levels of the load.
const LEVEL_SEC: f64 = 0.15;

/// The values around the last change, as many as the least of three second differences needs.
const KNOTS: usize = 5;

/// Sums over the changes so far of what trapezoids can have missed, squared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Roughness {
    /// (W·s)²: each jump times the interval it fell in. A jump is that part of a change that its neighbours do not
    /// foretell: a smooth curve has none.
    jump_j2: f64,
    /// (W·s)²: what was not resolved.
    unresolved_j2: f64,
    /// W: the jumps alone, whatever their direction.
    jumps_w: f64,
}

impl Roughness {
    /// Squared half-width in J² of what lies between `self` and `later`: each jump came somewhere within its interval,
    /// half of it times which is the most it can move.
    pub fn doubt_j2(self, later: Self) -> f64 {
        (later.jump_j2 - self.jump_j2).max(0.0) / 4.0 + self.unresolved_j2(later)
    }

    /// The part of it that is not jumps but bursts or noise between polls.
    pub fn unresolved_j2(self, later: Self) -> f64 {
        (later.unresolved_j2 - self.unresolved_j2) / 4.0
    }

    pub fn jumps_w(self, later: Self) -> f64 {
        (later.jumps_w - self.jumps_w).max(0.0)
    }

    fn add_jump(&mut self, jump_w: f64, gap_sec: f64, sign: f64) {
        self.jumps_w += sign * jump_w.abs();
        self.jump_j2 += sign * (jump_w * gap_sec).powi(2);
    }
}

/// A reading that showed another power than the one before it.
#[derive(Clone, Copy, Debug)]
pub struct Knot {
    pub at: Monotonic,
    pub power_w: f64,
    /// Since the last moment of the old value.
    pub gap_sec: f64,
}

/// The last changes of power. Jumps are judged when they come and again when the next change shows whether it was one.
#[derive(Clone, Debug, Default)]
pub struct Knots(VecDeque<Knot>);

impl Knots {
    pub fn note(&mut self, knot: Knot, roughness: &mut Roughness) {
        if self.0.back().is_some_and(|last| last.power_w == knot.power_w) {
            return;
        }
        if let Some(last) = self.0.back().copied() {
            roughness.add_jump(self.jump_w(0), last.gap_sec, -1.0);
            self.0.push_back(knot);
            roughness.add_jump(self.jump_w(1), last.gap_sec, 1.0);
        } else {
            self.0.push_back(knot);
        }
        roughness.add_jump(self.jump_w(0), knot.gap_sec, 1.0);
        if self.0.len() > KNOTS {
            self.0.pop_front();
        }
        roughness.unresolved_j2 += self.unresolved_j2();
    }

    /// The knot that is `back` changes before the last.
    fn back(&self, back: usize) -> Option<&Knot> {
        self.0.get(self.0.len().checked_sub(back + 1)?)
    }

    fn step_w(&self, back: usize) -> Option<f64> {
        Some(self.back(back)?.power_w - self.back(back + 1)?.power_w)
    }

    /// How long the value before that change lasted.
    fn stretch_sec(&self, back: usize) -> Option<f64> {
        Some(self.back(back)?.at.sec_since(self.back(back + 1)?.at))
    }

    /// The step next to another one, where the value between them was no level of its own.
    fn neighbour_w(&self, step: usize, stretch: usize) -> f64 {
        let near = self.stretch_sec(stretch).is_some_and(|sec| sec <= LEVEL_SEC);
        self.step_w(step).filter(|_| near).unwrap_or(0.0)
    }

    fn jump_w(&self, back: usize) -> f64 {
        let Some(own) = self.step_w(back) else { return 0.0 };
        let before = self.neighbour_w(back + 1, back);
        let after = if back > 0 {
            self.neighbour_w(back - 1, back - 1)
        } else {
            0.0
        };
        own - own.clamp(before.min(after), before.max(after))
    }

    fn unresolved_j2(&self) -> f64 {
        let mut least = f64::INFINITY;
        let mut longest = 0.0f64;
        for back in 0..KNOTS - 2 {
            let (Some(later), Some(earlier)) = (self.step_w(back), self.step_w(back + 1)) else {
                return 0.0;
            };
            least = least.min((earlier - later).powi(2) / 4.0);
        }
        for back in 0..KNOTS - 1 {
            longest = longest.max(self.stretch_sec(back).unwrap_or(f64::INFINITY));
        }
        let middle_sec = self.stretch_sec(1).unwrap_or(0.0);
        if longest <= LEVEL_SEC {
            UNRESOLVED * least * middle_sec * middle_sec
        } else {
            0.0
        }
    }
}

/// Which values a power sensor has shown: one that shows but two tells of the load's rhythm, not of its own.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    first: Option<f64>,
    second: Option<f64>,
    pub more: bool,
}

impl Levels {
    fn note(&mut self, power_w: f64) {
        if self.more || self.first == Some(power_w) || self.second == Some(power_w) {
            return;
        }
        if self.first.is_none() {
            self.first = Some(power_w);
        } else if self.second.is_none() {
            self.second = Some(power_w);
        } else {
            self.more = true;
        }
    }
}

impl Series {
    /// A power value; its trapezoid with the one before is added to the total. Values with the same stamp count as
    /// their mean, in whatever order they come.
    pub fn push_power(&mut self, at: Monotonic, power_w: f64, edge: bool) {
        if let Some(last) = self.samples.back().copied() {
            if at < last.at {
                return;
            }
            if at == last.at && last.epoch == self.epoch {
                let count = f64::from(self.at_last_stamp);
                let mean_w = (last.power_w.unwrap_or(power_w) * count + power_w) / (count + 1.0);
                self.samples.pop_back();
                self.append_power(at, mean_w, edge || last.edge);
                self.at_last_stamp += 1;
                return;
            }
            if last.epoch == self.epoch {
                self.levels.note(power_w);
                self.refresh.observe(at, last.power_w != Some(power_w));
            }
        }
        self.append_power(at, power_w, edge);
        self.at_last_stamp = 1;
    }

    fn append_power(&mut self, at: Monotonic, power_w: f64, edge: bool) {
        let total = match self.samples.back() {
            Some(last) => {
                let before_w = last.power_w.unwrap_or(power_w);
                last.total + (before_w + power_w) / 2.0 * at.sec_since(last.at)
            }
            None => 0.0,
        };
        let (changed_after, changed_by) = match self.samples.back().filter(|last| last.epoch == self.epoch) {
            Some(last) if last.power_w == Some(power_w) => (last.changed_after, last.changed_by),
            Some(last) => (last.at, at),
            None => (at, at),
        };
        self.push(Sample {
            at,
            total,
            power_w: Some(power_w),
            changed_after,
            changed_by,
            epoch: self.epoch,
            edge,
        });
    }
}
