//! Scatter plots: points with two values, and their Pareto front.

use std::fmt::Write;

use crate::frame::{self, Area, LEFT, RIGHT, WIDTH};
use crate::labels::Labels;
use crate::points::{Axes, AxisLabel, Point};
use crate::svg::{Canvas, Coordinate, Head, Svg};
use crate::text;

/// Maximum number of points with which those behind the front have labels too.
const FEW: usize = 16;

/// Points over two axes.
#[derive(Clone, Debug)]
pub struct Scatter {
    pub title: String,
    pub description: String,
    pub x: AxisLabel,
    pub y: AxisLabel,
    pub points: Vec<Point>,
}

/// Draws points with their intervals. A step line joins those on the front, and labels are drawn where there is room.
///
/// The steps bound the area of points that the front beats. Which direction is better is inferred from the points
/// behind the front.
pub fn scatter(scatter: &Scatter) -> Svg {
    let head = |height| Head {
        chart: "scatter",
        title: &scatter.title,
        description: &scatter.description,
        width: WIDTH,
        height,
    };
    let points: Vec<&Point> = scatter.points.iter().filter(|point| point.is_usable()).collect();
    let area = Area {
        left: LEFT,
        right: RIGHT,
        top: text::LINE + 10.0,
        bottom: 380.0,
    };
    let Some(axes) = Axes::of(&points, area, false) else {
        return frame::nothing(head(frame::EMPTY));
    };
    let mut canvas = Canvas::default();
    canvas.text("jm-label", (0.0, 16.0), &text::fit(&scatter.y.titled(), WIDTH));
    area.vertical(&mut canvas, &axes.y);
    area.grid(&mut canvas, &axes.x);
    let bottom = area.horizontal(&mut canvas, &axes.x, &scatter.x.titled());
    let (mut front, behind): (Vec<&Point>, Vec<&Point>) = points.iter().partition(|point| point.on_front);
    front.sort_by(|a, b| a.x.total_cmp(&b.x));
    if front.len() > 1 {
        let d = steps(&front, larger_x_is_better(&front, &behind), &axes);
        canvas.tag("path").set("class", "jm-front-line").set("d", &d).end();
    }
    for point in behind.iter().chain(&front) {
        axes.draw(&mut canvas, point, (&scatter.x, &scatter.y));
    }
    let at = |point: &Point| (axes.x.at(point.x), axes.y.at(point.y));
    let mut labels = Labels::around(area, points.iter().map(|point| at(point)));
    for (from, to) in points.iter().flat_map(|point| axes.whiskers(point)) {
        labels.take_line(from, to);
    }
    let behind = if points.len() <= FEW { &behind[..] } else { &[] };
    for point in front.iter().chain(behind) {
        labels.draw(&mut canvas, at(point), &point.label);
    }
    area.write_position(&mut canvas);
    canvas.finish(&head(bottom))
}

/// Returns whether a larger x is better: of the two directions that fit the shape of the front, the one in which more
/// of the points behind it are beaten by a point on it.
fn larger_x_is_better(front: &[&Point], behind: &[&Point]) -> bool {
    let rises = front
        .first()
        .zip(front.last())
        .is_some_and(|(first, last)| last.y > first.y);
    // On a rising front, better is either right and down or left and up; on a falling one, left and down or right and
    // up.
    let ways = if rises {
        [(1.0, -1.0), (-1.0, 1.0)]
    } else {
        [(-1.0, -1.0), (1.0, 1.0)]
    };
    let beaten = |(x, y): (f64, f64)| {
        let beats = |point: &Point, other: &Point| (point.x - other.x) * x >= 0.0 && (point.y - other.y) * y >= 0.0;
        behind
            .iter()
            .filter(|other| front.iter().any(|point| beats(point, other)))
            .count()
    };
    let [first, second] = ways;
    let (x, _) = if beaten(second) > beaten(first) { second } else { first };
    x > 0.0
}

/// Returns the path of the step line through the front.
fn steps(front: &[&Point], larger_x_is_better: bool, axes: &Axes) -> String {
    let mut path = String::new();
    for (index, point) in front.iter().enumerate() {
        let (x, y) = (Coordinate(axes.x.at(point.x)), Coordinate(axes.y.at(point.y)));
        let _ = match (index, larger_x_is_better) {
            (0, _) => write!(path, "M{x} {y}"),
            (_, true) => write!(path, "V{y}H{x}"),
            (_, false) => write!(path, "H{x}V{y}"),
        };
    }
    path
}
