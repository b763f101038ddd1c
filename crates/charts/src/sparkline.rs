//! A small line of the last minutes, with its last, smallest and largest value as text.

use std::fmt::Write;

use crate::axis;
use crate::number;
use crate::svg::{Canvas, Coordinate, Head, Svg};
use crate::thinning::thin;

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 48.0;

/// One line over time without axes.
#[derive(Clone, Debug)]
pub struct Sparkline {
    pub title: String,
    pub description: String,
    pub from_sec: f64,
    pub to_sec: f64,
    pub unit: String,
    pub points: Vec<(f64, f64)>,
}

/// Draws a small line with its last, smallest and largest value as text.
pub fn sparkline(sparkline: &Sparkline) -> Svg {
    let head = Head {
        chart: "sparkline",
        title: &sparkline.title,
        description: &sparkline.description,
        width: WIDTH,
        height: HEIGHT,
    };
    let (from, to) = (sparkline.from_sec, sparkline.to_sec);
    let seen = sparkline
        .points
        .iter()
        .copied()
        .filter(|(x, _)| (from..=to).contains(x));
    let points: Vec<_> = seen
        .map(|(x, y)| (x, if number::usable(y) { y } else { f64::NAN }))
        .collect();
    let finite = || points.iter().map(|(_, y)| *y).filter(|y| y.is_finite());
    let usable = number::usable(from) && number::usable(to) && from < to;
    let (Some((low, high)), Some(last), true) = (axis::range(finite()), finite().next_back(), usable) else {
        return crate::frame::nothing(head, "");
    };
    let mut canvas = Canvas::default();
    let (left, right, top, bottom) = (2.0, 146.0, 5.0, HEIGHT - 5.0);
    let span = if high > low { high - low } else { 1.0 };
    let across = |x: f64| left + (right - left) * ((x - from) / (to - from)).clamp(0.0, 1.0);
    let up = |y: f64| {
        if high > low {
            bottom - (bottom - top) * (y - low) / span
        } else {
            (top + bottom) / 2.0
        }
    };
    let mut path = String::new();
    let mut joined = false;
    for (x, y) in thin(&points, 144) {
        if y.is_finite() {
            let _ = write!(
                path,
                "{}{} {}",
                if joined { "L" } else { "M" },
                Coordinate(across(x)),
                Coordinate(up(y))
            );
        }
        joined = y.is_finite();
    }
    canvas.tag("path").set("class", "jm-line jm-s0").set("d", &path).end();
    if let Some((x, y)) = points.iter().rev().find(|(_, y)| y.is_finite()) {
        canvas
            .tag("circle")
            .set("class", "jm-point jm-s0")
            .at("cx", across(*x))
            .at("cy", up(*y))
            .at("r", 3.0)
            .end();
    }
    canvas.text(
        "jm-value jm-last",
        (156.0, 20.0),
        &number::with_unit(&number::brief(last), &sparkline.unit),
    );
    canvas.text(
        "jm-tick",
        (156.0, 38.0),
        &format!("{}–{}", number::brief(low), number::brief(high)),
    );
    canvas.data("from-sec", from);
    canvas.data("to-sec", to);
    canvas.data("min", low);
    canvas.data("max", high);
    canvas.data("unit", &sparkline.unit);
    canvas.finish(&head)
}
