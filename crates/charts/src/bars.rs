//! Horizontal bars in groups, with whiskers.

use crate::axis::{self, Axis};
use crate::frame::{self, Area, RIGHT, WIDTH};
use crate::legend;
use crate::number;
use crate::svg::{Canvas, Head, Svg};
use crate::text;

/// The height of a bar's row.
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

/// One value with its interval. An estimated one is hatched.
#[derive(Clone, Debug)]
pub struct Bar {
    pub label: String,
    pub value: f64,
    pub interval: Option<(f64, f64)>,
    pub estimated: bool,
}

/// Draws horizontal bars; a bar without a finite value says "unknown".
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
        return frame::nothing(head(160.0), "");
    };
    let shown = all().map(shown);
    let labels = all().map(|bar| text::width(&bar.label)).fold(0.0, f64::max).min(240.0);
    let values = shown.map(|shown| text::width(&shown)).fold(0.0, f64::max).min(200.0);
    let left = labels + 22.0;
    let axis = Axis::linear((low.min(0.0), high.max(0.0)), (left, RIGHT - values - 12.0), 4);
    let mut canvas = Canvas::default();
    let estimated = all().any(|bar| bar.estimated);
    let fill = if estimated { canvas.hatching() } else { String::new() };
    let mut top = 0.0;
    if estimated {
        let sample = legend::Sample::Box {
            class: "jm-bar jm-estimated jm-s0".to_owned(),
            fill: Some(fill.clone()),
        };
        top = legend::draw(&mut canvas, top, &[(sample, "hatched: estimated".to_owned())]);
    }
    let mut rows = Vec::new();
    let first = top;
    for (index, group) in bars.groups.iter().enumerate() {
        if !group.label.is_empty() {
            top += text::LINE + 4.0;
            rows.push((top - 6.0, index, None));
        }
        for bar in &group.bars {
            rows.push((top, index, Some(bar)));
            top += ROW;
        }
        top += 6.0;
    }
    let area = Area {
        left,
        right: RIGHT - values - 12.0,
        top: first,
        bottom: top,
    };
    area.grid(&mut canvas, &axis);
    for (y, index, bar) in rows {
        match bar {
            None => canvas.text(
                "jm-heading",
                (8.0, y),
                &text::fit(&bars.groups[index].label, WIDTH - 16.0),
            ),
            Some(bar) => draw_bar(
                &mut canvas,
                &axis,
                &Place {
                    y,
                    left,
                    unit: &bars.unit,
                    series: index,
                    fill: &fill,
                },
                bar,
            ),
        }
    }
    canvas.line("jm-axis", (axis.at(0.0), first), (axis.at(0.0), top));
    let bottom = area.horizontal(&mut canvas, &axis, &bars.unit);
    canvas.finish(&head(bottom))
}

/// Where and how a bar is drawn.
struct Place<'a> {
    y: f64,
    left: f64,
    unit: &'a str,
    series: usize,
    fill: &'a str,
}

/// Draws a bar with its label, whiskers and value.
fn draw_bar(canvas: &mut Canvas, axis: &Axis, place: &Place<'_>, bar: &Bar) {
    let middle = place.y + ROW / 2.0;
    let label = text::fit(&bar.label, place.left - 16.0);
    canvas
        .tag("text")
        .set("class", "jm-label jm-end")
        .at("x", place.left - 8.0)
        .at("y", middle + 5.0)
        .titled_text(&bar.label, &label);
    if !number::usable(bar.value) {
        canvas.text("jm-tick", (axis.at(0.0) + 8.0, middle + 5.0), "unknown");
        return;
    }
    let interval = number::usable_interval(bar.interval);
    let value = number::with_unit(&shown(bar), place.unit);
    let mut said = format!("{}: {value}", bar.label);
    if let Some((low, high)) = interval {
        said += &format!(
            ", {} to {}",
            number::measured(low, interval),
            number::measured(high, interval)
        );
    }
    if bar.estimated {
        said += ", estimated";
    }
    let (from, to) = (axis.at(bar.value.min(0.0)), axis.at(bar.value.max(0.0)));
    let class = format!(
        "jm-bar {}{}",
        legend::series(place.series),
        if bar.estimated { " jm-estimated" } else { "" }
    );
    for (class, fill) in [(class.as_str(), ""), ("jm-hatched", place.fill)]
        .into_iter()
        .take(1 + usize::from(bar.estimated))
    {
        let tag = canvas
            .tag("rect")
            .set("class", class)
            .at("x", from)
            .at("y", middle - 9.0);
        let tag = tag.at("width", (to - from).max(1.0)).at("height", 18.0);
        if fill.is_empty() { tag } else { tag.set("fill", fill) }.titled(&said);
    }
    let mut end = to;
    if let Some((low, high)) = interval {
        let (low, high) = (axis.at(low), axis.at(high));
        canvas.line("jm-whisker", (low, middle), (high, middle));
        canvas.line("jm-whisker", (low, middle - 5.0), (low, middle + 5.0));
        canvas.line("jm-whisker", (high, middle - 5.0), (high, middle + 5.0));
        end = end.max(high);
    }
    canvas.text("jm-value", (end + 8.0, middle + 5.0), &shown(bar));
}

/// Returns the value as it stands beside its bar.
fn shown(bar: &Bar) -> String {
    number::measured(bar.value, number::usable_interval(bar.interval))
}
