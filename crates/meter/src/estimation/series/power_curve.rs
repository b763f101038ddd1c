//! Draws power over time as one smooth curve through points, and integrates it.
//!
//! Owns interpolation. Leaves the places of the points to `refreshed_power`, and errors of the curve to
//! `power_curve_errors`.

/// The time of a refresh, in seconds from the curve's origin.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Estimated time.
    pub at: f64,
    /// Half-width of the error of `at`.
    pub half: f64,
    /// Number of the anchor by which the refresh was placed. Both have the same error.
    pub anchor: Option<usize>,
}

impl Place {
    /// Creates a place without an error.
    pub fn exactly(at: f64) -> Self {
        Self {
            at,
            half: 0.0,
            anchor: None,
        }
    }
}

/// One point of a curve: a value, and the time at which its sensor brought it.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Time of the point.
    pub place: Place,
    /// Power in W.
    pub power_w: f64,
    /// Slope of power at the point in W/s. The curve follows a smooth load and does not overshoot a jump.
    slope: f64,
    /// Energy in J since the first point.
    total: f64,
}

impl Point {
    /// Returns the time of the point in seconds from the curve's origin.
    pub fn at(&self) -> f64 {
        self.place.at
    }
}

/// Power around a span, with times in seconds from the span's start.
#[derive(Clone, Debug)]
pub struct PowerCurve {
    points: Vec<Point>,
}

impl PowerCurve {
    /// Draws the curve through values in W. Their places must be in ascending order.
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

    /// Computes the slope at every inner point.
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

    /// Computes the energy from the first point to every other.
    fn set_totals(&mut self) {
        for index in 1..self.points.len() {
            let before = self.points[index - 1];
            let sec = self.points[index].at() - before.at();
            self.points[index].total = before.total + area(before, self.points[index], sec);
        }
    }

    /// Returns the points in ascending order of time.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Returns the time of the first point.
    pub fn start(&self) -> f64 {
        self.points.first().map_or(0.0, Point::at)
    }

    /// Returns the time of the last point.
    pub fn end(&self) -> f64 {
        self.points.last().map_or(0.0, Point::at)
    }

    /// Returns the number of points between two moments.
    pub fn count(&self, start: f64, end: f64) -> usize {
        let up_to = |at: f64| self.points.partition_point(|point| point.at() <= at);
        up_to(end) - up_to(start)
    }

    /// Returns the energy in J from the first point to `at`. Outside the points power is constant.
    pub fn total(&self, at: f64) -> f64 {
        let (before, after) = self.beside(at);
        let since = at - before.at();
        if after.at() <= before.at() {
            return before.total + before.power_w * since;
        }
        before.total + area(before, after, since)
    }

    /// Returns the power in W at `at`, interpolated linearly between the points.
    pub fn power_w(&self, at: f64) -> f64 {
        let (before, after) = self.beside(at);
        if after.at() <= before.at() {
            return before.power_w;
        }
        let part = ((at - before.at()) / (after.at() - before.at())).clamp(0.0, 1.0);
        before.power_w + part * (after.power_w - before.power_w)
    }

    /// Returns the last point at or before `at`, and the first at or after it.
    fn beside(&self, at: f64) -> (Point, Point) {
        let before = self.points.partition_point(|point| point.at() <= at).saturating_sub(1);
        let after = self.points.partition_point(|point| point.at() < at);
        (self.points[before], self.points[after.min(self.points.len() - 1)])
    }
}

/// Returns the slope at a point between two intervals, given the mean slope and the length of each. Returns 0 at a
/// peak, else the weighted harmonic mean of the slopes (Fritsch and Butland 1984), with which the curve never leaves
/// the range of the values it connects.
fn one_way((before, before_sec): (f64, f64), (after, after_sec): (f64, f64)) -> f64 {
    if before * after <= 0.0 {
        return 0.0;
    }
    let (first, second) = (2.0 * after_sec + before_sec, after_sec + 2.0 * before_sec);
    (first + second) / (first / before + second / after)
}

/// Returns the energy in J under the cubic from `from` to `to` within the first `since` seconds.
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
