//! Legends: samples and names in columns.

use crate::frame::{self, WIDTH};
use crate::svg::Canvas;
use crate::text;

/// The sample next to a name.
#[derive(Clone, Debug)]
pub(crate) enum Sample {
    /// A line in the style of a series.
    Line(usize),
    /// A box with a CSS class, and a fill where it is hatched.
    Box { class: String, fill: Option<String> },
}

/// Returns the CSS classes of a series: one of eight colours with a dash each, and other dashes beyond the eighth
/// series.
pub(crate) fn series(index: usize) -> String {
    match index / 8 {
        0 => format!("jm-s{index}"),
        round => format!("jm-s{} jm-r{}", index % 8, (round - 1) % 3 + 1),
    }
}

/// Draws a legend with its upper edge at `top` and returns its lower edge.
pub(crate) fn draw(canvas: &mut Canvas, top: f64, items: &[(Sample, String)]) -> f64 {
    const SAMPLE: f64 = 34.0;
    let widest = items.iter().map(|(_, name)| text::width(name)).fold(0.0, f64::max);
    let column = (widest + SAMPLE + 18.0).min(WIDTH);
    let columns = ((WIDTH) / column).floor().max(1.0) as usize;
    for (index, (sample, name)) in items.iter().enumerate() {
        let x = (index % columns) as f64 * column;
        let y = top + (index / columns) as f64 * text::LINE;
        match sample {
            Sample::Line(series_index) => {
                let class = format!("jm-line {}", series(*series_index));
                canvas.line(&class, (x, y + 11.0), (x + 26.0, y + 11.0));
            }
            Sample::Box { class, fill } => frame::block(canvas, class, fill.as_deref(), [x, y + 4.0, 26.0, 14.0], name),
        }
        canvas.text("jm-label", (x + SAMPLE, y + 16.0), &text::fit(name, column - SAMPLE));
    }
    top + items.len().div_ceil(columns) as f64 * text::LINE + if items.is_empty() { 0.0 } else { 8.0 }
}
