//! Interpolates a counter between two of its refreshes, where only the mean power is known.
//!
//! Owns the assumption on the power in between, which the refreshes around suggest: constant, smooth, one step, or a
//! burst. Leaves the times of the refreshes to `refresh_times`.

use super::refresh_period::{MAX_REFRESH_SEC, SHARP};

/// Part of an interval next to each of its refreshes in which power is taken to go on as outside: few bursts begin or
/// end there.
const BESIDE: f64 = 0.1;

/// Maximum unseen power as a multiple of the highest mean power around.
const MAX_UNSEEN_RISE: f64 = 1.3;

/// The value of a counter at one moment, with the half-widths of two independent errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reached {
    /// Value of the counter, in its unit.
    pub total: f64,
    /// Half-width of the error from the uncertain times of the refreshes around the moment.
    pub timing: f64,
    /// Half-width of the error from the unknown course of power between two refreshes, or from a refresh that was at
    /// one of two moments. The full half-width is as likely as any smaller error.
    pub shape: f64,
}

impl Reached {
    /// Creates a value without an error.
    pub fn exactly(total: f64) -> Self {
        Self {
            total,
            timing: 0.0,
            shape: 0.0,
        }
    }
}

/// A refresh of the counter, with times in seconds from the moment asked for.
#[derive(Clone, Copy, Debug)]
pub struct Refresh {
    /// Estimated time of the refresh.
    pub at: f64,
    /// Half-width of the error of `at`.
    pub half: f64,
    /// Value of the counter that the refresh brought.
    pub total: f64,
    /// Number of the anchor by which the refresh was placed. Both have the same error.
    pub anchor: Option<usize>,
    /// The refresh was at either end of `half` and nowhere in between.
    pub is_at_an_end: bool,
    /// Readings showed the value for longer than a period: the next refresh was late.
    pub is_late: bool,
}

impl Refresh {
    /// Returns the half-width of an error that lies anywhere within it, and that of an error that lies at either end.
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
    /// Growth per second.
    rate: f64,
    /// Half-width of the error of `rate`.
    uncertainty: f64,
    /// Length in seconds.
    sec: f64,
}

impl Slope {
    /// Returns the slope from one refresh to a later one; `None` when they are at the same time.
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

    /// Returns whether the two slopes agree within their uncertainties.
    fn is_like(self, other: Self) -> bool {
        (self.rate - other.rate).abs() <= self.uncertainty + other.uncertainty
    }
}

/// The slopes on one side of the interval asked for.
#[derive(Clone, Copy)]
pub struct Side {
    /// Slope next to the interval, over as few refreshes as make it sharp.
    pub near: Option<Slope>,
    /// Slope beyond `near`.
    far: Option<Slope>,
}

impl Side {
    /// Computes both slopes from the refreshes on one side, the nearest first.
    pub fn measure(outwards: &[Refresh], slope: impl Fn(Refresh, Refresh) -> Option<Slope>) -> Self {
        let (near, reached) = Self::sharp(outwards, &slope);
        let (far, _) = Self::sharp(outwards.get(reached..).unwrap_or_default(), &slope);
        Self { near, far }
    }

    /// Returns the slope from the nearest refresh over as few refreshes as make it sharp, and the number of those.
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

    /// Returns the rates of the known slopes.
    fn both(self) -> impl Iterator<Item = f64> {
        [self.near, self.far].into_iter().flatten().map(|slope| slope.rate)
    }

    /// Returns whether both slopes agree with the interval's own.
    fn is_level_with(self, own: Slope) -> bool {
        [self.near, self.far]
            .into_iter()
            .all(|slope| slope.is_some_and(|slope| slope.is_like(own)))
    }

    /// Returns whether the slope next to the interval continues beyond it, evenly or smoothly. Otherwise it is part of
    /// a burst.
    fn goes_on(self, own: Slope) -> bool {
        let (Some(near), Some(far)) = (self.near, self.far) else {
            return true;
        };
        (near.rate - far.rate).abs() <= near.uncertainty + far.uncertainty + 2.0 * (near.rate - own.rate).abs()
    }
}

/// Returns the counter after the last refresh that was seen, which is the first of `outwards`. The slope before that
/// refresh is taken to continue.
///
/// A counter that is late counts as what it shows. The energy that may have been used since is in `shape`.
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

/// Returns the counter at the moment asked for, which lies between two refreshes.
pub fn between(from: Refresh, to: Refresh, side_before: Side, side_after: Side) -> Reached {
    Interval::new(from, to, side_before, side_after).reached()
}

/// The time between two refreshes, in seconds from the moment asked for.
struct Interval {
    from: Refresh,
    to: Refresh,
    sec: f64,
    /// Seconds from the refresh before to the moment.
    since: f64,
    /// Seconds from the moment to the refresh after.
    left: f64,
    own: Slope,
    side_before: Side,
    side_after: Side,
    /// Slopes next to the interval.
    before: Slope,
    after: Slope,
}

impl Interval {
    /// Creates the interval between two refreshes. A slope that is unknown is taken to be the interval's own.
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

    /// Returns the counter, with a wider `shape` where loads may have come and gone unseen.
    fn reached(&self) -> Reached {
        let seen = self.interpolated();
        if self.sec <= MAX_REFRESH_SEC {
            return seen;
        }
        Reached {
            shape: seen.shape.max(self.unseen()),
            ..seen
        }
    }

    /// Returns the maximum distance of the total from the chord where no refresh was seen for so long that loads may
    /// have come and gone. Power was between 0 and the highest slope with a margin.
    fn unseen(&self) -> f64 {
        let (_, highest_w) = self.extremes();
        let above_w = MAX_UNSEEN_RISE * highest_w - self.own.rate;
        let up = (self.own.rate * self.left).min(above_w * self.since);
        let down = (self.own.rate * self.since).min(above_w * self.left);
        up.max(down)
    }

    /// Returns the counter under the assumption on power that the slopes around suggest.
    fn interpolated(&self) -> Reached {
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
            // At the lowest or highest power a change inside the interval would show in its mean.
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

    /// Returns the half-width of the error from refreshes that lie anywhere within their half-widths.
    fn timing(&self) -> f64 {
        let part = self.since / self.sec;
        let (from_within, to_within) = (self.from.halves().0, self.to.halves().0);
        let (from_half, to_half) = ((1.0 - part) * from_within, part * to_within);
        // Refreshes placed by one anchor are off in the same direction. So may be unsharp ones, where readings run in
        // step with them.
        let is_off_together = self.from.anchor.is_some() && self.from.anchor == self.to.anchor
            || from_within.min(to_within) > SHARP * self.sec;
        self.own.rate
            * if is_off_together {
                from_half + to_half
            } else {
                from_half.hypot(to_half)
            }
    }

    /// Returns the half-width of the error from refreshes that lie at either end of their half-widths.
    fn either(&self) -> f64 {
        let part = self.since / self.sec;
        let (from_either, to_either) = (self.from.halves().1, self.to.halves().1);
        self.own.rate * ((1.0 - part) * from_either + part * to_either)
    }

    /// Returns the energy by which a bend of the power lifts the total above the chord. A bend within the uncertainty
    /// of the slopes may be chance, so it widens the interval and does not move the total. The slopes are two intervals
    /// apart.
    fn bend(&self) -> f64 {
        (self.after.rate - self.before.rate).abs() / 2.0 * self.since * self.left / self.sec / 2.0
    }

    /// Returns the lowest and the highest known slope.
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

    /// Returns whether power was at its lowest or at its highest.
    fn is_at_a_limit(&self) -> bool {
        let own = self.own;
        let (lowest_w, highest_w) = self.extremes();
        let is_lowest = (self.before.is_like(own) || self.after.is_like(own)) && own.rate - own.uncertainty <= lowest_w;
        let is_highest = (self.side_before.is_level_with(own) || self.side_after.is_level_with(own))
            && own.rate + own.uncertainty >= highest_w;
        is_lowest || is_highest
    }

    /// Returns whether power went from the slope before to the slope after, in one step or smoothly.
    fn goes_one_way(&self) -> bool {
        let (low, high) = (
            self.before.rate.min(self.after.rate),
            self.before.rate.max(self.after.rate),
        );
        (low..=high).contains(&self.own.rate) && self.side_before.goes_on(self.own) && self.side_after.goes_on(self.own)
    }

    /// Returns the mean of the totals for one step and for a smooth change, and its distance from both.
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

    /// Returns the total and its half-width where a burst or a dip lies in the interval or next to it. Close to a
    /// refresh the power beyond it is taken to continue.
    fn with_a_burst(&self) -> (f64, f64) {
        let near_sec = BESIDE * self.sec;
        let grown = self.to.total - self.from.total;
        let (lowest_w, _) = self.extremes();
        let displaced = if self.own.rate > lowest_w {
            self.own.rate - lowest_w
        } else {
            self.before.rate.min(self.after.rate) - self.own.rate
        };
        // The whole burst may still lie on either side of the moment.
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

/// Returns the energy above the chord where power changes smoothly. Power at both ends is interpolated from the mean
/// powers on either side; the total follows the cubic with these powers.
fn smooth(part: f64, sec: f64, own: Slope, before: Slope, after: Slope) -> f64 {
    let at_the_end = |beside: Slope| (beside.rate * sec + own.rate * beside.sec) / (sec + beside.sec);
    // Above three times the mean power the cubic would fall somewhere (Fritsch and Carlson 1980).
    let [start_w, end_w] = [before, after].map(|beside| at_the_end(beside).clamp(0.0, 3.0 * own.rate));
    let (done, left) = (part, 1.0 - part);
    sec * done * left * ((start_w - own.rate) * left - (end_w - own.rate) * done)
}
