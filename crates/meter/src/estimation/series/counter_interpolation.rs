//! What a counter had reached between two of its refreshes, where only the mean power is known. Pure.
//!
//! Owns what the refreshes around tell of the power in between: even, smooth, one step, or a burst.

/// A slope is compared with its neighbour's only where times are known to this part of its length.
const SHARP_SLOPE: f64 = 0.2;

/// So near to one of two refreshes, as a part of their distance, few bursts between them lie.
const BESIDE: f64 = 0.1;

/// The counter at one moment, with half-widths of two independent doubts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reached {
    pub total: f64,
    /// Because it is not known exactly when the refreshes around it were.
    pub timing: f64,
    /// Because the power between two refreshes is not known, only its mean, or one was at either of two moments: as
    /// likely off by all of it as by less.
    pub shape: f64,
}

/// A refresh: when, in seconds from the moment asked for, and the value it brought.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    pub at: f64,
    pub half: f64,
    pub total: f64,
    /// The refresh caught in the act that it was placed by, whose doubt it shares.
    pub leans: Option<usize>,
    /// It was at either end of `half`, and nowhere between.
    pub torn: bool,
}

impl Tick {
    /// By how much it may be off anywhere within, and by how much at either end.
    fn halves(self) -> (f64, f64) {
        if self.torn { (0.0, self.half) } else { (self.half, 0.0) }
    }
}

#[derive(Clone, Copy)]
pub struct Slope {
    rate: f64,
    doubt: f64,
    sec: f64,
}

impl Slope {
    /// From one tick to a later one.
    pub fn between(from: Tick, to: Tick) -> Option<Self> {
        let sec = to.at - from.at;
        (sec > 0.0).then(|| {
            let rate = (to.total - from.total) / sec;
            Self {
                rate,
                doubt: rate.abs() * (from.half + to.half) / sec,
                sec,
            }
        })
    }

    /// Whether the two cannot be told apart.
    fn is_like(self, other: Self) -> bool {
        (self.rate - other.rate).abs() <= self.doubt + other.doubt
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
    pub fn measure(outwards: &[Tick], slope: impl Fn(Tick, Tick) -> Option<Slope>) -> Self {
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

    fn both(self) -> impl Iterator<Item = f64> {
        [self.near, self.far].into_iter().flatten().map(|slope| slope.rate)
    }

    /// Whether both of its slopes are the interval's own.
    fn is_level_with(self, own: Slope) -> bool {
        [self.near, self.far]
            .into_iter()
            .all(|slope| slope.is_some_and(|slope| slope.is_like(own)))
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
pub fn beyond(from: Tick, slope: Option<Slope>) -> Reached {
    let sec = -from.at;
    let rate = slope.map_or(0.0, |slope| slope.rate.max(0.0));
    let (within, either) = from.halves();
    Reached {
        total: from.total + rate * sec,
        timing: rate * within,
        shape: rate * (sec / 2.0 + either),
    }
}

pub fn between(from: Tick, to: Tick, side_before: Side, side_after: Side) -> Reached {
    let (sec, since, left) = (to.at - from.at, -from.at, to.at);
    let own = Slope::between(from, to).unwrap_or(Slope {
        rate: 0.0,
        doubt: 0.0,
        sec,
    });
    let part = since / sec;
    let chord = from.total + own.rate * since;
    let (from_within, from_either) = from.halves();
    let (to_within, to_either) = to.halves();
    let (from_half, to_half) = ((1.0 - part) * from_within, part * to_within);
    let either = own.rate * ((1.0 - part) * from_either + part * to_either);
    // Ticks placed by the same one are off the same way; so may be unsharp ones, where readings run in step with them.
    let together = from.leans.is_some() && from.leans == to.leans || from_within.min(to_within) > SHARP_SLOPE * sec;
    let timing = own.rate
        * if together {
            from_half + to_half
        } else {
            from_half.hypot(to_half)
        };
    let (before, after) = (side_before.near.unwrap_or(own), side_after.near.unwrap_or(own));
    let reached = |total: f64, shape: f64| Reached {
        total,
        timing,
        shape: shape + either,
    };
    if before.is_like(own) && after.is_like(own) {
        // A bend of the power this small may be chance: it is doubted, not followed. The slopes are two intervals apart.
        let bend = (after.rate - before.rate).abs() / 2.0 * since * left / sec / 2.0;
        return Reached {
            total: chord,
            timing: timing.hypot(bend),
            shape: either,
        };
    }
    let known = side_before.both().chain(side_after.both()).chain([own.rate]);
    let (lowest_w, highest_w) = known.fold((f64::INFINITY, 0.0f64), |(low, high), rate| {
        (low.min(rate), high.max(rate))
    });
    let at_the_floor = (before.is_like(own) || after.is_like(own)) && own.rate - own.doubt <= lowest_w;
    let at_the_top =
        (side_before.is_level_with(own) || side_after.is_level_with(own)) && own.rate + own.doubt >= highest_w;
    if at_the_floor || at_the_top {
        // A change inside would show in the mean, where power goes no lower or no higher.
        return reached(chord, 0.0);
    }
    let (least, most) = (before.rate.min(after.rate), before.rate.max(after.rate));
    if (least..=most).contains(&own.rate) && side_before.goes_on(own) && side_after.goes_on(own) {
        // Power goes one way from the slope before to the slope after: at one moment or smoothly.
        let (drawn_on, drawn_back) = (from.total + before.rate * since, to.total - after.rate * left);
        let one_step = if before.rate <= after.rate {
            drawn_on.max(drawn_back)
        } else {
            drawn_on.min(drawn_back)
        };
        let smooth = smooth(part, sec, own, before, after) + chord;
        return reached((smooth + one_step) / 2.0, (smooth - one_step).abs() / 2.0);
    }
    // A burst or a dip, here or beside. Right beside a refresh it hardly begins or ends: the power beyond goes on.
    let near_sec = BESIDE * sec;
    let grown = to.total - from.total;
    // All of it may lie on either side of the moment all the same.
    let displaced = if own.rate > lowest_w {
        own.rate - lowest_w
    } else {
        least - own.rate
    };
    let doubt = displaced * since.max(left);
    let (first, last) = (
        (before.rate * near_sec).min(grown / 2.0),
        (after.rate * near_sec).min(grown / 2.0),
    );
    if since < near_sec {
        let total = from.total + first * since / near_sec;
        return reached(total, doubt);
    }
    if left < near_sec {
        let total = to.total - last * left / near_sec;
        return reached(total, doubt);
    }
    let evenly = from.total + first + (grown - first - last) * (since - near_sec) / (sec - 2.0 * near_sec);
    reached(evenly, doubt)
}

/// Energy above the chord where power changes smoothly: the cubic with the power at both ends, which is drawn from the
/// mean powers on either side of each.
fn smooth(part: f64, sec: f64, own: Slope, before: Slope, after: Slope) -> f64 {
    let at_the_end = |beside: Slope| (beside.rate * sec + own.rate * beside.sec) / (sec + beside.sec);
    // Above three times its mean power the cubic would run backwards somewhere (Fritsch and Carlson 1980).
    let [start_w, end_w] = [before, after].map(|beside| at_the_end(beside).clamp(0.0, 3.0 * own.rate));
    let (done, left) = (part, 1.0 - part);
    sec * done * left * ((start_w - own.rate) * left - (end_w - own.rate) * done)
}
