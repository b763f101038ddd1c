//! Draws figures as SVG: pure functions from plain values to text, without fonts, files or a clock.
//!
//! A drawing has classes alone: no `style=`, no `<style>`, no script, so that it is shown under a strict
//! Content-Security-Policy. [`STYLE`] is the CSS of those classes. Deliberately does not know experiments or HTTP.
//!
//! Every drawing has a `<title>` and a `<desc>`, tooltips on what is drawn, and `data-*` attributes from which a script
//! reads the axes. A drawing that has no finite value says "nothing to draw".

mod along;
mod axis;
mod bars;
mod distribution;
mod forest;
mod frame;
mod gantt;
mod legend;
mod number;
mod points;
mod roofline;
mod scatter;
mod sparkline;
mod svg;
mod text;
mod thinning;
mod timeline;

pub use along::{Along, Best, along};
pub use bars::{Bar, Bars, Group, bars};
pub use distribution::{Curve, Distribution, distribution};
pub use forest::{Forest, ForestRow, forest};
pub use gantt::{Gantt, Row, Span, SpanKind, gantt};
pub use points::{AxisLabel, Point};
pub use roofline::{Roofline, RooflinePoint, roofline};
pub use scatter::{Scatter, scatter};
pub use sparkline::{Sparkline, sparkline};
pub use svg::Svg;
pub use thinning::thin;
pub use timeline::{Band, BandKind, Line, Mark, Panel, Timeline, timeline};

/// The CSS of every class that a drawing uses, light, dark and printed.
pub const STYLE: &str = include_str!("charts.css");
