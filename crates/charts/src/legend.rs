//! Legends: samples and names in columns.

use crate::frame::WIDTH;
use crate::svg::Canvas;
use crate::text;

/// What stands beside a name.
#[derive(Clone, Debug)]
pub(crate) enum Sample {
    /// A line in the style of a series.
    Line(usize),
    /// A box of a class, with a fill where it is hatched.
    Box { class: String, fill: Option<String> },
}

/// Returns the classes of a series: one of eight colours and dashes, other dashes for those after the eighth.
pub(crate) fn series(index: usize) -> String {
    match index / 8 {
        0 => format!("jm-s{index}"),
        round => format!("jm-s{} jm-r{}", index % 8, (round - 1) % 3 + 1),
    }
}

/// Draws a legend whose first line begins at a height, and returns where it ends.
pub(crate) fn draw(canvas: &mut Canvas, top: f64, items: &[(Sample, String)]) -> f64 {
    const SAMPLE: f64 = 34.0;
    let widest = items.iter().map(|(_, name)| text::width(name)).fold(0.0, f64::max);
    let column = (widest + SAMPLE + 18.0).min(WIDTH - 8.0);
    let columns = ((WIDTH - 8.0) / column).floor().max(1.0) as usize;
    for (index, (sample, name)) in items.iter().enumerate() {
        let x = 8.0 + (index % columns) as f64 * column;
        let y = top + (index / columns) as f64 * text::LINE;
        match sample {
            Sample::Line(series_index) => {
                let class = format!("jm-line {}", series(*series_index));
                canvas.line(&class, (x, y + 11.0), (x + 26.0, y + 11.0));
            }
            Sample::Box { class, fill } => {
                for fill in [None, fill.as_ref()].into_iter().take(1 + usize::from(fill.is_some())) {
                    let tag = canvas
                        .tag("rect")
                        .set("class", if fill.is_some() { "jm-hatched" } else { class });
                    let tag = tag.at("x", x).at("y", y + 4.0).at("width", 26.0).at("height", 14.0);
                    fill.into_iter().fold(tag, |tag, fill| tag.set("fill", fill)).end();
                }
            }
        }
        canvas.text("jm-label", (x + SAMPLE, y + 16.0), &text::fit(name, column - SAMPLE));
    }
    top + items.len().div_ceil(columns) as f64 * text::LINE + if items.is_empty() { 0.0 } else { 8.0 }
}
