//! Timelines: lines over time in panels, one below the other, with shaded phases behind them and marks below.

use crate::axis::Axis;
use crate::bands::{self, Band, BandKind};
use crate::frame::{self, Area, LEFT, RIGHT, WIDTH};
use crate::legend::{self, Sample};
use crate::marks::{self, Mark};
use crate::number;
use crate::panel::{self, LEADER, Panel, Shared};
use crate::svg::{Canvas, Head, Svg};
use crate::text::{self, SIZE};

/// Maximum number of points of all lines of a timeline together, so that its text stays small.
const MAX_POINTS: usize = 24_000;

/// Lines over time.
#[derive(Clone, Debug)]
pub struct Timeline {
    pub title: String,
    pub description: String,
    pub from_sec: f64,
    pub to_sec: f64,
    pub bands: Vec<Band>,
    /// Panels, one below the other, with a common time axis.
    pub panels: Vec<Panel>,
    pub marks: Vec<Mark>,
}

/// Draws lines over time in panels, with bands behind them and marks below. Lines with many points are thinned to
/// columns, so that all together have some tens of thousands of points.
pub fn timeline(timeline: &Timeline) -> Svg {
    let (title, description) = (&timeline.title, &timeline.description);
    let head = |height| Head {
        chart: "timeline",
        title,
        description,
        width: WIDTH,
        height,
    };
    let range = (timeline.from_sec, timeline.to_sec);
    if !number::usable(range.0) || !number::usable(range.1) || range.1 <= range.0 {
        return frame::nothing(head(frame::EMPTY));
    }
    let panels = panel::drawable(&timeline.panels, range);
    if panels.is_empty() && timeline.bands.is_empty() && timeline.marks.is_empty() {
        return frame::nothing(head(frame::EMPTY));
    }
    let names = panel::names(&panels);
    let beside = panel::beside(&names);
    let right = beside.map_or(RIGHT, |width| (WIDTH - width - LEADER - 4.0).floor());
    let (time, unit) = Axis::time(range, (LEFT, right), 7);
    let bands = bands::merged(&timeline.bands, &time);
    let mut canvas = Canvas::default();
    let top = legend::draw(&mut canvas, 0.0, &legend_items(&names, &bands));
    let below_rows = bands::draw_rows(&mut canvas, top, &bands, &time, unit);
    let lines = panels.iter().map(|panel| panel.lines.len()).sum::<usize>();
    let columns = (MAX_POINTS / 4 / lines.max(1)).clamp(8, (right - LEFT) as usize);
    let shared = Shared {
        time: &time,
        bands: &bands,
        names: &names,
        columns,
        beside: beside.is_some(),
    };
    let below_panels = draw_panels(&mut canvas, below_rows, &panels, &shared);
    let bottom = marks::draw(&mut canvas, below_panels, &timeline.marks, &time, unit);
    let area = Area {
        left: LEFT,
        right,
        top,
        bottom,
    };
    let bottom = area.horizontal(&mut canvas, &time, &frame::titled("time", unit.label()));
    canvas.data("from-sec", timeline.from_sec);
    canvas.data("to-sec", timeline.to_sec);
    area.write_position(&mut canvas);
    canvas.finish(&head(bottom))
}

/// Draws the panels one below the other and returns their lower edge.
fn draw_panels(canvas: &mut Canvas, top: f64, panels: &[Panel], shared: &Shared<'_>) -> f64 {
    let mut bottom = top;
    for panel in panels {
        let least = if panels.len() == 1 { 220.0_f64 } else { 130.0 };
        let names = if shared.beside {
            panel.lines.len() as f64 * SIZE + 8.0
        } else {
            0.0
        };
        let top = bottom + text::LINE + 6.0;
        let area = Area {
            left: LEFT,
            right: shared.time.end(),
            top,
            bottom: top + least.max(names),
        };
        panel::draw(canvas, panel, area, shared);
        bottom = area.bottom + 10.0;
    }
    bottom
}

/// Returns the legend: the lines, then the kinds of bands.
fn legend_items(names: &[String], bands: &[Band]) -> Vec<(Sample, String)> {
    let lines = names
        .iter()
        .enumerate()
        .map(|(index, name)| (Sample::Line(index), name.clone()));
    let kinds = BandKind::ALL
        .into_iter()
        .filter(|kind| bands.iter().any(|band| band.kind == *kind));
    let kinds = kinds.map(|kind| {
        let (class, name) = kind.class_and_name();
        (
            Sample::Box {
                class: format!("jm-band {class}"),
                fill: None,
            },
            name.to_owned(),
        )
    });
    lines.chain(kinds).collect()
}
