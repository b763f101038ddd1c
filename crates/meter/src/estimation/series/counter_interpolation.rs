//! What a counter had reached between two of its refreshes, where only the mean power is known.
//!
//! Owns what the refreshes around tell of the power in between: even, smooth, one step, or a burst. Leaves to
//! `refresh_times` when the refreshes were.

use super::refresh_period::{MAX_REFRESH_SEC, SHARP};

/// So near to one of two refreshes, as a part of their distance, few bursts between them lie.
const BESIDE: f64 = 0.1;

/// Unseen power is no higher than this many times the highest mean power around.
const MAX_UNSEEN_RISE: f64 = 1.3;

/// The counter at one moment, with half-widths of two independent errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reached {
    pub total: f64,
    /// Because it is not known exactly when the refreshes around it were.
    pub timing: f64,
    /// Because the power between two refreshes is not known, only its mean, or one was at either of two moments: as
    /// likely off by all of it as by less.
    pub shape: f64,
}

impl Reached {
    /// A total that is not in doubt.
    pub fn exactly(total: f64) -> Self {
        Self {
            total,
            timing: 0.0,
            shape: 0.0,
        }
    }
}

/// A refresh: when, in seconds from the moment asked for, and the value it brought.
#[derive(Clone, Copy, Debug)]
pub struct Refresh {
    pub at: f64,
    /// How far off that may be.
    pub half: f64,
    pub total: f64,
    /// The number of the anchor that it was placed by, whose error it shares.
    pub anchor: Option<usize>,
    /// It was at either end of `half`, and nowhere between.
    pub is_at_an_end: bool,
    /// Its value was shown for longer than a period: the refresh after it did not come when it was due.
    pub is_late: bool,
}

impl Refresh {
    /// Returns by how much it may be off anywhere within, and by how much at either end.
    fn halves(self) -> (f64, f64) {
        if self.is_at_an_end {
            (0.0, self.half)
        } else {
            (self.half, 0.0)
        }
    }
}

/// Mean growth per second over some refreshes.
#[derive(Clone, Copy)]
pub struct Slope {
    rate: f64,
    /// How far off that may be.
    uncertainty: f64,
    /// Over how long.
    sec: f64,
}

impl Slope {
    /// Returns the slope from one refresh to a later one.
    pub fn between(from: Refresh, to: Refresh) -> Option<Self> {
        let sec = to.at - from.at;
        (sec > 0.0).then(|| {
            let rate = (to.total - from.total) / sec;
            Self {
                rate,
                uncertainty: rate.abs() * (from.half + to.half) / sec,
                sec,
            }
        })
    }

    /// Returns whether the two cannot be told apart.
    fn is_like(self, other: Self) -> bool {
        (self.rate - other.rate).abs() <= self.uncertainty + other.uncertainty
    }
}

/// What the counter did on one side of the interval asked about.
#[derive(Clone, Copy)]
pub struct Side {
    /// Next to it, over as few refreshes as make the slope sharp.
    pub near: Option<Slope>,
    /// The one beyond that.
    far: Option<Slope>,
}

impl Side {
    /// Measures both slopes from the refreshes on one side, the nearest first.
    pub fn measure(outwards: &[Refresh], slope: impl Fn(Refresh, Refresh) -> Option<Slope>) -> Self {
        let (near, reached) = Self::sharp(outwards, &slope);
        let (far, _) = Self::sharp(outwards.get(reached..).unwrap_or_default(), &slope);
        Self { near, far }
    }

    /// Returns the slope from the nearest refresh over as few as make it sharp, and over how many that is.
    fn sharp(outwards: &[Refresh], slope: impl Fn(Refresh, Refresh) -> Option<Slope>) -> (Option<Slope>, usize) {
        let Some(near) = outwards.first().copied() else {
            return (None, 0);
        };
        let (mut found, mut reached) = (None, 0);
        for (index, far) in outwards.iter().enumerate().skip(1) {
            (found, reached) = (slope(*far, near), index);
            if (far.half + near.half) <= SHARP * (far.at - near.at).abs() {
                break;
            }
        }
        (found, reached)
    }

    fn both(self) -> impl Iterator<Item = f64> {
        [self.near, self.far].into_iter().flatten().map(|slope| slope.rate)
    }

    /// Returns whether both of its slopes are the interval's own.
    fn is_level_with(self, own: Slope) -> bool {
        [self.near, self.far]
            .into_iter()
            .all(|slope| slope.is_some_and(|slope| slope.is_like(own)))
    }

    /// Returns whether the slope next to the interval goes on beyond it, evenly or smoothly, rather than being part of a burst.
    fn goes_on(self, own: Slope) -> bool {
        let (Some(near), Some(far)) = (self.near, self.far) else {
            return true;
        };
        (near.rate - far.rate).abs() <= near.uncertainty + far.uncertainty + 2.0 * (near.rate - own.rate).abs()
    }
}

/// Returns what the counter had reached past the last refresh that was seen, the first of these: the power before it goes
/// on. Of one that stands still no more is counted than it shows, and all that may have run since is left open.
pub fn beyond(outwards: &[Refresh], slope: Option<Slope>) -> Reached {
    let from = outwards[0];
    if from.is_late {
        let slopes = outwards.windows(2).filter_map(|pair| Slope::between(pair[1], pair[0]));
        let highest_w = slopes.map(|slope| slope.rate).fold(0.0, f64::max);
        return Reached {
            total: from.total,
            timing: 0.0,
            shape: MAX_UNSEEN_RISE * highest_w * (from.half - from.at),
        };
    }
    let sec = -from.at;
    let rate = slope.map_or(0.0, |slope| slope.rate.max(0.0));
    let (within, either) = from.halves();
    Reached {
        total: from.total + rate * sec,
        timing: rate * within,
        shape: rate * (sec / 2.0 + either),
    }
}

/// Returns what the counter had reached between two refreshes that enclose the moment.
pub fn between(from: Refresh, to: Refresh, side_before: Side, side_after: Side) -> Reached {
    Interval::new(from, to, side_before, side_after).reached()
}

/// The time between two refreshes, seen from the moment asked for.
struct Interval {
    from: Refresh,
    to: Refresh,
    sec: f64,
    /// From the refresh before to the moment, and from there to the refresh after.
    since: f64,
    left: f64,
    own: Slope,
    side_before: Side,
    side_after: Side,
    /// The slopes right beside the interval.
    before: Slope,
    after: Slope,
}

impl Interval {
    fn new(from: Refresh, to: Refresh, side_before: Side, side_after: Side) -> Self {
        let sec = to.at - from.at;
        let own = Slope::between(from, to).unwrap_or(Slope {
            rate: 0.0,
            uncertainty: 0.0,
            sec,
        });
        Self {
            from,
            to,
            sec,
            since: -from.at,
            left: to.at,
            own,
            side_before,
            side_after,
            before: side_before.near.unwrap_or(own),
            after: side_after.near.unwrap_or(own),
        }
    }

    fn reached(&self) -> Reached {
        let told = self.told();
        if self.sec <= MAX_REFRESH_SEC {
            return told;
        }
        Reached {
            shape: told.shape.max(self.unseen()),
            ..told
        }
    }

    /// Returns how far the total may be off the chord where no refresh was seen for so long that loads come and go
    /// unseen: power went no higher than the highest slope with a margin, and never below 0.
    fn unseen(&self) -> f64 {
        let (_, highest_w) = self.extremes();
        let above_w = MAX_UNSEEN_RISE * highest_w - self.own.rate;
        let up = (self.own.rate * self.left).min(above_w * self.since);
        let down = (self.own.rate * self.since).min(above_w * self.left);
        up.max(down)
    }

    fn told(&self) -> Reached {
        let either = self.either();
        let chord = self.from.total + self.own.rate * self.since;
        if self.before.is_like(self.own) && self.after.is_like(self.own) {
            return Reached {
                total: chord,
                timing: self.timing().hypot(self.bend()),
                shape: either,
            };
        }
        let (total, shape) = if self.is_at_a_limit() {
            // A change inside would show in the mean, where power goes no lower or no higher.
            (chord, 0.0)
        } else if self.goes_one_way() {
            self.between_a_step_and_smoothly(chord)
        } else {
            self.with_a_burst()
        };
        Reached {
            total,
            timing: self.timing(),
            shape: shape + either,
        }
    }

    /// Returns the half-width that comes of refreshes being somewhere within their own.
    fn timing(&self) -> f64 {
        let part = self.since / self.sec;
        let (from_within, to_within) = (self.from.halves().0, self.to.halves().0);
        let (from_half, to_half) = ((1.0 - part) * from_within, part * to_within);
        // Refreshes placed by one anchor are off the same way; so may be unsharp ones, where readings run in step with them.
        let is_off_together = self.from.anchor.is_some() && self.from.anchor == self.to.anchor
            || from_within.min(to_within) > SHARP * self.sec;
        self.own.rate
            * if is_off_together {
                from_half + to_half
            } else {
                from_half.hypot(to_half)
            }
    }

    /// Returns the half-width that comes of refreshes being at either end of their own.
    fn either(&self) -> f64 {
        let part = self.since / self.sec;
        let (from_either, to_either) = (self.from.halves().1, self.to.halves().1);
        self.own.rate * ((1.0 - part) * from_either + part * to_either)
    }

    /// Returns how far a bend of the power lifts the middle: one so small may be chance, so that it widens the interval
    /// and does not move it. The slopes are two intervals apart.
    fn bend(&self) -> f64 {
        (self.after.rate - self.before.rate).abs() / 2.0 * self.since * self.left / self.sec / 2.0
    }

    /// Returns the lowest and the highest slope that is known.
    fn extremes(&self) -> (f64, f64) {
        let known = self
            .side_before
            .both()
            .chain(self.side_after.both())
            .chain([self.own.rate]);
        known.fold((f64::INFINITY, 0.0f64), |(low, high), rate| {
            (low.min(rate), high.max(rate))
        })
    }

    /// Returns whether power was as low, or as high, as it goes.
    fn is_at_a_limit(&self) -> bool {
        let own = self.own;
        let (lowest_w, highest_w) = self.extremes();
        let is_lowest = (self.before.is_like(own) || self.after.is_like(own)) && own.rate - own.uncertainty <= lowest_w;
        let is_highest = (self.side_before.is_level_with(own) || self.side_after.is_level_with(own))
            && own.rate + own.uncertainty >= highest_w;
        is_lowest || is_highest
    }

    /// Returns whether power went from the slope before to the slope after, at one moment or smoothly.
    fn goes_one_way(&self) -> bool {
        let (low, high) = (
            self.before.rate.min(self.after.rate),
            self.before.rate.max(self.after.rate),
        );
        (low..=high).contains(&self.own.rate) && self.side_before.goes_on(self.own) && self.side_after.goes_on(self.own)
    }

    /// Returns the middle between a change at one moment and a smooth one, and how far it is from both.
    fn between_a_step_and_smoothly(&self, chord: f64) -> (f64, f64) {
        let drawn_on = self.from.total + self.before.rate * self.since;
        let drawn_back = self.to.total - self.after.rate * self.left;
        let one_step = if self.before.rate <= self.after.rate {
            drawn_on.max(drawn_back)
        } else {
            drawn_on.min(drawn_back)
        };
        let smooth = smooth(self.since / self.sec, self.sec, self.own, self.before, self.after) + chord;
        ((smooth + one_step) / 2.0, (smooth - one_step).abs() / 2.0)
    }

    /// Returns the total and its half-width where a burst or a dip lies in the interval or beside it. Right beside a
    /// refresh it hardly begins or ends: the power beyond goes on.
    fn with_a_burst(&self) -> (f64, f64) {
        let near_sec = BESIDE * self.sec;
        let grown = self.to.total - self.from.total;
        let (lowest_w, _) = self.extremes();
        let displaced = if self.own.rate > lowest_w {
            self.own.rate - lowest_w
        } else {
            self.before.rate.min(self.after.rate) - self.own.rate
        };
        // All of it may lie on either side of the moment all the same.
        let half = displaced * self.since.max(self.left);
        let first = (self.before.rate * near_sec).min(grown / 2.0);
        let last = (self.after.rate * near_sec).min(grown / 2.0);
        let total = if self.since < near_sec {
            self.from.total + first * self.since / near_sec
        } else if self.left < near_sec {
            self.to.total - last * self.left / near_sec
        } else {
            self.from.total + first + (grown - first - last) * (self.since - near_sec) / (self.sec - 2.0 * near_sec)
        };
        (total, half)
    }
}

/// Returns the energy above the chord where power changes smoothly: the cubic with the power at both ends, which is drawn from the
/// mean powers on either side of each.
fn smooth(part: f64, sec: f64, own: Slope, before: Slope, after: Slope) -> f64 {
    let at_the_end = |beside: Slope| (beside.rate * sec + own.rate * beside.sec) / (sec + beside.sec);
    // Above three times its mean power the cubic would run backwards somewhere (Fritsch and Carlson 1980).
    let [start_w, end_w] = [before, after].map(|beside| at_the_end(beside).clamp(0.0, 3.0 * own.rate));
    let (done, left) = (part, 1.0 - part);
    sec * done * left * ((start_w - own.rate) * left - (end_w - own.rate) * done)
}
