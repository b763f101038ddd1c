//! Draws figures as SVG: pure functions from plain values to text, without fonts, files or a clock.
//!
//! A drawing is styled only by CSS classes: it has no `style=`, no `<style>` and no script, so that a strict
//! Content-Security-Policy allows it. [`STYLE`] is the CSS of these classes. Experiments and HTTP are left to others.
//!
//! Every drawing has a `<title>` and a `<desc>`, and tooltips on its elements. A drawing without a finite value
//! contains the text "nothing to draw". One with links has the role `group`; all others have the role `img`, whose
//! content screen readers skip.
//!
//! Attributes contain what a script needs. The `<svg>` has `data-chart`; with axes, `data-left`, `data-right`,
//! `data-top` and `data-bottom` of the plot in user units; with a time axis, `data-from-sec` and `data-to-sec`. A
//! timeline draws everything that depends on time in inner `<svg>` elements that span the whole time. A script zooms by
//! setting x and width of their `viewBox`, each in proportion to the element's own width. `.jm-panel` has `data-label`,
//! `data-unit`, and `data-min` and `data-max`, the values at its lower and upper edge; each line is a `<path>` with
//! `data-name` in its coordinates. `.jm-strip` contains bands and marks. Elements that do not zoom with the `viewBox`
//! are in groups: `.jm-x-grid`, `.jm-x-ticks`, `.jm-band-names` and `.jm-line-names`.

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

/// The CSS of every class that a drawing uses, for light, dark and printed pages.
pub const STYLE: &str = include_str!("charts.css");
