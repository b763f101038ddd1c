//! Bands: spans of time that are shaded in a timeline, and the rows with their names.

use crate::axis::Axis;
use crate::frame::{Area, LEFT};
use crate::number::{self, TimeUnit};
use crate::svg::Canvas;
use crate::text;

/// A span of time that is shaded behind all panels.
#[derive(Clone, Debug)]
pub struct Band {
    pub from_sec: f64,
    pub to_sec: f64,
    pub kind: BandKind,
    pub label: String,
}

/// The kind of a band.
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

impl BandKind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Load,
        Self::WarmUp,
        Self::Baseline,
        Self::Settle,
        Self::Cycle,
        Self::Prefill,
        Self::Decode,
        Self::Other,
    ];

    /// Returns the CSS class and the name of the kind.
    pub(crate) fn class_and_name(self) -> (&'static str, &'static str) {
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

impl Band {
    /// Returns the label of the band, or the name of its kind where it has none.
    fn name(&self) -> &str {
        if self.label.is_empty() {
            self.kind.class_and_name().1
        } else {
            &self.label
        }
    }
}

/// Returns the visible bands. Bands of one kind that are narrower than a user unit and less than one apart are merged.
pub(crate) fn merged(bands: &[Band], time: &Axis) -> Vec<Band> {
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

/// Draws the rows of labelled bands above the panels and returns their lower edge.
pub(crate) fn draw_rows(canvas: &mut Canvas, top: f64, bands: &[Band], time: &Axis, unit: TimeUnit) -> f64 {
    let mut bottom = top;
    for row in 0..2 {
        let bands: Vec<_> = bands.iter().filter(|band| band.kind.row() == row).collect();
        if bands.is_empty() {
            continue;
        }
        let area = Area {
            left: LEFT,
            right: time.end(),
            top: bottom,
            bottom: bottom + 22.0,
        };
        area.plot(canvas, "jm-strip", 1.0).open();
        for band in &bands {
            let (x, width) = place(time, band.from_sec, band.to_sec);
            let tag = canvas
                .tag("rect")
                .set("class", &format!("jm-band {}", band.kind.class_and_name().0));
            let tag = tag.at("x", x - LEFT).at("y", 1.0).at("width", width).at("height", 20.0);
            tag.titled(&format!("{}: {}", band.name(), span(band.from_sec, band.to_sec, unit)));
        }
        canvas.close("svg");
        canvas.tag("g").set("class", "jm-band-names").open();
        for band in bands {
            let (x, width) = place(time, band.from_sec, band.to_sec);
            if text::width(band.name()) + 4.0 <= width {
                canvas.text(
                    "jm-tick jm-middle jm-in-band",
                    (x + width / 2.0, bottom + 16.0),
                    band.name(),
                );
            }
        }
        canvas.close("g");
        bottom += 24.0;
    }
    bottom
}

/// Returns the left edge and the width of a span, at least one user unit wide.
pub(crate) fn place(time: &Axis, from_sec: f64, to_sec: f64) -> (f64, f64) {
    let (left, right) = (time.at(from_sec), time.at(to_sec));
    let left = left.min(time.end() - 1.0);
    (left, (right - left).max(1.0))
}

/// Returns the label of a span of time.
pub(crate) fn span(from_sec: f64, to_sec: f64, unit: TimeUnit) -> String {
    let moment = |sec| number::moment(sec, unit, 0.1);
    format!("{} to {} {}", moment(from_sec), moment(to_sec), unit.label())
}
