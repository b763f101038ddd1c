//! Sparklines: a small line of the last minutes, with its last, smallest and largest value as text.

use std::fmt::Write;

use crate::axis;
use crate::frame;
use crate::number;
use crate::svg::{Canvas, Coordinate, Head, Svg};
use crate::text;
use crate::thinning;

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 48.0;
/// Edges of the line.
const LEFT: f64 = 2.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 5.0;
const BOTTOM: f64 = 43.0;
/// Left edge of the texts next to the line.
const BESIDE: f64 = 140.0;
/// Height of a text, which is the same on every screen.
const SIZE: f64 = 13.0;

/// A line over time without axes.
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
    let (title, description) = (&sparkline.title, &sparkline.description);
    let head = Head {
        chart: "sparkline",
        title,
        description,
        width: WIDTH,
        height: HEIGHT,
    };
    let (from, to) = (sparkline.from_sec, sparkline.to_sec);
    let points = thinning::seen(&sparkline.points, (from, to));
    let finite = || points.iter().filter(|(_, y)| y.is_finite());
    let usable = number::usable(from) && number::usable(to) && from < to;
    let range = axis::range(finite().map(|(_, y)| *y)).filter(|_| usable);
    let Some(((low, high), last)) = range.zip(finite().next_back()) else {
        return frame::nothing(head);
    };
    let across = |x: f64| LEFT + (RIGHT - LEFT) * ((x - from) / (to - from)).clamp(0.0, 1.0);
    // The scale includes zero: with the line's own range only, noise of any size would look the same.
    let (ground, top) = (low.min(0.0), high.max(0.0));
    let share = |y: f64| {
        if top > ground {
            (y - ground) / (top - ground)
        } else {
            0.5
        }
    };
    let at = |(x, y): (f64, f64)| (across(x), BOTTOM - (BOTTOM - TOP) * share(y));
    let mut canvas = Canvas::default();
    let thinned = thinning::thinned(&points, (RIGHT - LEFT) as usize);
    canvas
        .tag("path")
        .set("class", "jm-line jm-s0")
        .set("d", &path(&thinned, at))
        .end();
    let (x, y) = at(*last);
    canvas
        .tag("circle")
        .set("class", "jm-point jm-s0")
        .at("cx", x)
        .at("cy", y)
        .at("r", 3.0)
        .end();
    let fitting = |text: &str| text::fit(text, (WIDTH - BESIDE) * text::SIZE / SIZE);
    canvas.text(
        "jm-value",
        (BESIDE, 20.0),
        &fitting(&number::with_unit(&number::brief(last.1), &sparkline.unit)),
    );
    let range = format!("{} to {}", number::brief(low), number::brief(high));
    canvas.text("jm-tick", (BESIDE, 38.0), &fitting(&range));
    for (name, value) in [("from-sec", from), ("to-sec", to), ("min", low), ("max", high)] {
        canvas.data(name, value);
    }
    canvas.data("unit", &sparkline.unit);
    canvas.finish(&head)
}

/// Returns the path through points, which begins anew after an interruption; a single point is drawn too.
fn path(points: &[(f64, f64)], at: impl Fn((f64, f64)) -> (f64, f64)) -> String {
    let mut path = String::new();
    let mut joined = false;
    for point in points {
        if point.1.is_finite() {
            let (x, y) = at(*point);
            let (x, y) = (Coordinate(x), Coordinate(y));
            let _ = if joined {
                write!(path, "L{x} {y}")
            } else {
                write!(path, "M{x} {y}l0 0")
            };
        }
        joined = point.1.is_finite();
    }
    path
}
