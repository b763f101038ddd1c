//! Cumulative distributions with their p50, p90 and p99.

use std::fmt::Write;

use crate::axis::{self, Axis};
use crate::frame::{self, Area, LEFT, RIGHT, WIDTH};
use crate::legend::{self, Sample};
use crate::number;
use crate::svg::{Canvas, Coordinate, Head, Svg};
use crate::text;

/// Maximum number of steps that are drawn of a curve.
const MAX_STEPS: usize = 400;
/// The marked percentiles, as shares.
const PERCENTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// Distributions of values of one unit.
#[derive(Clone, Debug)]
pub struct Distribution {
    pub title: String,
    pub description: String,
    pub unit: String,
    pub curves: Vec<Curve>,
}

/// A named sample of values, in any order.
#[derive(Clone, Debug)]
pub struct Curve {
    pub name: String,
    pub values: Vec<f64>,
}

/// Draws the share of values at or below each value, with p50, p90 and p99 marked. The axis is logarithmic where all
/// values are positive and the largest is more than a hundred times the smallest.
pub fn distribution(distribution: &Distribution) -> Svg {
    let head = |height| Head {
        chart: "distribution",
        title: &distribution.title,
        description: &distribution.description,
        width: WIDTH,
        height,
    };
    let curves: Vec<Sorted<'_>> = distribution.curves.iter().map(Sorted::of).collect();
    let all = curves.iter().flat_map(|curve| curve.values.iter().copied());
    let Some(range) = axis::range(all) else {
        return frame::nothing(head(frame::EMPTY));
    };
    let mut canvas = Canvas::default();
    let unit = &distribution.unit;
    let items = curves
        .iter()
        .enumerate()
        .map(|(index, curve)| (Sample::Line(index), curve.summary(unit)));
    let top = legend::draw(&mut canvas, 0.0, &items.collect::<Vec<_>>()) + text::LINE + 2.0;
    let area = Area {
        left: LEFT,
        right: RIGHT,
        top,
        bottom: top + 280.0,
    };
    let logarithmic = number::usable_log(range.0) && range.1 > 100.0 * range.0;
    let place = (area.left, area.right);
    let across = if logarithmic {
        Axis::log(range, place, 8)
    } else {
        Axis::linear_from_zero(range, place, 6)
    };
    let mut up = Axis::linear((0.0, 100.0), (area.bottom, area.top), 5);
    up.ticks = [0, 25, 50, 75, 90, 99]
        .map(|share| (f64::from(share), format!("{share} %")))
        .into();
    area.vertical(&mut canvas, &up);
    area.grid(&mut canvas, &across);
    let title = frame::titled("value", unit);
    let title = if logarithmic {
        format!("{title}, logarithmic")
    } else {
        title
    };
    let bottom = area.horizontal(&mut canvas, &across, &title);
    canvas.text("jm-label", (0.0, top - 10.0), "share of values at or below");
    for (index, curve) in curves.iter().enumerate().filter(|(_, curve)| !curve.values.is_empty()) {
        curve.draw(&mut canvas, index, (&across, &up), unit);
    }
    area.write_position(&mut canvas);
    canvas.finish(&head(bottom))
}

/// A curve whose values are in ascending order.
struct Sorted<'a> {
    name: &'a str,
    values: Vec<f64>,
}

impl<'a> Sorted<'a> {
    /// Returns the curve with the values that can be drawn.
    fn of(curve: &'a Curve) -> Self {
        let mut values: Vec<f64> = curve
            .values
            .iter()
            .copied()
            .filter(|value| number::usable(*value))
            .collect();
        values.sort_by(f64::total_cmp);
        Self {
            name: &curve.name,
            values,
        }
    }

    /// Returns a quantile, interpolated linearly between the two neighbouring ranks (type 7), like the percentiles of
    /// results.
    fn quantile(&self, share: f64) -> f64 {
        let values = &self.values;
        let position = share * (values.len() - 1) as f64;
        let (below, part) = (position.floor() as usize, position.fract());
        let above = values[(below + 1).min(values.len() - 1)];
        values[below] * (1.0 - part) + above * part
    }

    /// Returns the name of the curve with its percentiles. The number of values is left to the name, since they may be
    /// thinned.
    fn summary(&self, unit: &str) -> String {
        if self.values.is_empty() {
            return format!("{}: no values", self.name);
        }
        let [p50, p90, p99] = PERCENTILES.map(|share| number::brief(self.quantile(share)));
        let summary = format!("{}: p50 {p50}, p90 {p90}, p99 {p99} {unit}", self.name);
        summary.trim_end().to_owned()
    }

    /// Draws the steps of the curve and marks its percentiles.
    fn draw(&self, canvas: &mut Canvas, index: usize, (across, up): (&Axis, &Axis), unit: &str) {
        let tag = canvas
            .tag("path")
            .set("class", &format!("jm-line {}", legend::series(index)));
        tag.set("d", &self.steps(across, up))
            .set("data-name", self.name)
            .titled(self.name);
        for (mark, share) in PERCENTILES.into_iter().enumerate() {
            let value = self.quantile(share);
            let at = (across.at(value), up.at(share * 100.0));
            let value = number::with_unit(&number::brief(value), unit);
            draw_mark(
                canvas,
                mark,
                at,
                index,
                &format!("{}, p{:.0}: {value}", self.name, share * 100.0),
            );
        }
    }

    /// Returns the path of the steps, of which at most [`MAX_STEPS`] are drawn.
    fn steps(&self, across: &Axis, up: &Axis) -> String {
        let mut path = format!("M{} {}", Coordinate(across.at(self.values[0])), Coordinate(up.at(0.0)));
        let count = self.values.len();
        let drawn = count.min(MAX_STEPS);
        for step in 1..=drawn {
            let rank = (step * count).div_ceil(drawn).min(count);
            let share = rank as f64 / count as f64 * 100.0;
            let _ = write!(
                path,
                "H{}V{}",
                Coordinate(across.at(self.values[rank - 1])),
                Coordinate(up.at(share))
            );
        }
        path
    }
}

/// Draws the mark of a percentile: a circle, a square or a triangle.
fn draw_mark(canvas: &mut Canvas, mark: usize, (x, y): (f64, f64), series: usize, title: &str) {
    let class = format!("jm-point {}", legend::series(series));
    match mark {
        0 => canvas
            .tag("circle")
            .set("class", &class)
            .at("cx", x)
            .at("cy", y)
            .at("r", 5.0)
            .titled(title),
        1 => {
            let tag = canvas
                .tag("rect")
                .set("class", &class)
                .at("x", x - 4.5)
                .at("y", y - 4.5);
            tag.at("width", 9.0).at("height", 9.0).titled(title);
        }
        _ => {
            let d = format!("M{} {}l6 10h-12z", Coordinate(x), Coordinate((y - 6.0).max(0.0)));
            canvas.tag("path").set("class", &class).set("d", &d).titled(title);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_interpolated_between_neighbouring_ranks() {
        let of = |values: &[f64], share: f64| {
            let name = String::new();
            let values = values.to_vec();
            Sorted::of(&Curve { name, values }).quantile(share)
        };
        assert_eq!(of(&[4.0, 2.0, 3.0, 1.0], 0.5), 2.5);
        assert!((of(&[1.0, 2.0, 3.0, 4.0], 0.9) - 3.7).abs() < 1e-12);
        assert_eq!(of(&[5.0], 0.99), 5.0);
    }
}
