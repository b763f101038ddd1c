//! Points of two values with the front of those that no other beats.

use std::fmt::Write;

use crate::frame::{self, Area, LEFT, RIGHT, WIDTH};
use crate::points::{Axes, AxisLabel, Point};
use crate::svg::{Canvas, Coordinate, Head, Svg};
use crate::text;

/// Points over two axes.
#[derive(Clone, Debug)]
pub struct Scatter {
    pub title: String,
    pub description: String,
    pub x: AxisLabel,
    pub y: AxisLabel,
    pub points: Vec<Point>,
}

/// Draws points with their intervals; a step line joins those on the front.
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
    let Some(axes) = Axes::of(&points, area) else {
        return frame::nothing(head(240.0), "");
    };
    let mut canvas = Canvas::default();
    canvas.text("jm-label", (8.0, 16.0), &text::fit(&scatter.y.titled(), WIDTH - 16.0));
    area.vertical(&mut canvas, &axes.y);
    area.grid(&mut canvas, &axes.x);
    let mut front: Vec<&Point> = points.iter().copied().filter(|point| point.on_front).collect();
    front.sort_by(|a, b| a.x.total_cmp(&b.x));
    if front.len() > 1 {
        let class = format!("{} jm-front-line", Axes::line_class());
        canvas
            .tag("path")
            .set("class", &class)
            .set("d", &steps(&front, &axes))
            .end();
    }
    let labels = (&scatter.x, &scatter.y);
    for on_front in [false, true] {
        for point in points.iter().filter(|point| point.on_front == on_front) {
            axes.draw(&mut canvas, point, labels);
        }
    }
    for point in &front {
        let (x, y) = (axes.x.at(point.x), axes.y.at(point.y));
        let label = text::fit(&point.label, area.right - x - 12.0);
        canvas.text("jm-tick", (x + 10.0, (y - 8.0).max(area.top)), &label);
    }
    let bottom = area.horizontal(&mut canvas, &axes.x, &scatter.x.titled());
    area.tell(&mut canvas);
    canvas.finish(&head(bottom))
}

/// Returns the path of the step line through the front.
fn steps(front: &[&Point], axes: &Axes) -> String {
    let mut path = String::new();
    for (index, point) in front.iter().enumerate() {
        let (x, y) = (Coordinate(axes.x.at(point.x)), Coordinate(axes.y.at(point.y)));
        let _ = if index == 0 {
            write!(path, "M{x} {y}")
        } else {
            write!(path, "H{x}V{y}")
        };
    }
    path
}
