//! A metric along an axis, such as energy per token along a power limit, with its optimum and its knee.

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
    /// The value of x beyond which a larger x gains little.
    pub knee: Option<f64>,
}

/// The value of x at which the metric is best, with its interval.
#[derive(Clone, Debug)]
pub struct Best {
    pub x: f64,
    pub interval: Option<(f64, f64)>,
}

/// A value of x that is marked with a vertical line.
struct Marked {
    x: f64,
    interval: Option<(f64, f64)>,
    class: &'static str,
    caption: String,
}

/// Draws the points of a metric, joined in the order of the axis, with the optimum and the knee marked.
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
    let marked = marked(along);
    let top = text::LINE * (1 + marked.len()) as f64 + 10.0;
    let area = Area {
        left: LEFT,
        right: RIGHT,
        top,
        bottom: top + 280.0,
    };
    let Some(axes) = Axes::of(&points, area, wide(&points)) else {
        return frame::nothing(head(frame::EMPTY));
    };
    let mut canvas = Canvas::default();
    canvas.text("jm-label", (0.0, 16.0), &text::fit(&along.y.titled(), WIDTH));
    area.vertical(&mut canvas, &axes.y);
    area.grid(&mut canvas, &axes.x);
    let scale = if axes.x.logarithmic { ", logarithmic" } else { "" };
    let x_title = format!("{}{scale}", along.x.titled());
    let bottom = area.horizontal(&mut canvas, &axes.x, &x_title);
    for (row, marked) in marked.iter().enumerate() {
        draw_marked(&mut canvas, &axes, &area, text::LINE * (row + 1) as f64, marked);
    }
    let mut path = String::new();
    for (index, point) in points.iter().enumerate() {
        let (x, y) = (Coordinate(axes.x.at(point.x)), Coordinate(axes.y.at(point.y)));
        let _ = write!(path, "{}{x} {y}", if index == 0 { "M" } else { "L" });
    }
    canvas.tag("path").set("class", "jm-line jm-s0").set("d", &path).end();
    for point in points {
        axes.draw(&mut canvas, point, (&along.x, &along.y));
    }
    area.write_position(&mut canvas);
    canvas.finish(&head(bottom))
}

/// Returns whether the points, in ascending order, span so much that a logarithmic axis shows them better, as for
/// concurrency limits that double.
fn wide(points: &[&Point]) -> bool {
    let ends = points.first().zip(points.last()).map(|(first, last)| (first.x, last.x));
    ends.is_some_and(|(low, high)| number::usable_log(low) && high > 10.0 * low)
}

/// Returns the values of x to mark.
fn marked(along: &Along) -> Vec<Marked> {
    let unit = &along.x.unit;
    let best = along.best.as_ref().filter(|best| number::usable(best.x)).map(|best| {
        let interval = number::usable_interval(best.interval);
        let mut caption = format!("best: {}", number::with_unit(&number::measured(best.x, interval), unit));
        if let Some((low, high)) = interval {
            let [low, high] = [low, high].map(|end| number::measured(end, interval));
            caption += &format!(" ({low} to {high})");
        }
        Marked {
            x: best.x,
            interval,
            class: "jm-best",
            caption,
        }
    });
    let knee = along.knee.filter(|knee| number::usable(*knee)).map(|knee| {
        let caption = format!("knee: {}", number::with_unit(&number::brief(knee), unit));
        Marked {
            x: knee,
            interval: None,
            class: "jm-knee",
            caption,
        }
    });
    best.into_iter().chain(knee).collect()
}

/// Draws a vertical line, where its value lies on the axis, with its interval shaded and its name above the plot, in
/// its own row.
fn draw_marked(canvas: &mut Canvas, axes: &Axes, area: &Area, top: f64, marked: &Marked) {
    if !(axes.x.from..=axes.x.to).contains(&marked.x) {
        return;
    }
    let x = axes.x.at(marked.x);
    if let Some((low, high)) = marked.interval {
        let (low, high) = (axes.x.at(low), axes.x.at(high));
        let tag = canvas
            .tag("rect")
            .set("class", "jm-best-range")
            .at("x", low)
            .at("y", area.top);
        tag.at("width", high - low)
            .at("height", area.bottom - area.top)
            .titled(&marked.caption);
    }
    canvas.line(marked.class, (x, top + 20.0), (x, area.bottom));
    let caption = text::fit(&marked.caption, area.right - area.left);
    let centre = text::centred(x, text::width(&caption), (0.0, WIDTH));
    canvas.text("jm-label jm-middle jm-over", (centre, top + 16.0), &caption);
}
