//! A metric along an axis, such as energy a token along a power limit, with its best place and its knee.

use std::fmt::Write;

use crate::frame::{self, Area, LEFT, RIGHT, WIDTH};
use crate::number;
use crate::points::{Axes, AxisLabel, Point};
use crate::svg::{Canvas, Coordinate, Head, Svg};
use crate::text;

/// A metric along an axis.
#[derive(Clone, Debug)]
pub struct Along {
    pub title: String,
    pub description: String,
    pub x: AxisLabel,
    pub y: AxisLabel,
    pub points: Vec<Point>,
    pub best: Option<Best>,
    /// The place beyond which more of x gains little.
    pub knee: Option<f64>,
}

/// The place of the best value along the axis, with its interval.
#[derive(Clone, Debug)]
pub struct Best {
    pub x: f64,
    pub interval: Option<(f64, f64)>,
}

/// Draws the points of a metric joined in the order of the axis, with the best place and the knee marked.
pub fn along(along: &Along) -> Svg {
    let head = |height| Head {
        chart: "along",
        title: &along.title,
        description: &along.description,
        width: WIDTH,
        height,
    };
    let mut points: Vec<&Point> = along.points.iter().filter(|point| point.is_usable()).collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    let area = Area {
        left: LEFT,
        right: RIGHT,
        top: 2.0 * text::LINE + 10.0,
        bottom: 340.0,
    };
    let Some(axes) = Axes::of(&points, area) else {
        return frame::nothing(head(240.0), "");
    };
    let mut canvas = Canvas::default();
    canvas.text("jm-label", (8.0, 16.0), &text::fit(&along.y.titled(), WIDTH - 16.0));
    area.vertical(&mut canvas, &axes.y);
    area.grid(&mut canvas, &axes.x);
    if let Some(best) = along.best.as_ref().filter(|best| inside(&axes, best.x)) {
        let x = axes.x.at(best.x);
        let interval = number::usable_interval(best.interval);
        if let Some((low, high)) = interval {
            let (low, high) = (axes.x.at(low), axes.x.at(high));
            let tag = canvas
                .tag("rect")
                .set("class", "jm-best-range")
                .at("x", low)
                .at("y", area.top);
            tag.at("width", high - low)
                .at("height", area.bottom - area.top)
                .titled("interval of the best place");
        }
        mark(
            &mut canvas,
            &area,
            x,
            "jm-best",
            &format!(
                "best: {}",
                number::with_unit(&number::measured(best.x, interval), &along.x.unit)
            ),
            0.0,
        );
    }
    if let Some(knee) = along.knee.filter(|knee| inside(&axes, *knee)) {
        let said = format!("knee: {}", number::with_unit(&number::brief(knee), &along.x.unit));
        mark(&mut canvas, &area, axes.x.at(knee), "jm-knee", &said, text::LINE);
    }
    let mut path = String::new();
    for (index, point) in points.iter().enumerate() {
        let _ = write!(
            path,
            "{}{} {}",
            if index == 0 { "M" } else { "L" },
            Coordinate(axes.x.at(point.x)),
            Coordinate(axes.y.at(point.y))
        );
    }
    canvas
        .tag("path")
        .set("class", &Axes::line_class())
        .set("d", &path)
        .end();
    for point in points {
        axes.draw(&mut canvas, point, (&along.x, &along.y));
    }
    let bottom = area.horizontal(&mut canvas, &axes.x, &along.x.titled());
    area.tell(&mut canvas);
    canvas.finish(&head(bottom))
}

/// Returns whether a place lies on the axis.
fn inside(axes: &Axes, x: f64) -> bool {
    (axes.x.from..=axes.x.to).contains(&x)
}

/// Draws a vertical line with its name at the top.
fn mark(canvas: &mut Canvas, area: &Area, x: f64, class: &str, said: &str, lower: f64) {
    canvas.line(class, (x, area.top), (x, area.bottom));
    let right = x + 8.0 + text::width(said) > area.right;
    let (class, x) = if right {
        ("jm-label jm-end", x - 6.0)
    } else {
        ("jm-label", x + 6.0)
    };
    canvas.text(class, (x, area.top + 16.0 + lower), said);
}
