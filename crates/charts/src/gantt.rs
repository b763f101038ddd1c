//! Spans of time in rows.

use crate::axis::Axis;
use crate::frame::{self, Area, RIGHT, WIDTH};
use crate::legend::{self, Sample};
use crate::number;
use crate::svg::{Canvas, Head, Svg};
use crate::text;

/// The number of rows that are drawn.
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

/// What a request does in a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    Queued,
    Prefill,
    Decode,
    Failed,
}

impl SpanKind {
    const ALL: [Self; 4] = [Self::Queued, Self::Prefill, Self::Decode, Self::Failed];

    /// Returns the class and the name of the kind.
    fn class_and_name(self) -> (&'static str, &'static str) {
        match self {
            Self::Queued => ("jm-queued", "queued"),
            Self::Prefill => ("jm-prefill", "prefill"),
            Self::Decode => ("jm-decode", "decode"),
            Self::Failed => ("jm-failed", "failed"),
        }
    }
}

/// Draws spans in rows; says how many rows after the four hundredth were left out.
pub fn gantt(gantt: &Gantt) -> Svg {
    let head = |height| Head {
        chart: "gantt",
        title: &gantt.title,
        description: &gantt.description,
        width: WIDTH,
        height,
    };
    let range = (gantt.from_sec, gantt.to_sec);
    let seen = |span: &&Span| span.from_sec <= span.to_sec && span.to_sec >= range.0 && span.from_sec <= range.1;
    let usable = number::usable(range.0) && number::usable(range.1) && range.0 < range.1;
    if !usable || !gantt.rows.iter().flat_map(|row| &row.spans).any(|span| seen(&span)) {
        return frame::nothing(head(200.0), "");
    }
    let drawn = &gantt.rows[..gantt.rows.len().min(MAX_ROWS)];
    let labels = drawn
        .iter()
        .map(|row| text::width(&row.label))
        .fold(0.0, f64::max)
        .min(180.0);
    let left = labels + 22.0;
    let (time, unit) = Axis::time(range, (left, RIGHT), 6);
    let mut canvas = Canvas::default();
    let kinds = SpanKind::ALL
        .into_iter()
        .filter(|kind| drawn.iter().any(|row| row.spans.iter().any(|span| span.kind == *kind)));
    let items = kinds.map(|kind| {
        let (class, name) = kind.class_and_name();
        (
            Sample::Box {
                class: format!("jm-span {class}"),
                fill: None,
            },
            name.to_owned(),
        )
    });
    let top = legend::draw(&mut canvas, 0.0, &items.collect::<Vec<_>>());
    let row_height = (900.0 / drawn.len() as f64).clamp(3.0, 26.0);
    let area = Area {
        left,
        right: RIGHT,
        top,
        bottom: top + row_height * drawn.len() as f64,
    };
    area.grid(&mut canvas, &time);
    let every = (text::LINE / row_height).ceil().max(1.0) as usize;
    for (index, row) in drawn.iter().enumerate() {
        let y = top + index as f64 * row_height;
        if index % every == 0 {
            let label = text::fit(&row.label, left - 16.0);
            canvas.text(
                "jm-tick jm-end",
                (left - 8.0, (y + row_height / 2.0 + 5.0).max(y + 5.0)),
                &label,
            );
        }
        for span in row.spans.iter().filter(seen) {
            let (x, end) = (time.at(span.from_sec).min(RIGHT - 1.0), time.at(span.to_sec));
            let (class, name) = span.kind.class_and_name();
            let moment = |sec| number::moment(sec, unit, 0.01);
            let mut said = format!(
                "{}, {name}: {} to {} {}",
                row.label,
                moment(span.from_sec),
                moment(span.to_sec),
                unit.label()
            );
            if !span.label.is_empty() {
                said += &format!(", {}", span.label);
            }
            let tag = canvas
                .tag("rect")
                .set("class", &format!("jm-span {class}"))
                .at("x", x)
                .at("y", y + row_height * 0.1);
            tag.at("width", (end - x).max(1.0))
                .at("height", row_height * 0.8)
                .titled(&said);
        }
    }
    let bottom = area.horizontal(&mut canvas, &time, &title(gantt.rows.len(), unit.label()));
    canvas.data("from-sec", gantt.from_sec);
    canvas.data("to-sec", gantt.to_sec);
    area.tell(&mut canvas);
    canvas.finish(&head(bottom))
}

/// Returns the title of the axis of time, with the count of rows that are not drawn.
fn title(rows: usize, unit: &str) -> String {
    let time = frame::titled("time", unit);
    match rows.saturating_sub(MAX_ROWS) {
        0 => time,
        left_out => format!("the first {MAX_ROWS} of {rows}, {left_out} left out; {time}"),
    }
}
