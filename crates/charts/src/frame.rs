//! What surrounds the data: the area of a plot, its grid, ticks and titles, and the drawing that has no data.

use crate::axis::Axis;
use crate::svg::{Canvas, Head, Svg};
use crate::text;

/// The width of every large drawing.
pub(crate) const WIDTH: f64 = 720.0;
/// Where plots with labelled ticks at their left begin.
pub(crate) const LEFT: f64 = 70.0;
/// Where plots end.
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
        for (value, _) in &axis.ticks {
            let x = axis.at(*value);
            canvas.line("jm-grid", (x, self.top), (x, self.bottom));
        }
    }

    /// Draws the labels of a horizontal axis below the area, those that have room, and its title; returns where it ends.
    pub fn horizontal(&self, canvas: &mut Canvas, axis: &Axis, title: &str) -> f64 {
        let baseline = self.bottom + 20.0;
        let mut free_from = f64::NEG_INFINITY;
        for (value, label) in &axis.ticks {
            let (x, half) = (axis.at(*value), text::width(label) / 2.0);
            canvas.line("jm-axis", (x, self.bottom), (x, self.bottom + 5.0));
            let centre = x.clamp(half, WIDTH - half);
            if centre - half >= free_from {
                canvas.text("jm-tick jm-middle", (centre, baseline), label);
                free_from = centre + half + 6.0;
            }
        }
        canvas.line("jm-axis", (self.left, self.bottom), (self.right, self.bottom));
        canvas.text(
            "jm-label jm-end",
            (self.right, baseline + text::LINE),
            &text::fit(title, self.right - 8.0),
        );
        baseline + text::LINE + 8.0
    }

    /// Tells a script where the plot lies.
    pub fn tell(&self, canvas: &mut Canvas) {
        canvas.data("left", self.left);
        canvas.data("right", self.right);
        canvas.data("top", self.top);
        canvas.data("bottom", self.bottom);
    }
}

/// Draws an empty frame that says so, and why where there is a reason.
pub(crate) fn nothing(head: Head<'_>, reason: &str) -> Svg {
    let mut canvas = Canvas::default();
    let (width, height) = (head.width, head.height);
    canvas
        .tag("rect")
        .set("class", "jm-empty")
        .at("x", 1.0)
        .at("y", 1.0)
        .at("width", width - 2.0)
        .at("height", height - 2.0)
        .end();
    let said = if reason.is_empty() {
        "nothing to draw".to_owned()
    } else {
        format!("nothing to draw: {reason}")
    };
    canvas.text("jm-label jm-middle", (width / 2.0, height / 2.0 + 5.0), &said);
    canvas.finish(&head)
}

/// Returns the title of an axis with its unit.
pub(crate) fn titled(label: &str, unit: &str) -> String {
    if unit.is_empty() {
        label.to_owned()
    } else {
        format!("{label} ({unit})")
    }
}
