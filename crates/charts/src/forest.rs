//! Ratios with their intervals and verdicts, one a row, around a line at one.

use crate::axis::{self, Axis};
use crate::frame::{self, Area, RIGHT, WIDTH};
use crate::number;
use crate::svg::{Canvas, Coordinate, Head, Svg};
use crate::text;

/// The height of a row of two lines of text.
const ROW: f64 = 2.0 * text::LINE + 8.0;

/// Ratios in rows.
#[derive(Clone, Debug)]
pub struct Forest {
    pub title: String,
    pub description: String,
    pub rows: Vec<ForestRow>,
}

/// A ratio, its interval, and what it means in words.
#[derive(Clone, Debug)]
pub struct ForestRow {
    pub label: String,
    pub ratio: f64,
    pub interval: Option<(f64, f64)>,
    pub verdict: String,
}

/// Draws ratios on a logarithmic axis with a line at one; a row whose ratio is not positive says so.
pub fn forest(forest: &Forest) -> Svg {
    let head = |height| Head {
        chart: "forest",
        title: &forest.title,
        description: &forest.description,
        width: WIDTH,
        height,
    };
    let usable = forest.rows.iter().filter(|row| number::usable_log(row.ratio));
    let ends = usable.flat_map(|row| {
        let (low, high) = interval(row).unwrap_or((row.ratio, row.ratio));
        [row.ratio, low, high]
    });
    let Some((low, high)) = axis::range(ends) else {
        return frame::nothing(head(160.0), "");
    };
    let labels = forest
        .rows
        .iter()
        .map(|row| text::width(&row.label).max(text::width(&row.verdict)))
        .fold(0.0, f64::max);
    let left = labels.min(270.0) + 22.0;
    let right = RIGHT - 120.0;
    let axis = Axis::log((low.min(1.0), high.max(1.0)), (left, right), 5);
    let mut canvas = Canvas::default();
    let area = Area {
        left,
        right,
        top: 0.0,
        bottom: forest.rows.len() as f64 * ROW,
    };
    area.grid(&mut canvas, &axis);
    canvas.line("jm-one", (axis.at(1.0), area.top), (axis.at(1.0), area.bottom));
    for (index, row) in forest.rows.iter().enumerate() {
        draw_row(&mut canvas, &axis, &area, index as f64 * ROW, row);
    }
    let bottom = area.horizontal(&mut canvas, &axis, "ratio, logarithmic");
    canvas.finish(&head(bottom))
}

/// Returns the interval of a ratio where it can be drawn on a logarithmic axis.
fn interval(row: &ForestRow) -> Option<(f64, f64)> {
    number::usable_interval(row.interval).filter(|(low, _)| number::usable_log(*low))
}

/// Draws one row: label and verdict, the ratio with its whiskers, and both as text.
fn draw_row(canvas: &mut Canvas, axis: &Axis, area: &Area, top: f64, row: &ForestRow) {
    let room = area.left - 20.0;
    let (first, second, middle) = (top + 20.0, top + 20.0 + text::LINE, top + ROW / 2.0);
    canvas
        .tag("text")
        .set("class", "jm-label")
        .at("x", 8.0)
        .at("y", first)
        .titled_text(&row.label, &text::fit(&row.label, room));
    canvas
        .tag("text")
        .set("class", "jm-tick")
        .at("x", 8.0)
        .at("y", second)
        .titled_text(&row.verdict, &text::fit(&row.verdict, room));
    if !number::usable_log(row.ratio) {
        canvas.text("jm-tick jm-end", (RIGHT, middle + 5.0), "unknown");
        return;
    }
    let interval = interval(row);
    let ratio = number::measured(row.ratio, interval);
    let mut said = format!("{}: {ratio}", row.label);
    canvas.text("jm-value jm-end", (RIGHT, first), &ratio);
    if let Some((low, high)) = interval {
        let (from, to) = (axis.at(low), axis.at(high));
        canvas.line("jm-whisker", (from, middle), (to, middle));
        canvas.line("jm-whisker", (from, middle - 6.0), (from, middle + 6.0));
        canvas.line("jm-whisker", (to, middle - 6.0), (to, middle + 6.0));
        let text = format!(
            "{}–{}",
            number::measured(low, interval),
            number::measured(high, interval)
        );
        canvas.text("jm-tick jm-end", (RIGHT, second), &text);
        said += &format!(" ({text})");
    }
    let d = format!(
        "M{} {}l7 7-7 7-7-7z",
        Coordinate(axis.at(row.ratio)),
        Coordinate(middle - 7.0)
    );
    canvas
        .tag("path")
        .set("class", "jm-point jm-front")
        .set("d", &d)
        .titled(&format!("{said}, {}", row.verdict));
}
