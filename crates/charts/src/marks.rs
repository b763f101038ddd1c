//! Spans of time in which something is the matter, as rows of hatched strips.

use crate::axis::Axis;
use crate::bands::{place, span};
use crate::frame::LEFT;
use crate::number::TimeUnit;
use crate::svg::Canvas;
use crate::text;

/// The number of labelled rows of marks that are drawn.
const MAX_MARK_ROWS: usize = 6;

/// A span of time in which something is the matter, such as throttling, drawn as a hatched strip under the panels.
#[derive(Clone, Debug)]
pub struct Mark {
    pub from_sec: f64,
    pub to_sec: f64,
    pub label: String,
}

/// Draws rows of hatched strips with a label each, and returns where they end.
pub(crate) fn draw(canvas: &mut Canvas, top: f64, marks: &[Mark], time: &Axis, unit: TimeUnit) -> f64 {
    let seen = |mark: &&Mark| mark.from_sec <= mark.to_sec && mark.to_sec >= time.from && mark.from_sec <= time.to;
    let marks: Vec<&Mark> = marks.iter().filter(seen).collect();
    let mut labels: Vec<&str> = Vec::new();
    for mark in &marks {
        if !labels.contains(&mark.label.as_str()) {
            labels.push(&mark.label);
        }
    }
    if labels.is_empty() {
        return top;
    }
    let fill = canvas.hatching();
    let mut bottom = top;
    for label in labels.iter().take(MAX_MARK_ROWS) {
        canvas.text("jm-label", (LEFT, bottom + 14.0), &text::fit(label, time.end() - LEFT));
        let tag = canvas
            .tag("rect")
            .set("class", "jm-track")
            .at("x", LEFT)
            .at("y", bottom + 20.0);
        tag.at("width", time.end() - LEFT).at("height", 12.0).end();
        for mark in marks.iter().filter(|mark| mark.label == **label) {
            let (x, width) = place(time, mark.from_sec, mark.to_sec);
            let tag = canvas
                .tag("rect")
                .set("class", "jm-mark")
                .set("fill", &fill)
                .at("x", x)
                .at("y", bottom + 20.0);
            let tag = tag.at("width", width).at("height", 12.0);
            tag.titled(&format!("{label}: {}", span(mark.from_sec, mark.to_sec, unit)));
        }
        bottom += 38.0;
    }
    if labels.len() > MAX_MARK_ROWS {
        let left_out = format!("and {} other labels, not drawn", labels.len() - MAX_MARK_ROWS);
        canvas.text("jm-label", (LEFT, bottom + 14.0), &left_out);
        bottom += text::LINE;
    }
    bottom
}
