//! One plot of a timeline: its lines over the bands, in its own coordinates, and the lines' names next to their ends.

use std::fmt::Write;

use crate::axis::{self, Axis};
use crate::bands::{self, Band};
use crate::frame::{self, Area};
use crate::labels;
use crate::legend;
use crate::svg::{Canvas, Coordinate};
use crate::text::{self, SIZE};
use crate::thinning::{seen, thinned};

/// Number of units of a plot's own coordinates in one user unit, so that its paths need no decimals.
const FINE: f64 = 10.0;
/// Length of the line from the end of a line to its name.
pub(crate) const LEADER: f64 = 14.0;

/// One plot of a timeline: lines of one unit.
#[derive(Clone, Debug)]
pub struct Panel {
    pub label: String,
    pub unit: String,
    pub lines: Vec<Line>,
}

/// A named series of seconds and values, in the order of time. A value of NaN interrupts the line.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Returns the names of all lines, each once; lines of one name have the same style in all panels.
pub(crate) fn names(panels: &[Panel]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in panels.iter().flat_map(|panel| &panel.lines) {
        if !names.contains(&line.name) {
            names.push(line.name.clone());
        }
    }
    names
}

/// Returns the width of the names next to the ends of the lines; `None` where there is one line, or where the names are
/// too many or too long.
pub(crate) fn beside(names: &[String]) -> Option<f64> {
    let width = names.iter().map(|name| text::width(name)).fold(0.0, f64::max);
    ((2..=8).contains(&names.len()) && width <= 110.0).then_some(width)
}

/// Returns the panels with the lines that have a value in a span of time.
pub(crate) fn drawable(panels: &[Panel], span: (f64, f64)) -> Vec<Panel> {
    let drawable_line = |line: &Line| {
        let points = seen(&line.points, span);
        points.iter().any(|(_, y)| y.is_finite()).then(|| Line {
            name: line.name.clone(),
            points,
        })
    };
    let panels = panels.iter().map(|panel| {
        let lines = panel.lines.iter().filter_map(drawable_line).collect();
        Panel {
            label: panel.label.clone(),
            unit: panel.unit.clone(),
            lines,
        }
    });
    panels.filter(|panel| !panel.lines.is_empty()).collect()
}

/// The properties that all panels of a timeline share.
pub(crate) struct Shared<'a> {
    pub time: &'a Axis,
    pub bands: &'a [Band],
    /// Names of all lines; their order determines the styles.
    pub names: &'a [String],
    /// Number of columns to which lines are thinned.
    pub columns: usize,
    /// Whether the lines' names are written next to their ends.
    pub beside: bool,
}

impl Shared<'_> {
    /// Returns the classes of a line.
    fn series(&self, line: &Line) -> String {
        legend::series(self.names.iter().position(|name| *name == line.name).unwrap_or(0))
    }
}

/// Draws a panel: its heading and grid, and in its own coordinates the bands and lines.
pub(crate) fn draw(canvas: &mut Canvas, panel: &Panel, area: Area, shared: &Shared<'_>) {
    let values = panel.lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y);
    let Some(range) = axis::range(values.filter(|y| y.is_finite())) else {
        return;
    };
    let vertical = Axis::linear_from_zero(axis::steadied(range), (area.bottom, area.top), 4);
    canvas.text(
        "jm-label",
        (area.left, area.top - 8.0),
        &frame::titled(&panel.label, &panel.unit),
    );
    area.vertical(canvas, &vertical);
    area.grid(canvas, shared.time);
    let tag = area
        .plot(canvas, "jm-panel", FINE)
        .set("data-label", &panel.label)
        .set("data-unit", &panel.unit);
    tag.figure("data-min", vertical.from)
        .figure("data-max", vertical.to)
        .open();
    draw_bands(canvas, area, shared);
    for line in &panel.lines {
        let points: Vec<_> = thinned(&line.points, shared.columns)
            .into_iter()
            .map(|(x, y)| {
                let y = if y.is_finite() {
                    (vertical.at(y) - area.top) * FINE
                } else {
                    f64::NAN
                };
                ((shared.time.at(x) - area.left) * FINE, y)
            })
            .collect();
        let tag = canvas
            .tag("path")
            .set("class", &format!("jm-line {}", shared.series(line)));
        tag.set("data-name", &line.name)
            .set("d", &path(&points))
            .titled(&line.name);
    }
    canvas.close("svg");
    if shared.beside {
        draw_names(canvas, panel, area, &vertical, shared);
    }
}

/// Draws the bands in the coordinates of the plot.
fn draw_bands(canvas: &mut Canvas, area: Area, shared: &Shared<'_>) {
    for band in shared.bands {
        let (x, width) = bands::place(shared.time, band.from_sec, band.to_sec);
        let tag = canvas
            .tag("rect")
            .set("class", &format!("jm-tint {}", band.kind.class_and_name().0));
        let tag = tag.at("x", ((x - area.left) * FINE).round()).at("y", 0.0);
        tag.at("width", (width * FINE).round())
            .at("height", (area.bottom - area.top) * FINE)
            .end();
    }
}

/// Draws the names of the lines next to their ends, where there is room for all.
fn draw_names(canvas: &mut Canvas, panel: &Panel, area: Area, vertical: &Axis, shared: &Shared<'_>) {
    let last = |line: &Line| {
        line.points
            .iter()
            .rev()
            .find(|(_, y)| y.is_finite())
            .map(|(_, y)| vertical.at(*y))
    };
    let ends: Vec<f64> = panel.lines.iter().filter_map(last).collect();
    let Some(places) = labels::spread(&ends, (area.top + 4.0, area.bottom - 4.0), SIZE) else {
        return;
    };
    canvas.tag("g").set("class", "jm-line-names").open();
    for ((line, end), at) in panel.lines.iter().zip(ends).zip(places) {
        let d = format!(
            "M{} {}l{} {}",
            area.right,
            Coordinate(end),
            LEADER - 4.0,
            Coordinate(at - end)
        );
        canvas
            .tag("path")
            .set("class", &format!("jm-leader {}", shared.series(line)))
            .set("d", &d)
            .end();
        canvas.text("jm-tick", (area.right + LEADER, at + 5.0), &line.name);
    }
    canvas.close("g");
}

/// Returns a path through points, rounded to integers, with steps relative to the previous point; it begins anew after
/// an interruption.
fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for run in points.split(|(_, y)| !y.is_finite()).filter(|run| !run.is_empty()) {
        let mut before = whole(run[0]);
        if run.len() == 1 {
            // A single point is drawn as a dash of two user units.
            let _ = write!(path, "M{} {}h{}", (before.0 - FINE as i64).max(0), before.1, 2.0 * FINE);
            continue;
        }
        let _ = write!(path, "M{} {}l", before.0, before.1);
        for (index, point) in run[1..].iter().enumerate() {
            let at = whole(*point);
            let (x, y) = (at.0 - before.0, at.1 - before.1);
            let first = if x < 0 || index == 0 { "" } else { " " };
            let _ = write!(path, "{first}{x}{}{y}", if y < 0 { "" } else { " " });
            before = at;
        }
    }
    path
}

/// Returns the coordinates rounded to integers.
fn whole((x, y): (f64, f64)) -> (i64, i64) {
    (x.round() as i64, y.round() as i64)
}
