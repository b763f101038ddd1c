//! Forest plots: ratios with their intervals and verdicts, one in each row, around a line at one.

use crate::axis::{self, Axis};
use crate::frame::{self, Area, WIDTH};
use crate::number;
use crate::svg::{Canvas, Head, Svg};
use crate::text;

/// Ratios in rows.
#[derive(Clone, Debug)]
pub struct Forest {
    pub title: String,
    pub description: String,
    pub rows: Vec<ForestRow>,
}

/// A ratio with its interval and its verdict in words.
#[derive(Clone, Debug)]
pub struct ForestRow {
    pub label: String,
    pub ratio: f64,
    pub interval: Option<(f64, f64)>,
    pub verdict: String,
}

/// Draws ratios on a logarithmic axis with a line at one. A row whose ratio is not positive is labelled "unknown".
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
        return frame::nothing(head(frame::EMPTY));
    };
    let widths = forest
        .rows
        .iter()
        .flat_map(|row| [&row.label, &row.verdict])
        .map(|text| text::width(text));
    let left = widths.fold(0.0, f64::max).min(270.0) + 20.0;
    let values = forest
        .rows
        .iter()
        .flat_map(shown)
        .map(|text| text::width(&text))
        .fold(80.0, f64::max)
        .min(220.0);
    let right = WIDTH - values - 16.0;
    let axis = Axis::log((low.min(1.0), high.max(1.0)), (left, right), 6);
    let mut rows = Vec::new();
    let mut bottom = 0.0;
    for row in &forest.rows {
        let label = text::wrap(&row.label, left - 20.0);
        let height = (label.len() + 1) as f64 * text::LINE + 10.0;
        rows.push((bottom, height, label, row));
        bottom += height;
    }
    let area = Area {
        left,
        right,
        top: 0.0,
        bottom,
    };
    let mut canvas = Canvas::default();
    area.grid(&mut canvas, &axis);
    let bottom = area.horizontal(&mut canvas, &axis, "ratio, logarithmic");
    canvas.line("jm-one", (axis.at(1.0), area.top), (axis.at(1.0), area.bottom));
    for (top, height, label, row) in rows {
        draw_row(&mut canvas, &axis, &area, &RowPlace { top, height, label }, row);
    }
    canvas.finish(&head(bottom))
}

/// Returns the interval of a ratio where it can be drawn on a logarithmic axis.
fn interval(row: &ForestRow) -> Option<(f64, f64)> {
    number::usable_interval(row.interval).filter(|(low, _)| number::usable_log(*low))
}

/// Returns the ratio and its interval as text.
fn shown(row: &ForestRow) -> Vec<String> {
    if !number::usable_log(row.ratio) {
        return vec!["unknown".to_owned()];
    }
    let interval = interval(row);
    let range = interval.map(|(low, high)| [low, high].map(|end| number::measured(end, interval)).join(" to "));
    [number::measured(row.ratio, interval)]
        .into_iter()
        .chain(range)
        .collect()
}

/// Position of a row, and the lines of its label.
struct RowPlace {
    top: f64,
    height: f64,
    label: Vec<String>,
}

/// Draws a row: label and verdict, the ratio with its whiskers, and its figures as text.
fn draw_row(canvas: &mut Canvas, axis: &Axis, area: &Area, place: &RowPlace, row: &ForestRow) {
    let baseline = |line: usize| place.top + 20.0 + line as f64 * text::LINE;
    for (line, part) in place.label.iter().enumerate() {
        let tag = canvas
            .tag("text")
            .set("class", "jm-label")
            .at("x", 0.0)
            .at("y", baseline(line));
        tag.titled_text(&row.label, part);
    }
    let verdict = text::fit(&row.verdict, area.left - 20.0);
    let tag = canvas
        .tag("text")
        .set("class", "jm-tick")
        .at("x", 0.0)
        .at("y", baseline(place.label.len()));
    tag.titled_text(&row.verdict, &verdict);
    let shown = shown(row);
    for (line, text) in shown.iter().enumerate() {
        canvas.text(
            if line == 0 { "jm-value jm-end" } else { "jm-tick jm-end" },
            (WIDTH, baseline(line)),
            text,
        );
    }
    if !number::usable_log(row.ratio) {
        return;
    }
    let middle = place.top + place.height / 2.0 - 2.0;
    if let Some((low, high)) = interval(row) {
        frame::whisker(canvas, (axis.at(low), middle), (axis.at(high), middle));
    }
    let said = format!("{}: {}, {}", row.label, shown.join(", "), row.verdict);
    frame::diamond(canvas, "jm-point jm-s0", (axis.at(row.ratio), middle)).titled(&said);
}
