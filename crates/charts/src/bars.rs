//! Horizontal bars in groups, with whiskers.

use crate::axis::{self, Axis};
use crate::frame::{self, Area, RIGHT, WIDTH};
use crate::legend::{self, Sample};
use crate::number;
use crate::svg::{Canvas, Head, Svg};
use crate::text;

/// Height of the row of a bar.
const ROW: f64 = 30.0;

/// Bars in groups over one axis.
#[derive(Clone, Debug)]
pub struct Bars {
    pub title: String,
    pub description: String,
    pub unit: String,
    pub groups: Vec<Group>,
}

/// Bars under one heading.
#[derive(Clone, Debug)]
pub struct Group {
    pub label: String,
    pub bars: Vec<Bar>,
}

/// One value with its interval. An estimated value is hatched.
#[derive(Clone, Debug)]
pub struct Bar {
    pub label: String,
    pub value: f64,
    pub interval: Option<(f64, f64)>,
    pub estimated: bool,
}

/// The properties that all bars of a drawing share.
struct Common<'a> {
    axis: Axis,
    area: Area,
    unit: &'a str,
    /// Fill of the hatching of estimated bars.
    fill: String,
}

/// Draws horizontal bars. A bar without a finite value is labelled "unknown".
pub fn bars(bars: &Bars) -> Svg {
    let head = |height| Head {
        chart: "bars",
        title: &bars.title,
        description: &bars.description,
        width: WIDTH,
        height,
    };
    let all = || bars.groups.iter().flat_map(|group| &group.bars);
    let ends = all().filter(|bar| number::usable(bar.value)).flat_map(|bar| {
        let (low, high) = number::usable_interval(bar.interval).unwrap_or((bar.value, bar.value));
        [bar.value, low, high]
    });
    let Some((low, high)) = axis::range(ends) else {
        return frame::nothing(head(frame::EMPTY));
    };
    let mut canvas = Canvas::default();
    let (fill, top) = estimates(&mut canvas, all().any(|bar| bar.estimated));
    let widest = |texts: &mut dyn Iterator<Item = f64>, most: f64| texts.fold(0.0, f64::max).min(most);
    let left = widest(&mut all().map(|bar| text::width(&bar.label)), 240.0) + 14.0;
    let right = RIGHT - widest(&mut all().map(|bar| text::width(&shown(bar))), 200.0) - 12.0;
    let axis = Axis::linear((low.min(0.0), high.max(0.0)), (left, right), 4);
    let (places, bottom) = places(&bars.groups, top);
    let area = Area {
        left,
        right,
        top,
        bottom,
    };
    area.grid(&mut canvas, &axis);
    let common = Common {
        axis,
        area,
        unit: &bars.unit,
        fill,
    };
    canvas.line("jm-axis", (common.axis.at(0.0), top), (common.axis.at(0.0), bottom));
    for (series, group) in bars.groups.iter().enumerate() {
        let (heading, first) = places[series];
        canvas.text("jm-heading jm-over", (0.0, heading), &text::fit(&group.label, WIDTH));
        for (row, bar) in group.bars.iter().enumerate() {
            draw_bar(&mut canvas, &common, (series, first + (row as f64 + 0.5) * ROW), bar);
        }
    }
    let bottom = area.horizontal(&mut canvas, &common.axis, &bars.unit);
    canvas.finish(&head(bottom))
}

/// Defines the hatching of estimates and its legend where there are any; returns the fill and the upper edge of the
/// bars.
fn estimates(canvas: &mut Canvas, any: bool) -> (String, f64) {
    if !any {
        return (String::new(), 0.0);
    }
    let fill = canvas.hatching();
    let sample = Sample::Box {
        class: "jm-bar jm-s0".to_owned(),
        fill: Some(fill.clone()),
    };
    let top = legend::draw(canvas, 0.0, &[(sample, "hatched, with ≈: estimated".to_owned())]);
    (fill, top)
}

/// Returns the baseline of each group's heading with the upper edge of its bars, and the lower edge of all.
fn places(groups: &[Group], top: f64) -> (Vec<(f64, f64)>, f64) {
    let mut bottom = top;
    let places = groups.iter().map(|group| {
        let heading = if group.label.is_empty() { 0.0 } else { text::LINE + 4.0 };
        let first = bottom + heading;
        bottom = first + group.bars.len() as f64 * ROW + 6.0;
        (first - 6.0, first)
    });
    (places.collect(), bottom)
}

/// Draws a bar with its label, whiskers and value, centred at `middle`.
fn draw_bar(canvas: &mut Canvas, common: &Common<'_>, (series, middle): (usize, f64), bar: &Bar) {
    let (axis, left) = (&common.axis, common.area.left);
    let tag = canvas
        .tag("text")
        .set("class", "jm-label jm-end")
        .at("x", left - 8.0)
        .at("y", middle + 5.0);
    tag.titled_text(&bar.label, &text::fit(&bar.label, left - 8.0));
    if !number::usable(bar.value) {
        canvas.text("jm-tick", (axis.at(0.0) + 8.0, middle + 5.0), "unknown");
        return;
    }
    let tooltip = tooltip(bar, common.unit);
    let (from, to) = (axis.at(bar.value.min(0.0)), axis.at(bar.value.max(0.0)));
    let class = format!("jm-bar {}", legend::series(series));
    let hatching = bar.estimated.then_some(common.fill.as_str());
    frame::block(
        canvas,
        &class,
        hatching,
        [from, middle - 9.0, (to - from).max(1.0), 18.0],
        &tooltip,
    );
    let mut end = to;
    if let Some((low, high)) = number::usable_interval(bar.interval) {
        frame::whisker(canvas, (axis.at(low), middle), (axis.at(high), middle));
        end = end.max(axis.at(high));
    }
    canvas.text("jm-value jm-over", (end + 8.0, middle + 5.0), &shown(bar));
}

/// Returns the tooltip of a bar.
fn tooltip(bar: &Bar, unit: &str) -> String {
    let mut tooltip = format!("{}: {}", bar.label, number::with_unit(&shown(bar), unit));
    let interval = number::usable_interval(bar.interval);
    if let Some((low, high)) = interval {
        tooltip += &format!(
            ", {} to {}",
            number::measured(low, interval),
            number::measured(high, interval)
        );
    }
    if bar.estimated {
        tooltip += ", estimated";
    }
    tooltip
}

/// Returns the value as text, as it is written next to the bar.
fn shown(bar: &Bar) -> String {
    let value = number::measured(bar.value, number::usable_interval(bar.interval));
    if bar.estimated && number::usable(bar.value) {
        format!("≈ {value}")
    } else {
        value
    }
}
