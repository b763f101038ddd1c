//! The roofline: what a device can reach at an arithmetic intensity, and what was reached.

use crate::axis::{self, Axis};
use crate::frame::{self, Area, LEFT, RIGHT, WIDTH};
use crate::legend;
use crate::number;
use crate::svg::{Canvas, Coordinate, Head, Svg};
use crate::text;

/// A device's two limits, and points that were reached.
#[derive(Clone, Debug)]
pub struct Roofline {
    pub title: String,
    pub description: String,
    pub peak_flops_per_sec: f64,
    pub bandwidth_bytes_per_sec: f64,
    pub points: Vec<RooflinePoint>,
}

/// What was reached at an arithmetic intensity.
#[derive(Clone, Debug)]
pub struct RooflinePoint {
    pub label: String,
    pub flops_per_byte: f64,
    pub flops_per_sec: f64,
}

/// Draws the limits of bandwidth and of arithmetic on two logarithmic axes, and the points below them.
pub fn roofline(roofline: &Roofline) -> Svg {
    let head = |height| Head {
        chart: "roofline",
        title: &roofline.title,
        description: &roofline.description,
        width: WIDTH,
        height,
    };
    let (peak, bandwidth) = (roofline.peak_flops_per_sec, roofline.bandwidth_bytes_per_sec);
    let ridge = peak / bandwidth;
    let usable =
        |point: &&RooflinePoint| number::usable_log(point.flops_per_byte) && number::usable_log(point.flops_per_sec);
    let points: Vec<&RooflinePoint> = roofline.points.iter().filter(usable).collect();
    let roof = number::usable_log(peak) && number::usable_log(bandwidth) && number::usable_log(ridge);
    let ridge_of = roof.then_some(ridge);
    let across = axis::range(points.iter().map(|point| point.flops_per_byte).chain(ridge_of));
    let Some((low, high)) = across else {
        return frame::nothing(head(240.0), "");
    };
    let area = Area {
        left: LEFT,
        right: RIGHT,
        top: text::LINE + 10.0,
        bottom: 360.0,
    };
    let x = Axis::log(clamp((low / 4.0, high * 4.0)), (area.left, area.right), 7);
    let limit = |intensity: f64| (intensity * bandwidth).min(peak);
    let ups = points.iter().map(|point| point.flops_per_sec);
    let roofs = [limit(x.from), peak]
        .into_iter()
        .filter(|value| roof && number::usable_log(*value));
    let Some(up) = axis::range(ups.chain(roofs)) else {
        return frame::nothing(head(240.0), "");
    };
    let y = Axis::log(clamp((up.0, up.1 * 1.5)), (area.bottom, area.top), 6);
    let mut canvas = Canvas::default();
    canvas.text("jm-label", (8.0, 16.0), "reached (FLOP/s)");
    area.vertical(&mut canvas, &y);
    area.grid(&mut canvas, &x);
    if roof {
        let at = |intensity: f64| format!("{} {}", Coordinate(x.at(intensity)), Coordinate(y.at(limit(intensity))));
        let d = format!("M{}L{}L{}", at(x.from), at(ridge), at(x.to));
        canvas.tag("path").set("class", "jm-roof").set("d", &d).titled(&format!(
            "{} FLOP/s, {} B/s, ridge at {} FLOP/B",
            number::brief(peak),
            number::brief(bandwidth),
            number::brief(ridge)
        ));
        canvas.text(
            "jm-tick jm-end",
            (area.right - 4.0, y.at(peak) - 8.0),
            &format!("peak {}FLOP/s", spaced(peak)),
        );
    }
    for (index, point) in points.iter().enumerate() {
        draw_point(
            &mut canvas,
            (&x, &y),
            index,
            point,
            roof.then(|| limit(point.flops_per_byte)),
        );
    }
    let bottom = area.horizontal(&mut canvas, &x, "arithmetic intensity (FLOP/B)");
    area.tell(&mut canvas);
    canvas.finish(&head(bottom))
}

/// Returns a range within what can be drawn.
fn clamp((low, high): (f64, f64)) -> (f64, f64) {
    (low.max(1e-100), high.min(1e100))
}

/// Returns a value with its prefix apart from the number.
fn spaced(value: f64) -> String {
    let text = number::brief(value);
    let split = text
        .find(|character: char| character.is_alphabetic())
        .unwrap_or(text.len());
    format!("{} {}", &text[..split], &text[split..])
}

/// Draws a point with its label and how much of the limit it reached.
fn draw_point(canvas: &mut Canvas, (x, y): (&Axis, &Axis), index: usize, point: &RooflinePoint, limit: Option<f64>) {
    let at = (x.at(point.flops_per_byte), y.at(point.flops_per_sec));
    let share = limit.map(|limit| {
        format!(
            ", {} % of the limit",
            number::brief(point.flops_per_sec / limit * 100.0)
        )
    });
    let said = format!(
        "{}: {}FLOP/s at {} FLOP/B{}",
        point.label,
        spaced(point.flops_per_sec),
        number::brief(point.flops_per_byte),
        share.unwrap_or_default()
    );
    let tag = canvas
        .tag("circle")
        .set("class", &format!("jm-point {}", legend::series(index)));
    tag.at("cx", at.0).at("cy", at.1).at("r", 6.0).titled(&said);
    let width = text::width(&point.label);
    let (class, from) = if at.0 + 12.0 + width > RIGHT {
        ("jm-label jm-end", at.0 - 10.0)
    } else {
        ("jm-label", at.0 + 10.0)
    };
    canvas.text(class, (from, at.1 + 18.0), &point.label);
}
