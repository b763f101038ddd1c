//! Marks: spans of time with a problem, such as throttling, as rows of hatched strips.

use crate::axis::Axis;
use crate::bands::{place, span};
use crate::frame::{Area, LEFT};
use crate::number::TimeUnit;
use crate::svg::Canvas;
use crate::text;

/// Maximum number of labelled rows of marks that are drawn.
const MAX_MARK_ROWS: usize = 6;

/// A span of time with a problem, such as throttling, which is drawn as a hatched strip below the panels.
#[derive(Clone, Debug)]
pub struct Mark {
    pub from_sec: f64,
    pub to_sec: f64,
    pub label: String,
}

/// Draws a labelled row of hatched strips for each label and returns their lower edge.
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
        let area = Area {
            left: LEFT,
            right: time.end(),
            top: bottom + 20.0,
            bottom: bottom + 32.0,
        };
        let tag = canvas
            .tag("rect")
            .set("class", "jm-track")
            .at("x", area.left)
            .at("y", area.top);
        tag.at("width", area.right - area.left).at("height", 12.0).end();
        area.plot(canvas, "jm-strip", 1.0).open();
        for (from_sec, to_sec) in merged(marks.iter().filter(|mark| mark.label == **label), time) {
            let (x, width) = place(time, from_sec, to_sec);
            let tag = canvas
                .tag("rect")
                .set("class", "jm-mark")
                .set("fill", &fill)
                .at("x", x - LEFT)
                .at("y", 0.5);
            let tag = tag.at("width", width).at("height", 11.0);
            tag.titled(&format!("{label}: {}", span(from_sec, to_sec, unit)));
        }
        canvas.close("svg");
        bottom += 38.0;
    }
    if labels.len() > MAX_MARK_ROWS {
        let left_out = format!("and {} other labels, not drawn", labels.len() - MAX_MARK_ROWS);
        canvas.text("jm-label", (LEFT, bottom + 14.0), &left_out);
        bottom += text::LINE;
    }
    bottom
}

/// Returns the spans of marks in the order of time; spans without a visible gap between them are merged.
fn merged<'a>(marks: impl Iterator<Item = &'a &'a Mark>, time: &Axis) -> Vec<(f64, f64)> {
    let mut spans: Vec<(f64, f64)> = marks.map(|mark| (mark.from_sec, mark.to_sec)).collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for (from_sec, to_sec) in spans {
        match kept.last_mut().filter(|last| time.at(from_sec) - time.at(last.1) < 0.5) {
            Some(last) => last.1 = last.1.max(to_sec),
            None => kept.push((from_sec, to_sec)),
        }
    }
    kept
}
