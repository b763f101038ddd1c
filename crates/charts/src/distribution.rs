//! Cumulative distributions with their p50, p90 and p99.

use std::fmt::Write;

use crate::axis::{self, Axis};
use crate::frame::{self, Area, LEFT, RIGHT, WIDTH};
use crate::legend::{self, Sample};
use crate::number;
use crate::svg::{Canvas, Coordinate, Head, Svg};

/// The number of steps of a curve that are drawn.
const MAX_STEPS: usize = 400;

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

/// Draws the share of values that are at most so large, with p50, p90 and p99 marked; logarithmic where the largest
/// value is more than a hundred times the smallest and all are positive.
pub fn distribution(distribution: &Distribution) -> Svg {
    let head = |height| Head {
        chart: "distribution",
        title: &distribution.title,
        description: &distribution.description,
        width: WIDTH,
        height,
    };
    let curves: Vec<_> = distribution
        .curves
        .iter()
        .map(|curve| (&curve.name, sorted(&curve.values)))
        .collect();
    let Some(range) = axis::range(curves.iter().flat_map(|(_, values)| values.iter().copied())) else {
        return frame::nothing(head(200.0), "");
    };
    let place = (LEFT, RIGHT - 10.0);
    let logarithmic = number::usable_log(range.0) && range.1 > 100.0 * range.0;
    let across = if logarithmic {
        Axis::log(range, place, 8)
    } else {
        Axis::linear_from_zero(range, place, 6)
    };
    let mut canvas = Canvas::default();
    let items = curves
        .iter()
        .enumerate()
        .map(|(index, (name, values))| (Sample::Line(index), summary(name, values, &distribution.unit)));
    let top = legend::draw(&mut canvas, 0.0, &items.collect::<Vec<_>>());
    let area = Area {
        left: LEFT,
        right: RIGHT - 10.0,
        top: top + 10.0,
        bottom: top + 260.0,
    };
    let mut up = Axis::linear((0.0, 100.0), (area.bottom, area.top), 5);
    up.ticks = [0, 25, 50, 75, 90, 100]
        .map(|share| (f64::from(share), format!("{share} %")))
        .into();
    area.vertical(&mut canvas, &up);
    area.grid(&mut canvas, &across);
    for (index, (name, values)) in curves.iter().enumerate().filter(|(_, (_, values))| !values.is_empty()) {
        let tag = canvas
            .tag("path")
            .set("class", &format!("jm-line {}", legend::series(index)));
        tag.set("d", &steps(values, &across, &up))
            .set("data-name", name)
            .titled(name);
        for (mark, share) in [0.5, 0.9, 0.99].into_iter().enumerate() {
            let value = quantile(values, share);
            let at = (across.at(value), up.at(share * 100.0));
            draw_mark(
                &mut canvas,
                mark,
                at,
                index,
                &format!(
                    "{name}, p{:.0}: {}",
                    share * 100.0,
                    number::with_unit(&number::brief(value), &distribution.unit)
                ),
            );
        }
    }
    let scale = if logarithmic { "logarithmic" } else { "linear" };
    let title = if distribution.unit.is_empty() {
        scale.to_owned()
    } else {
        format!("{}, {scale}", distribution.unit)
    };
    let bottom = area.horizontal(&mut canvas, &across, &title);
    area.tell(&mut canvas);
    canvas.finish(&head(bottom))
}

/// Returns the values that can be drawn, in ascending order.
fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| number::usable(*value)).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Returns the smallest value that at least a share of the values do not exceed.
fn quantile(values: &[f64], share: f64) -> f64 {
    let rank = (values.len() as f64 * share - 1e-9).ceil().max(1.0) as usize;
    values[rank.min(values.len()) - 1]
}

/// Returns the name of a curve with its count and percentiles.
fn summary(name: &str, values: &[f64], unit: &str) -> String {
    if values.is_empty() {
        return format!("{name}: no values");
    }
    let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| number::brief(quantile(values, share)));
    let summary = format!("{name}: p50 {p50}, p90 {p90}, p99 {p99} {unit}");
    format!("{} (n = {})", summary.trim_end(), values.len())
}

/// Returns the path of the steps of a distribution, at most so many that they can be told apart.
fn steps(values: &[f64], across: &Axis, up: &Axis) -> String {
    let mut path = format!("M{} {}", Coordinate(across.at(values[0])), Coordinate(up.at(0.0)));
    let count = values.len();
    let drawn = count.min(MAX_STEPS);
    for step in 1..=drawn {
        let rank = (step * count).div_ceil(drawn).min(count);
        let share = rank as f64 / count as f64 * 100.0;
        let _ = write!(
            path,
            "H{}V{}",
            Coordinate(across.at(values[rank - 1])),
            Coordinate(up.at(share))
        );
    }
    path
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
