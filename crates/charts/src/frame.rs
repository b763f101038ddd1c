//! The parts around the data: the area of a plot, its grid, ticks and titles, and the drawing without data.

use crate::axis::Axis;
use crate::svg::{Canvas, Coordinate, Head, Svg, Tag};
use crate::text;

/// Width of every large drawing.
pub(crate) const WIDTH: f64 = 720.0;
/// Left edge of plots with tick labels on their left.
pub(crate) const LEFT: f64 = 70.0;
/// Right edge of plots.
pub(crate) const RIGHT: f64 = 704.0;

/// The area of a plot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Area {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Area {
    /// Draws the grid and the labels of a vertical axis.
    pub fn vertical(&self, canvas: &mut Canvas, axis: &Axis) {
        for (value, label) in &axis.ticks {
            let y = axis.at(*value);
            canvas.line("jm-grid", (self.left, y), (self.right, y));
            canvas.text("jm-tick jm-end", (self.left - 8.0, y + 5.0), label);
        }
    }

    /// Draws the grid of a horizontal axis.
    pub fn grid(&self, canvas: &mut Canvas, axis: &Axis) {
        canvas.tag("g").set("class", "jm-x-grid").open();
        for (value, _) in &axis.ticks {
            let x = axis.at(*value);
            canvas.line("jm-grid", (x, self.top), (x, self.bottom));
        }
        canvas.close("g");
    }

    /// Draws the labels of a horizontal axis below the area, as far as there is room, and its title; returns their
    /// lower edge.
    pub fn horizontal(&self, canvas: &mut Canvas, axis: &Axis, title: &str) -> f64 {
        let baseline = self.bottom + 20.0;
        let mut free_from = f64::NEG_INFINITY;
        canvas.tag("g").set("class", "jm-x-ticks").open();
        for (value, label) in &axis.ticks {
            let (x, width) = (axis.at(*value), text::width(label));
            canvas.line("jm-axis", (x, self.bottom), (x, self.bottom + 5.0));
            let centre = text::centred(x, width, (0.0, WIDTH));
            if centre - width / 2.0 >= free_from && width < 140.0 {
                canvas.text("jm-tick jm-middle", (centre, baseline), label);
                free_from = centre + width / 2.0 + 6.0;
            }
        }
        canvas.close("g");
        canvas.line("jm-axis", (self.left, self.bottom), (self.right, self.bottom));
        let title = text::fit(title, self.right - 8.0);
        canvas.text("jm-label jm-end", (self.right, baseline + text::LINE), &title);
        baseline + text::LINE + 8.0
    }

    /// Opens an inner `<svg>` over the area, with coordinates that begin at its corner and are finer by the factor
    /// `finer`. A script can zoom its content with the `viewBox`.
    pub fn plot<'a>(&self, canvas: &'a mut Canvas, class: &str, finer: f64) -> Tag<'a> {
        let (width, height) = (self.right - self.left, self.bottom - self.top);
        let view = format!("0 0 {} {}", Coordinate(width * finer), Coordinate(height * finer));
        let tag = canvas
            .tag("svg")
            .set("class", class)
            .at("x", self.left)
            .at("y", self.top);
        tag.at("width", width)
            .at("height", height)
            .set("viewBox", &view)
            .set("preserveAspectRatio", "none")
    }

    /// Writes the position of the plot as data attributes, for scripts.
    pub fn write_position(&self, canvas: &mut Canvas) {
        canvas.data("left", self.left);
        canvas.data("right", self.right);
        canvas.data("top", self.top);
        canvas.data("bottom", self.bottom);
    }
}

/// Draws an interval as a line with a cap at both ends, on a halo that sets it off from the background.
pub(crate) fn whisker(canvas: &mut Canvas, from: (f64, f64), to: (f64, f64)) {
    const CAP: f64 = 5.0;
    let ((x1, y1), (x2, y2)) = (from, to);
    let at = |x, y| format!("{} {}", Coordinate(x), Coordinate(y));
    let (across, cap) = if (y1 - y2).abs() < 0.05 {
        ((0.0, CAP), "v10")
    } else {
        ((CAP, 0.0), "h10")
    };
    let caps = |x: f64, y: f64| format!("M{}{cap}", at(x - across.0, y - across.1));
    let d = format!("M{}L{}{}{}", at(x1, y1), at(x2, y2), caps(x1, y1), caps(x2, y2));
    canvas.tag("path").set("class", "jm-halo").set("d", &d).end();
    canvas.tag("path").set("class", "jm-whisker").set("d", &d).end();
}

/// Draws a rectangle of left, top, width and height with a tooltip, hatched where a hatching is given.
pub(crate) fn block(canvas: &mut Canvas, class: &str, hatching: Option<&str>, place: [f64; 4], title: &str) {
    let [x, y, width, height] = place;
    let tag = canvas.tag("rect").set("class", class).at("x", x).at("y", y);
    tag.at("width", width).at("height", height).titled(title);
    if let Some(hatching) = hatching {
        let tag = canvas
            .tag("rect")
            .set("class", "jm-hatched")
            .set("fill", hatching)
            .at("x", x)
            .at("y", y);
        tag.at("width", width).at("height", height).end();
    }
}

/// Begins a diamond around a point.
pub(crate) fn diamond<'a>(canvas: &'a mut Canvas, class: &str, (x, y): (f64, f64)) -> Tag<'a> {
    let d = format!("M{} {}l7 7-7 7-7-7z", Coordinate(x), Coordinate(y - 7.0));
    canvas.tag("path").set("class", class).set("d", &d)
}

/// Draws an empty frame with the text "nothing to draw".
pub(crate) fn nothing(head: Head<'_>) -> Svg {
    let mut canvas = Canvas::default();
    let (width, height) = (head.width, head.height);
    let tag = canvas.tag("rect").set("class", "jm-empty").at("x", 1.0).at("y", 1.0);
    tag.at("width", width - 2.0).at("height", height - 2.0).end();
    canvas.text(
        "jm-label jm-middle",
        (width / 2.0, height / 2.0 + 5.0),
        "nothing to draw",
    );
    canvas.finish(&head)
}

/// Height of a large drawing without data.
pub(crate) const EMPTY: f64 = 120.0;

/// Returns the title of an axis with its unit.
pub(crate) fn titled(label: &str, unit: &str) -> String {
    if unit.is_empty() {
        label.to_owned()
    } else {
        format!("{label} ({unit})")
    }
}
