//! Power over time as one smooth curve through points, and its integral.
//!
//! Owns interpolation. Leaves where the points lie to `refreshed_power`, and what they may have missed to
//! `power_curve_errors`.

/// When a refresh was, in seconds from the curve's origin.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub at: f64,
    /// How far off that may be.
    pub half: f64,
    /// The number of the anchor that it was placed by, whose error it shares.
    pub anchor: Option<usize>,
}

impl Place {
    pub fn exactly(at: f64) -> Self {
        Self {
            at,
            half: 0.0,
            anchor: None,
        }
    }
}

/// One point of a curve: a value and when its sensor brought it.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub place: Place,
    pub power_w: f64,
    /// How fast power changes there, in W/s: a smooth load is followed between the points, a jump is not overshot.
    slope: f64,
    /// W·s since the first point.
    total: f64,
}

impl Point {
    pub fn at(&self) -> f64 {
        self.place.at
    }
}

/// Power around a span, in seconds from its start.
#[derive(Clone, Debug)]
pub struct PowerCurve {
    points: Vec<Point>,
}

impl PowerCurve {
    /// Draws the curve through values in W, whose places must follow one another.
    pub fn through(values: impl IntoIterator<Item = (Place, f64)>) -> Self {
        let point = |(place, power_w)| Point {
            place,
            power_w,
            slope: 0.0,
            total: 0.0,
        };
        let mut curve = Self {
            points: values.into_iter().map(point).collect(),
        };
        curve.set_slopes();
        curve.set_totals();
        curve
    }

    fn set_slopes(&mut self) {
        let rate = |pair: &[Point]| (pair[1].power_w - pair[0].power_w) / (pair[1].at() - pair[0].at());
        for index in 1..self.points.len().saturating_sub(1) {
            let [before, point, after] = [index - 1, index, index + 1].map(|index| self.points[index]);
            self.points[index].slope = one_way(
                (rate(&[before, point]), point.at() - before.at()),
                (rate(&[point, after]), after.at() - point.at()),
            );
        }
    }

    fn set_totals(&mut self) {
        for index in 1..self.points.len() {
            let before = self.points[index - 1];
            let sec = self.points[index].at() - before.at();
            self.points[index].total = before.total + area(before, self.points[index], sec);
        }
    }

    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Returns where the first point lies.
    pub fn start(&self) -> f64 {
        self.points.first().map_or(0.0, Point::at)
    }

    /// Returns where the last point lies.
    pub fn end(&self) -> f64 {
        self.points.last().map_or(0.0, Point::at)
    }

    /// Returns how many points there are between two moments.
    pub fn count(&self, start: f64, end: f64) -> usize {
        let up_to = |at: f64| self.points.partition_point(|point| point.at() <= at);
        up_to(end) - up_to(start)
    }

    /// Returns the W·s from the first point to `at`; beyond the points power stays what it was.
    pub fn total(&self, at: f64) -> f64 {
        let (before, after) = self.beside(at);
        let since = at - before.at();
        if after.at() <= before.at() {
            return before.total + before.power_w * since;
        }
        before.total + area(before, after, since)
    }

    /// Returns the power at `at`, drawn straight between the points.
    pub fn power_w(&self, at: f64) -> f64 {
        let (before, after) = self.beside(at);
        if after.at() <= before.at() {
            return before.power_w;
        }
        let part = ((at - before.at()) / (after.at() - before.at())).clamp(0.0, 1.0);
        before.power_w + part * (after.power_w - before.power_w)
    }

    /// Returns the last point up to `at` and the first from there on.
    fn beside(&self, at: f64) -> (Point, Point) {
        let before = self.points.partition_point(|point| point.at() <= at).saturating_sub(1);
        let after = self.points.partition_point(|point| point.at() < at);
        (self.points[before], self.points[after.min(self.points.len() - 1)])
    }
}

/// Returns the slope at a point between two intervals, each with its mean slope and its length: none at a peak, else their
/// weighted harmonic mean (Fritsch and Butland 1984), with which the curve never leaves the values it connects.
fn one_way((before, before_sec): (f64, f64), (after, after_sec): (f64, f64)) -> f64 {
    if before * after <= 0.0 {
        return 0.0;
    }
    let (first, second) = (2.0 * after_sec + before_sec, after_sec + 2.0 * before_sec);
    (first + second) / (first / before + second / after)
}

/// Returns the W·s under the cubic from `from` to `to` within the first `since` seconds.
fn area(from: Point, to: Point, since: f64) -> f64 {
    let sec = to.at() - from.at();
    let part = since / sec;
    let (part2, part3, part4) = (part.powi(2), part.powi(3), part.powi(4));
    let (start, start_slope) = (
        part4 / 2.0 - part3 + part,
        part4 / 4.0 - 2.0 * part3 / 3.0 + part2 / 2.0,
    );
    let (end, end_slope) = (part3 - part4 / 2.0, part4 / 4.0 - part3 / 3.0);
    sec * (start * from.power_w + end * to.power_w + sec * (start_slope * from.slope + end_slope * to.slope))
}
