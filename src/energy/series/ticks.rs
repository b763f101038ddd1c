//! What a counter that moves in steps of time had reached at a moment between its steps. Pure.
//!
//! A value read from a counter belongs to its last refresh, not to the moment of reading. Each value is therefore
//! placed at the refresh it came from, as closely as the readings around it tell, and the curve runs between
//! refreshes. Deliberately knows no windows: the value at a moment depends on the moment alone, so growth adds up.

use super::{Sample, Series};
use crate::clock::Monotonic;

/// A value read unchanged for longer than this many periods has been refreshed since, to the same.
const RESTS_AFTER_PERIODS: f64 = 1.5;

/// Refreshes are not perfectly even: the part of a period by which one may miss its place.
const JITTER: f64 = 0.0015;

/// A slope is compared with its neighbour's only where times are known to this part of its length.
const SHARP_SLOPE: f64 = 0.2;

/// How many refreshes a slope may reach back or ahead to become sharp.
const REACH: usize = 6;

/// The counter at one moment, with half-widths of two independent doubts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reached {
    pub total: f64,
    /// Because it is not known exactly when the refreshes around it were.
    pub timing: f64,
    /// Because the power between two refreshes is not known, only its mean.
    pub shape: f64,
}

/// A refresh: when, in seconds from the moment asked for, and the value it brought.
#[derive(Clone, Copy, Debug)]
struct Tick {
    at: f64,
    half: f64,
    total: f64,
    /// Placed by the refresh after it, whose doubt it shares.
    leans_on_next: bool,
}

#[derive(Clone, Copy)]
struct Slope {
    rate: f64,
    doubt: f64,
}

impl Slope {
    /// From one tick to a later one.
    fn between(from: Tick, to: Tick) -> Option<Self> {
        let sec = to.at - from.at;
        (sec > 0.0).then(|| {
            let rate = (to.total - from.total) / sec;
            Self {
                rate,
                doubt: rate.abs() * (from.half + to.half) / sec,
            }
        })
    }

    /// Whether the two cannot be told apart.
    fn is_like(self, other: Self) -> bool {
        (self.rate - other.rate).abs() <= self.doubt + other.doubt
    }
}

impl Series {
    /// The counter at `at`, which must lie between samples of one epoch. `refresh_sec` is how old a value can be when
    /// it is read; with 0 values belong to their stamps and the curve is linear between them.
    pub(super) fn reached(&self, at: Monotonic, refresh_sec: f64) -> Reached {
        let last_before = self.samples.partition_point(|sample| sample.at <= at) - 1;
        let epoch = self.samples[last_before].epoch;
        let tick = |index: usize| {
            let sample = self.samples.get(index).filter(|sample| sample.epoch == epoch)?;
            Some(self.tick(sample, index, at, refresh_sec))
        };
        // Refreshes up to the moment, newest first, and those after it.
        let (mut before, mut after): (Vec<Tick>, Vec<Tick>) = (Vec::new(), Vec::new());
        let mut index = last_before;
        while let Some(found) = tick(index) {
            if found.at <= 0.0 {
                push_distinct(&mut before, found);
            } else {
                after.insert(0, found);
            }
            if before.len() > REACH || index == 0 {
                break;
            }
            index -= 1;
        }
        after.dedup_by(|later, earlier| later.at == earlier.at);
        index = last_before + 1;
        while after.len() <= REACH {
            let Some(found) = tick(index) else { break };
            index += 1;
            if found.at > 0.0 {
                push_distinct(&mut after, found);
            } else {
                before.insert(0, found);
            }
        }
        before.dedup_by(|earlier, later| earlier.at == later.at);
        let Some(from) = before.first().copied() else {
            // Before the first refresh that was seen: only an edge within a period of the first sample is.
            let first = after[0];
            return Reached {
                total: first.total,
                timing: 0.0,
                shape: 0.0,
            };
        };
        let side_before = Side::of(&before, Slope::between);
        let Some(to) = after.first().copied() else {
            return beyond(from, side_before.near);
        };
        between(
            from,
            to,
            side_before,
            Side::of(&after, |newer, older| Slope::between(older, newer)),
        )
    }

    fn tick(&self, sample: &Sample, index: usize, origin: Monotonic, refresh_sec: f64) -> Tick {
        let since = |moment: Monotonic| moment.sec_since(origin);
        let read = since(sample.at);
        let mut leans_on_next = false;
        let (mut earliest, mut latest) = (since(sample.changed_after), since(sample.changed_by));
        if refresh_sec <= 0.0 {
            (earliest, latest) = (read, read);
        } else if earliest == latest || read - RESTS_AFTER_PERIODS * refresh_sec > latest {
            // The first reading of all, or a counter at rest: refreshed within the last period.
            (earliest, latest) = (read - refresh_sec, read);
        } else {
            earliest = earliest.max(latest - refresh_sec);
            let wide = (earliest, latest);
            (earliest, latest) = self.narrowed(index, origin, refresh_sec, wide);
            leans_on_next = (earliest, latest) != wide;
        }
        Tick {
            at: (earliest + latest) / 2.0,
            half: (latest - earliest) / 2.0,
            total: sample.total,
            leans_on_next,
        }
    }

    /// The next refresh, where it was caught in the act, says when this one was: one period earlier.
    fn narrowed(&self, index: usize, origin: Monotonic, refresh_sec: f64, wide: (f64, f64)) -> (f64, f64) {
        let Some(period) = self.refresh_sec() else { return wide };
        let own = &self.samples[index];
        let mut later = self
            .samples
            .range(index + 1..)
            .take_while(|sample| sample.epoch == own.epoch);
        let Some(next) = later.find(|sample| sample.total != own.total) else {
            return wide;
        };
        let (after, by) = (next.changed_after.sec_since(origin), next.changed_by.sec_since(origin));
        if by - after > 0.3 * refresh_sec || by - after >= wide.1 - wide.0 {
            return wide;
        }
        let earliest = wide.0.max(after - period * (1.0 + JITTER));
        let latest = wide.1.min(by - period * (1.0 - JITTER));
        if earliest < latest { (earliest, latest) } else { wide }
    }
}

/// Samples of one refresh give the same tick.
fn push_distinct(ticks: &mut Vec<Tick>, tick: Tick) {
    if ticks.last().is_none_or(|last| last.at != tick.at) {
        ticks.push(tick);
    }
}

/// What the counter did on one side of the interval asked about.
#[derive(Clone, Copy)]
struct Side {
    /// Next to it, over as few refreshes as make the slope sharp.
    near: Option<Slope>,
    /// The one beyond that.
    far: Option<Slope>,
}

impl Side {
    fn of(outwards: &[Tick], slope: impl Fn(Tick, Tick) -> Option<Slope>) -> Self {
        let (near, reached) = Self::sharp(outwards, &slope);
        let (far, _) = Self::sharp(outwards.get(reached..).unwrap_or_default(), &slope);
        Self { near, far }
    }

    fn sharp(outwards: &[Tick], slope: impl Fn(Tick, Tick) -> Option<Slope>) -> (Option<Slope>, usize) {
        let Some(near) = outwards.first().copied() else {
            return (None, 0);
        };
        let (mut found, mut reached) = (None, 0);
        for (index, far) in outwards.iter().enumerate().skip(1) {
            (found, reached) = (slope(*far, near), index);
            if (far.half + near.half) <= SHARP_SLOPE * (far.at - near.at).abs() {
                break;
            }
        }
        (found, reached)
    }

    /// Whether the slope next to the interval goes on beyond it, evenly or smoothly, rather than being part of a burst.
    fn goes_on(self, own: Slope) -> bool {
        let (Some(near), Some(far)) = (self.near, self.far) else {
            return true;
        };
        (near.rate - far.rate).abs() <= near.doubt + far.doubt + 2.0 * (near.rate - own.rate).abs()
    }
}

/// Past the last refresh that was seen: the power before it goes on.
fn beyond(from: Tick, slope: Option<Slope>) -> Reached {
    let sec = -from.at;
    let rate = slope.map_or(0.0, |slope| slope.rate.max(0.0));
    Reached {
        total: from.total + rate * sec,
        timing: rate * from.half,
        shape: rate * sec / 2.0,
    }
}

fn between(from: Tick, to: Tick, side_before: Side, side_after: Side) -> Reached {
    let (sec, since, left) = (to.at - from.at, -from.at, to.at);
    let own = Slope::between(from, to).unwrap_or(Slope { rate: 0.0, doubt: 0.0 });
    let part = since / sec;
    let chord = from.total + own.rate * since;
    let (from_half, to_half) = ((1.0 - part) * from.half, part * to.half);
    // Ticks that lean on each other are off the same way; so may be unsharp ones, where readings run in step with them.
    let together = from.leans_on_next || from.half.min(to.half) > SHARP_SLOPE * sec;
    let timing = own.rate
        * if together {
            from_half + to_half
        } else {
            from_half.hypot(to_half)
        };
    let (before, after) = (side_before.near.unwrap_or(own), side_after.near.unwrap_or(own));
    if before.is_like(own) && after.is_like(own) {
        // A bend of the power this small may be chance: it is doubted, not followed. The slopes are two intervals apart.
        let bend = (after.rate - before.rate).abs() / 2.0;
        return Reached {
            total: chord,
            timing,
            shape: bend * since * left / sec / 2.0,
        };
    }
    let (before, after) = (before.rate, after.rate);
    let (least, most) = (before.min(after), before.max(after));
    if (least..=most).contains(&own.rate) && side_before.goes_on(own) && side_after.goes_on(own) {
        // Power goes one way from the slope before to the slope after: the curve lies between the chord (a change at
        // both ends) and the two slopes drawn on until they meet (one step).
        let (drawn_on, drawn_back) = (from.total + before * since, to.total - after * left);
        let one_step = if before <= after {
            drawn_on.max(drawn_back)
        } else {
            drawn_on.min(drawn_back)
        };
        return Reached {
            total: (chord + one_step) / 2.0,
            timing,
            shape: (chord - one_step).abs() / 2.0,
        };
    }
    // A burst or a dip, here or beside: it may lie on either side of the moment, and is more than its mean shows.
    let (low, high) = if own.rate < least {
        (0.0, most)
    } else {
        (least.min(own.rate), 2.0 * own.rate.max(most))
    };
    let lowest = (from.total + low * since).max(to.total - high * left);
    let highest = (to.total - low * left).min(from.total + high * since);
    Reached {
        total: chord,
        timing,
        shape: (chord - lowest).max(highest - chord).max(0.0),
    }
}
