//! Gantt charts: spans of time in rows.

use crate::axis::Axis;
use crate::frame::{self, Area, RIGHT, WIDTH};
use crate::legend::{self, Sample};
use crate::number::{self, TimeUnit};
use crate::svg::{Canvas, Head, Svg};
use crate::text;

/// Maximum number of rows that are drawn.
const MAX_ROWS: usize = 400;

/// Spans of time in rows.
#[derive(Clone, Debug)]
pub struct Gantt {
    pub title: String,
    pub description: String,
    pub from_sec: f64,
    pub to_sec: f64,
    pub rows: Vec<Row>,
}

/// The spans of one request.
#[derive(Clone, Debug)]
pub struct Row {
    pub label: String,
    pub spans: Vec<Span>,
}

/// One span of a row.
#[derive(Clone, Debug)]
pub struct Span {
    pub from_sec: f64,
    pub to_sec: f64,
    pub kind: SpanKind,
    pub label: String,
}

/// The kind of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    Queued,
    Prefill,
    Decode,
    Failed,
}

impl SpanKind {
    const ALL: [Self; 4] = [Self::Queued, Self::Prefill, Self::Decode, Self::Failed];

    /// Returns the CSS class and the name of the kind.
    fn class_and_name(self) -> (&'static str, &'static str) {
        match self {
            Self::Queued => ("jm-queued", "queued"),
            Self::Prefill => ("jm-prefill", "prefill"),
            Self::Decode => ("jm-decode", "decode"),
            Self::Failed => ("jm-failed", "failed"),
        }
    }
}

/// Draws spans in rows. After 400 rows, the rest are left out, and their number is stated.
pub fn gantt(gantt: &Gantt) -> Svg {
    let (title, description) = (&gantt.title, &gantt.description);
    let head = |height| Head {
        chart: "gantt",
        title,
        description,
        width: WIDTH,
        height,
    };
    let range = (gantt.from_sec, gantt.to_sec);
    let seen = |span: &&Span| span.from_sec <= span.to_sec && span.to_sec >= range.0 && span.from_sec <= range.1;
    let usable = number::usable(range.0) && number::usable(range.1) && range.0 < range.1;
    if !usable || !gantt.rows.iter().flat_map(|row| &row.spans).any(|span| seen(&span)) {
        return frame::nothing(head(frame::EMPTY));
    }
    let drawn = &gantt.rows[..gantt.rows.len().min(MAX_ROWS)];
    let labels = drawn.iter().map(|row| text::width(&row.label));
    let left = labels.fold(0.0, f64::max).min(180.0) + 14.0;
    let (time, unit) = Axis::time(range, (left, RIGHT), 6);
    let mut canvas = Canvas::default();
    let fill = canvas.hatching();
    let top = legend::draw(&mut canvas, 0.0, &legend_items(drawn, &fill));
    let height = (900.0 / drawn.len() as f64).clamp(2.0, 26.0);
    let area = Area {
        left,
        right: RIGHT,
        top,
        bottom: top + height * drawn.len() as f64,
    };
    area.grid(&mut canvas, &time);
    let bottom = area.horizontal(&mut canvas, &time, &time_title(gantt.rows.len(), unit.label()));
    let every = (text::LINE / height).ceil().max(1.0) as usize;
    for (index, row) in drawn.iter().enumerate() {
        let y = top + (index as f64 + 0.5) * height;
        if index % every == 0 {
            canvas.text(
                "jm-tick jm-end",
                (left - 8.0, y + 5.0),
                &text::fit(&row.label, left - 8.0),
            );
        }
        let place = SpanPlace {
            time: &time,
            unit,
            y,
            height,
            fill: &fill,
        };
        row.spans
            .iter()
            .filter(seen)
            .for_each(|span| draw_span(&mut canvas, &place, row, span));
    }
    canvas.data("from-sec", gantt.from_sec);
    canvas.data("to-sec", gantt.to_sec);
    area.write_position(&mut canvas);
    canvas.finish(&head(bottom))
}

/// Returns the legend of the kinds that are drawn.
fn legend_items(rows: &[Row], fill: &str) -> Vec<(Sample, String)> {
    let is_drawn = |kind: &SpanKind| rows.iter().any(|row| row.spans.iter().any(|span| span.kind == *kind));
    let items = SpanKind::ALL.into_iter().filter(is_drawn).map(|kind| {
        let (class, name) = kind.class_and_name();
        let fill = (kind == SpanKind::Failed).then(|| fill.to_owned());
        (
            Sample::Box {
                class: format!("jm-span {class}"),
                fill,
            },
            name.to_owned(),
        )
    });
    items.collect()
}

/// Position and style of a span.
struct SpanPlace<'a> {
    time: &'a Axis,
    unit: TimeUnit,
    /// Vertical centre of its row.
    y: f64,
    height: f64,
    fill: &'a str,
}

/// Draws a span with its tooltip; a failed one is hatched.
fn draw_span(canvas: &mut Canvas, place: &SpanPlace<'_>, row: &Row, span: &Span) {
    let (x, end) = (
        place.time.at(span.from_sec).min(RIGHT - 1.0),
        place.time.at(span.to_sec),
    );
    let (class, name) = span.kind.class_and_name();
    let [from, to] = [span.from_sec, span.to_sec].map(|sec| number::moment(sec, place.unit, 0.01));
    let mut tooltip = format!("{}, {name}: {from} to {to} {}", row.label, place.unit.label());
    if !span.label.is_empty() {
        tooltip += &format!(", {}", span.label);
    }
    let class = format!("jm-span {class}");
    let hatching = (span.kind == SpanKind::Failed).then_some(place.fill);
    let (top, height) = (place.y - place.height * 0.4, place.height * 0.8);
    frame::block(canvas, &class, hatching, [x, top, (end - x).max(1.0), height], &tooltip);
}

/// Returns the title of the time axis, with the number of rows that are left out.
fn time_title(rows: usize, unit: &str) -> String {
    let time = frame::titled("time", unit);
    match rows.saturating_sub(MAX_ROWS) {
        0 => time,
        left_out => format!("the first {MAX_ROWS} of {rows}, {left_out} left out; {time}"),
    }
}
