//! Draws figures as SVG: pure functions from plain values to text, without fonts, files or a clock.
//!
//! A drawing has classes alone: no `style=`, no `<style>`, no script, so that it is shown under a strict
//! Content-Security-Policy. [`STYLE`] is the CSS of those classes. Deliberately does not know experiments or HTTP.
//!
//! Every drawing has a `<title>` and a `<desc>`, and tooltips on what is drawn. A drawing that has no finite value says
//! "nothing to draw". One with links has the role `group`, all others `img`, whose content a screen reader passes over.
//!
//! What a script needs stands in attributes. The `<svg>` has `data-chart`; with axes `data-left`, `data-right`, `data-top`
//! and `data-bottom` of the plot in user units; with an axis of time `data-from-sec` and `data-to-sec`. A timeline draws
//! what lies over time in inner `<svg>` elements that span the whole time: a script zooms by the x and the width of their
//! `viewBox`, each in proportion to its own width. `.jm-panel` has `data-label`, `data-unit`, and `data-min` and `data-max`,
//! the values at its lower and upper edge; each line is a `<path>` with `data-name` in its coordinates. `.jm-strip` holds
//! bands and marks. What does not zoom by itself is in groups: `.jm-x-grid`, `.jm-x-ticks`,
//! `.jm-band-names` and `.jm-line-names`.

mod along;
mod axis;
mod bands;
mod bars;
mod distribution;
mod forest;
mod frame;
mod gantt;
mod labels;
mod legend;
mod marks;
mod number;
mod panel;
mod points;
mod roofline;
mod scatter;
mod sparkline;
mod svg;
mod text;
mod thinning;
mod timeline;

#[cfg(test)]
mod tests;

pub use along::{Along, Best, along};
pub use bands::{Band, BandKind};
pub use bars::{Bar, Bars, Group, bars};
pub use distribution::{Curve, Distribution, distribution};
pub use forest::{Forest, ForestRow, forest};
pub use gantt::{Gantt, Row, Span, SpanKind, gantt};
pub use marks::Mark;
pub use panel::{Line, Panel};
pub use points::{AxisLabel, Point};
pub use roofline::{Roofline, RooflinePoint, roofline};
pub use scatter::{Scatter, scatter};
pub use sparkline::{Sparkline, sparkline};
pub use svg::Svg;
pub use thinning::thin;
pub use timeline::{Timeline, timeline};

/// The CSS of every class that a drawing uses, light, dark and printed.
pub const STYLE: &str = include_str!("charts.css");
