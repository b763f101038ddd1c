//! Points with two values, for scatter plots and for curves along an axis.

use crate::axis::{self, Axis};
use crate::frame::{self, Area};
use crate::number;
use crate::svg::Canvas;

/// The label of an axis and its unit.
#[derive(Clone, Debug)]
pub struct AxisLabel {
    pub label: String,
    pub unit: String,
}

/// A point with its intervals, and a link to what it represents.
#[derive(Clone, Debug)]
pub struct Point {
    /// Name; a point without one has neither label nor tooltip.
    pub label: String,
    pub href: Option<String>,
    pub x: f64,
    pub y: f64,
    pub x_interval: Option<(f64, f64)>,
    pub y_interval: Option<(f64, f64)>,
    /// Whether no other point is better in both values (Pareto front).
    pub on_front: bool,
}

impl AxisLabel {
    /// Returns the label with its unit.
    pub(crate) fn titled(&self) -> String {
        frame::titled(&self.label, &self.unit)
    }
}

impl Point {
    /// Returns whether both values can be drawn.
    pub(crate) fn is_usable(&self) -> bool {
        number::usable(self.x) && number::usable(self.y)
    }
}

/// The axes of a plot of points.
pub(crate) struct Axes {
    pub x: Axis,
    pub y: Axis,
}

impl Axes {
    /// Returns axes that include all points and their intervals; `None` where there are no points.
    pub fn of(points: &[&Point], area: Area, logarithmic_x: bool) -> Option<Self> {
        let with = |value: f64, interval| {
            let (low, high) = number::usable_interval(interval).unwrap_or((value, value));
            [value, low, high]
        };
        let x = axis::range(points.iter().flat_map(|point| with(point.x, point.x_interval)))?;
        let y = axis::range(points.iter().flat_map(|point| with(point.y, point.y_interval)))?;
        let room = (y.1 - y.0) * 0.05;
        let low = if y.0 >= 0.0 { (y.0 - room).max(0.0) } else { y.0 - room };
        let across = (area.left, area.right);
        let x = if logarithmic_x {
            // An interval may reach zero, which a logarithmic axis cannot show.
            let positive = points.iter().flat_map(|point| with(point.x, point.x_interval));
            let positive = axis::range(positive.filter(|x| number::usable_log(*x)))?;
            Axis::log(positive, across, 8)
        } else {
            Axis::linear(x, across, 6)
        };
        let y = Axis::linear_from_zero((low, y.1), (area.bottom, area.top), 5);
        Some(Self { x, y })
    }

    /// Returns the ends of a point's whiskers.
    pub fn whiskers(&self, point: &Point) -> Vec<((f64, f64), (f64, f64))> {
        let (x, y) = (self.x.at(point.x), self.y.at(point.y));
        let across = number::usable_interval(point.x_interval);
        let across = across.map(|(low, high)| ((self.x.at(low), y), (self.x.at(high), y)));
        let up = number::usable_interval(point.y_interval);
        let up = up.map(|(low, high)| ((x, self.y.at(low)), (x, self.y.at(high))));
        across.into_iter().chain(up).collect()
    }

    /// Draws a point with its whiskers, tooltip and link.
    pub fn draw(&self, canvas: &mut Canvas, point: &Point, labels: (&AxisLabel, &AxisLabel)) {
        let (x, y) = (self.x.at(point.x), self.y.at(point.y));
        let href = point.href.as_deref().filter(|href| is_link(href));
        let tooltip = tooltip(point, labels);
        if let Some(href) = href {
            canvas.has_links();
            canvas.tag("a").set("href", href).open_titled(&tooltip);
        }
        for (from, to) in self.whiskers(point) {
            frame::whisker(canvas, from, to);
        }
        if href.is_some() {
            // Touching needs a larger area than the mark.
            canvas
                .tag("circle")
                .set("class", "jm-touch")
                .at("cx", x)
                .at("cy", y)
                .at("r", 14.0)
                .end();
        }
        let tag = if point.on_front {
            frame::diamond(canvas, "jm-point jm-front", (x, y))
        } else {
            canvas
                .tag("circle")
                .set("class", "jm-point jm-behind")
                .at("cx", x)
                .at("cy", y)
                .at("r", 4.5)
        };
        if href.is_some() || point.label.is_empty() {
            tag.end();
        } else {
            tag.titled(&tooltip);
        }
        if href.is_some() {
            canvas.close("a");
        }
    }
}

/// Returns whether a link is relative or uses HTTP. Other links, such as `javascript:`, are not drawn.
fn is_link(href: &str) -> bool {
    let scheme = href.split(['/', '?', '#']).next().unwrap_or_default();
    !scheme.contains(':') || href.starts_with("https://") || href.starts_with("http://")
}

/// Returns the tooltip of a point: its label, and both values with their intervals.
fn tooltip(point: &Point, labels: (&AxisLabel, &AxisLabel)) -> String {
    let value = |label: &AxisLabel, value, interval| {
        let interval = number::usable_interval(interval);
        let mut tooltip = format!(
            "{} {}",
            label.label,
            number::with_unit(&number::measured(value, interval), &label.unit)
        );
        if let Some((low, high)) = interval {
            tooltip += &format!(
                " ({} to {})",
                number::measured(low, interval),
                number::measured(high, interval)
            );
        }
        tooltip
    };
    let (x, y) = (
        value(labels.0, point.x, point.x_interval),
        value(labels.1, point.y, point.y_interval),
    );
    format!("{}: {x}, {y}", point.label)
}
