//! Lines over time in panels, one above the other, with the phases shaded behind them and marks beneath.

use std::fmt::Write;

use crate::axis::{self, Axis};
use crate::frame::{self, Area, LEFT, RIGHT, WIDTH};
use crate::legend::{self, Sample};
use crate::number::{self, TimeUnit};
use crate::svg::{Canvas, Head, Svg};
use crate::text;
use crate::thinning::thin;

/// How many points all lines of a timeline have together at most, so that its text stays small.
const MAX_POINTS: usize = 24_000;
/// Points of a plot's own coordinates in one user unit: its paths need no decimals.
const FINE: f64 = 10.0;
/// The number of labelled rows of marks that are drawn.
const MAX_MARK_ROWS: usize = 6;

/// Lines over time.
#[derive(Clone, Debug)]
pub struct Timeline {
    pub title: String,
    pub description: String,
    pub from_sec: f64,
    pub to_sec: f64,
    pub bands: Vec<Band>,
    /// Panels one above the other over one axis of time.
    pub panels: Vec<Panel>,
    pub marks: Vec<Mark>,
}

/// A span of time that is shaded behind all panels.
#[derive(Clone, Debug)]
pub struct Band {
    pub from_sec: f64,
    pub to_sec: f64,
    pub kind: BandKind,
    pub label: String,
}

/// What happens in a band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandKind {
    Load,
    WarmUp,
    Baseline,
    Cycle,
    Prefill,
    Decode,
    Settle,
    Other,
}

/// One plot of a timeline: lines of one unit.
#[derive(Clone, Debug)]
pub struct Panel {
    pub label: String,
    pub unit: String,
    pub lines: Vec<Line>,
}

/// A named series of seconds and values, in the order of time. A value that is not a number breaks the line.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// A span of time in which something is the matter, such as throttling, drawn as a hatched strip under the panels.
#[derive(Clone, Debug)]
pub struct Mark {
    pub from_sec: f64,
    pub to_sec: f64,
    pub label: String,
}

impl BandKind {
    const ALL: [Self; 8] = [
        Self::Load,
        Self::WarmUp,
        Self::Baseline,
        Self::Settle,
        Self::Cycle,
        Self::Prefill,
        Self::Decode,
        Self::Other,
    ];

    /// Returns the class and the name of the kind.
    fn class_and_name(self) -> (&'static str, &'static str) {
        match self {
            Self::Load => ("jm-load", "load"),
            Self::WarmUp => ("jm-warm-up", "warm-up"),
            Self::Baseline => ("jm-baseline", "baseline"),
            Self::Cycle => ("jm-cycle", "cycle"),
            Self::Prefill => ("jm-prefill", "prefill"),
            Self::Decode => ("jm-decode", "decode"),
            Self::Settle => ("jm-settle", "settle"),
            Self::Other => ("jm-other", "other"),
        }
    }

    /// Returns the row of the band: phases of the experiment above, phases of inference below.
    fn row(self) -> usize {
        usize::from(matches!(self, Self::Prefill | Self::Decode))
    }
}

/// Draws lines over time in panels, with bands behind them and marks beneath.
pub fn timeline(timeline: &Timeline) -> Svg {
    let head = |height| Head {
        chart: "timeline",
        title: &timeline.title,
        description: &timeline.description,
        width: WIDTH,
        height,
    };
    let range = (timeline.from_sec, timeline.to_sec);
    if !number::usable(range.0) || !number::usable(range.1) || range.1 <= range.0 {
        return frame::nothing(head(200.0), "");
    }
    let panels = drawable(timeline);
    if panels.is_empty() && timeline.bands.is_empty() && timeline.marks.is_empty() {
        return frame::nothing(head(200.0), "");
    }
    let (time, unit) = Axis::time(range, (LEFT, RIGHT), 7);
    let mut canvas = Canvas::default();
    let names = names(&panels);
    let bands = merged(&timeline.bands, &time);
    let mut top = legend::draw(&mut canvas, 0.0, &legend_items(&names, &bands));
    let plots_from = top;
    top = draw_rows(&mut canvas, top, &bands, &time, unit);
    let columns = (MAX_POINTS / 4 / panels.iter().map(|panel| panel.lines.len()).sum::<usize>().max(1)).min(640);
    for panel in &panels {
        let height = if panels.len() == 1 { 220.0 } else { 130.0 };
        let area = Area {
            left: LEFT,
            right: RIGHT,
            top: top + text::LINE + 4.0,
            bottom: top + text::LINE + 4.0 + height,
        };
        draw_panel(
            &mut canvas,
            panel,
            &PanelPlace {
                area,
                time: &time,
                bands: &bands,
                names: &names,
                columns: columns.max(8),
            },
        );
        top = area.bottom + 12.0;
    }
    top = draw_marks(&mut canvas, top, &timeline.marks, &time, unit);
    let area = Area {
        left: LEFT,
        right: RIGHT,
        top: plots_from,
        bottom: top,
    };
    let bottom = area.horizontal(&mut canvas, &time, &frame::titled("time", unit.label()));
    canvas.data("from-sec", timeline.from_sec);
    canvas.data("to-sec", timeline.to_sec);
    area.tell(&mut canvas);
    canvas.finish(&head(bottom))
}

/// Returns the panels with the lines that have a value to draw.
fn drawable(timeline: &Timeline) -> Vec<Panel> {
    let seen = |x: f64| (timeline.from_sec..=timeline.to_sec).contains(&x);
    let panels = timeline.panels.iter().map(|panel| {
        let lines = panel.lines.iter().filter_map(|line| {
            let points = line.points.iter().copied().filter(|(x, _)| seen(*x));
            let points: Vec<_> = points
                .map(|(x, y)| (x, if number::usable(y) { y } else { f64::NAN }))
                .collect();
            points.iter().any(|(_, y)| y.is_finite()).then(|| Line {
                name: line.name.clone(),
                points,
            })
        });
        Panel {
            label: panel.label.clone(),
            unit: panel.unit.clone(),
            lines: lines.collect(),
        }
    });
    panels.filter(|panel| !panel.lines.is_empty()).collect()
}

/// Returns the names of all lines once each: a name has one style in all panels.
fn names(panels: &[Panel]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in panels.iter().flat_map(|panel| &panel.lines) {
        if !names.contains(&line.name) {
            names.push(line.name.clone());
        }
    }
    names
}

/// Returns the bands that are seen, those of a kind that are less than a user unit apart and wide as one.
fn merged(bands: &[Band], time: &Axis) -> Vec<Band> {
    let usable = |band: &&Band| {
        let ends = band.from_sec.is_finite() && band.to_sec.is_finite() && band.from_sec <= band.to_sec;
        ends && band.to_sec >= time.from && band.from_sec <= time.to
    };
    let mut sorted: Vec<Band> = bands.iter().filter(usable).cloned().collect();
    sorted.sort_by(|a, b| a.from_sec.total_cmp(&b.from_sec));
    let mut kept: Vec<Band> = Vec::new();
    let mut last_of = [None::<usize>; BandKind::ALL.len()];
    for band in sorted {
        let last = &mut last_of[band.kind as usize];
        let near = |index: &usize| {
            let before: &Band = &kept[*index];
            let gap = time.at(band.from_sec) - time.at(before.to_sec);
            gap < 1.0 && time.at(band.to_sec) - time.at(band.from_sec) < 1.0
        };
        match last.filter(near) {
            Some(index) => kept[index].to_sec = kept[index].to_sec.max(band.to_sec),
            None => {
                *last = Some(kept.len());
                kept.push(band);
            }
        }
    }
    kept
}

/// Returns the legend: the lines where there are several, then the kinds of bands.
fn legend_items(names: &[String], bands: &[Band]) -> Vec<(Sample, String)> {
    let lines = names
        .iter()
        .enumerate()
        .map(|(index, name)| (Sample::Line(index), name.clone()));
    let mut items: Vec<_> = lines.collect();
    for kind in BandKind::ALL
        .into_iter()
        .filter(|kind| bands.iter().any(|band| band.kind == *kind))
    {
        let (class, name) = kind.class_and_name();
        items.push((
            Sample::Box {
                class: format!("jm-band {class}"),
                fill: None,
            },
            name.to_owned(),
        ));
    }
    items
}

/// Draws the rows of labelled bands above the panels, and returns where they end.
fn draw_rows(canvas: &mut Canvas, top: f64, bands: &[Band], time: &Axis, unit: TimeUnit) -> f64 {
    let mut bottom = top;
    for row in 0..2 {
        let bands: Vec<_> = bands.iter().filter(|band| band.kind.row() == row).collect();
        if bands.is_empty() {
            continue;
        }
        for band in bands {
            let (x, width) = place(time, band.from_sec, band.to_sec);
            let (class, name) = band.kind.class_and_name();
            let label = if band.label.is_empty() { name } else { &band.label };
            let tag = canvas.tag("rect").set("class", &format!("jm-band {class}"));
            let tag = tag.at("x", x).at("y", bottom).at("width", width).at("height", 22.0);
            tag.titled(&format!("{label}: {}", span(band.from_sec, band.to_sec, unit)));
            if text::width(label) + 4.0 <= width {
                canvas.text("jm-tick jm-middle jm-over", (x + width / 2.0, bottom + 16.0), label);
            }
        }
        bottom += 24.0;
    }
    bottom
}

/// Where and with what one panel is drawn.
struct PanelPlace<'a> {
    area: Area,
    time: &'a Axis,
    bands: &'a [Band],
    names: &'a [String],
    columns: usize,
}

/// Draws one panel: its heading and grid, and in coordinates of its own its bands and lines.
fn draw_panel(canvas: &mut Canvas, panel: &Panel, place: &PanelPlace<'_>) {
    let area = place.area;
    let values = panel
        .lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|(_, y)| *y)
        .filter(|y| y.is_finite());
    let Some(range) = axis::range(values) else { return };
    let vertical = Axis::linear_from_zero(range, (area.bottom, area.top), 4);
    canvas.text(
        "jm-label",
        (area.left, area.top - 8.0),
        &frame::titled(&panel.label, &panel.unit),
    );
    area.vertical(canvas, &vertical);
    area.grid(canvas, place.time);
    let (width, height) = (area.right - area.left, area.bottom - area.top);
    let tag = canvas
        .tag("svg")
        .set("class", "jm-panel")
        .at("x", area.left)
        .at("y", area.top);
    let tag = tag
        .at("width", width)
        .at("height", height)
        .set("preserveAspectRatio", "none");
    let tag = tag.set("viewBox", &format!("0 0 {} {}", width * FINE, height * FINE));
    let tag = tag.set("data-label", &panel.label).set("data-unit", &panel.unit);
    tag.figure("data-min", vertical.from)
        .figure("data-max", vertical.to)
        .open();
    for band in place.bands {
        let (x, band_width) = self::place(place.time, band.from_sec, band.to_sec);
        let tag = canvas
            .tag("rect")
            .set("class", &format!("jm-tint {}", band.kind.class_and_name().0));
        tag.at("x", ((x - area.left) * FINE).round())
            .at("y", 0.0)
            .at("width", (band_width * FINE).round())
            .at("height", height * FINE)
            .end();
    }
    for line in &panel.lines {
        let index = place.names.iter().position(|name| *name == line.name).unwrap_or(0);
        let points = thin(&line.points, place.columns);
        let points = points.into_iter().map(|(x, y)| {
            let y = if y.is_finite() {
                (vertical.at(y) - area.top) * FINE
            } else {
                f64::NAN
            };
            ((place.time.at(x) - area.left) * FINE, y)
        });
        let tag = canvas
            .tag("path")
            .set("class", &format!("jm-line {}", legend::series(index)));
        tag.set("data-name", &line.name)
            .set("d", &path(points))
            .titled(&line.name);
    }
    canvas.close("svg");
}

/// Returns a path through points of whole numbers, with steps relative to the one before; it begins anew after a break.
fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    let mut before: Option<(i64, i64)> = None;
    for (x, y) in points {
        if !y.is_finite() {
            before = None;
            continue;
        }
        let at = (x.round() as i64, y.round() as i64);
        let _ = match before {
            // A step of nothing makes a point that stands alone visible.
            None => write!(path, "M{} {}l0 0", at.0, at.1),
            Some(from) => {
                let (x, y) = (at.0 - from.0, at.1 - from.1);
                let (first, second) = (if x < 0 { "" } else { " " }, if y < 0 { "" } else { " " });
                write!(path, "{first}{x}{second}{y}")
            }
        };
        before = Some(at);
    }
    path
}

/// Draws rows of hatched strips with a label each, and returns where they end.
fn draw_marks(canvas: &mut Canvas, top: f64, marks: &[Mark], time: &Axis, unit: TimeUnit) -> f64 {
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
        canvas.text("jm-label", (LEFT, bottom + 14.0), &text::fit(label, RIGHT - LEFT));
        for mark in marks.iter().filter(|mark| mark.label == **label) {
            let (x, width) = place(time, mark.from_sec, mark.to_sec);
            let tag = canvas
                .tag("rect")
                .set("class", "jm-mark")
                .set("fill", &fill)
                .at("x", x)
                .at("y", bottom + 20.0);
            let tag = tag.at("width", width).at("height", 12.0);
            tag.titled(&format!("{label}: {}", span(mark.from_sec, mark.to_sec, unit)));
        }
        bottom += 38.0;
    }
    if labels.len() > MAX_MARK_ROWS {
        let left_out = format!("and {} other labels, not drawn", labels.len() - MAX_MARK_ROWS);
        canvas.text("jm-label", (LEFT, bottom + 14.0), &left_out);
        bottom += text::LINE;
    }
    bottom
}

/// Returns the left edge and the width of a span, at least one user unit wide.
fn place(time: &Axis, from_sec: f64, to_sec: f64) -> (f64, f64) {
    let (left, right) = (time.at(from_sec), time.at(to_sec));
    let left = left.min(RIGHT - 1.0);
    (left, (right - left).max(1.0))
}

/// Returns the text of a span of time.
fn span(from_sec: f64, to_sec: f64, unit: TimeUnit) -> String {
    let moment = |sec| number::moment(sec, unit, 0.1);
    format!("{} to {} {}", moment(from_sec), moment(to_sec), unit.label())
}
