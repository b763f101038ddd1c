//! The roofline: the performance that a device can reach at an arithmetic intensity, and what was reached.

use crate::axis::{self, Axis};
use crate::frame::{self, Area, LEFT, RIGHT, WIDTH};
use crate::labels::Labels;
use crate::legend;
use crate::number;
use crate::svg::{Canvas, Coordinate, Head, Svg};
use crate::text;

/// A device's two limits, and measured points.
#[derive(Clone, Debug)]
pub struct Roofline {
    pub title: String,
    pub description: String,
    pub peak_flops_per_sec: f64,
    pub bandwidth_bytes_per_sec: f64,
    pub points: Vec<RooflinePoint>,
}

/// The performance that was reached at an arithmetic intensity.
#[derive(Clone, Debug)]
pub struct RooflinePoint {
    pub label: String,
    pub flops_per_byte: f64,
    pub flops_per_sec: f64,
}

/// The limits of a device.
#[derive(Clone, Copy)]
struct Roof {
    peak: f64,
    bandwidth: f64,
}

impl Roof {
    /// Returns the limits; `None` where one is unknown.
    fn of(roofline: &Roofline) -> Option<Self> {
        let (peak, bandwidth) = (roofline.peak_flops_per_sec, roofline.bandwidth_bytes_per_sec);
        let known = [peak, bandwidth, peak / bandwidth].into_iter().all(number::usable_log);
        known.then_some(Self { peak, bandwidth })
    }

    /// Returns the arithmetic intensity above which arithmetic is the limit.
    fn ridge(self) -> f64 {
        self.peak / self.bandwidth
    }

    /// Returns the limit at an arithmetic intensity.
    fn limit(self, flops_per_byte: f64) -> f64 {
        (flops_per_byte * self.bandwidth).min(self.peak)
    }
}

/// Draws the limits of bandwidth and arithmetic on two logarithmic axes, and the points.
pub fn roofline(roofline: &Roofline) -> Svg {
    let head = |height| Head {
        chart: "roofline",
        title: &roofline.title,
        description: &roofline.description,
        width: WIDTH,
        height,
    };
    let usable =
        |point: &&RooflinePoint| number::usable_log(point.flops_per_byte) && number::usable_log(point.flops_per_sec);
    let points: Vec<&RooflinePoint> = roofline.points.iter().filter(usable).collect();
    let roof = Roof::of(roofline);
    let area = Area {
        left: LEFT,
        right: RIGHT,
        top: text::LINE + 10.0,
        bottom: 370.0,
    };
    let Some((x, y)) = axes(&points, roof, area) else {
        return frame::nothing(head(frame::EMPTY));
    };
    let mut canvas = Canvas::default();
    canvas.text("jm-label", (0.0, 16.0), "reached (FLOP/s)");
    area.vertical(&mut canvas, &y);
    area.grid(&mut canvas, &x);
    let left_out = match roofline.points.len() - points.len() {
        0 => String::new(),
        count => format!("{count} without a positive value left out; "),
    };
    let bottom = area.horizontal(&mut canvas, &x, &format!("{left_out}arithmetic intensity (FLOP/B)"));
    let at = |point: &RooflinePoint| (x.at(point.flops_per_byte), y.at(point.flops_per_sec));
    let mut labels = Labels::around(area, points.iter().map(|point| at(point)));
    if let Some(roof) = roof {
        draw_roof(&mut canvas, roof, (&x, &y), &mut labels);
    }
    for (index, point) in points.iter().enumerate() {
        // Its share of the limit is left out, because it is only meaningful where the point is a single phase.
        let tooltip = format!(
            "{}: {}, {} FLOP/B",
            point.label,
            flops(point.flops_per_sec),
            number::brief(point.flops_per_byte)
        );
        let tag = canvas
            .tag("circle")
            .set("class", &format!("jm-point {}", legend::series(index)));
        tag.at("cx", at(point).0)
            .at("cy", at(point).1)
            .at("r", 6.0)
            .titled(&tooltip);
    }
    for point in &points {
        labels.draw(&mut canvas, at(point), &text::fit(&point.label, 300.0));
    }
    area.write_position(&mut canvas);
    canvas.finish(&head(bottom))
}

/// Returns axes that include all points, the ridge and its surroundings; `None` where there are neither points nor
/// limits.
fn axes(points: &[&RooflinePoint], roof: Option<Roof>, area: Area) -> Option<(Axis, Axis)> {
    let (low, high) = axis::range(
        points
            .iter()
            .map(|point| point.flops_per_byte)
            .chain(roof.map(Roof::ridge)),
    )?;
    let x = Axis::log(within_limits(low / 4.0, high * 6.0), (area.left, area.right), 7);
    let roofs = roof
        .into_iter()
        .flat_map(|roof| [roof.limit(x.from), roof.peak])
        .filter(|value| number::usable_log(*value));
    let (low, high) = axis::range(points.iter().map(|point| point.flops_per_sec).chain(roofs))?;
    let y = Axis::log(within_limits(low, high * 2.0), (area.bottom, area.top), 6);
    Some((x, y))
}

/// Limits a range to the values that can be drawn.
fn within_limits(low: f64, high: f64) -> (f64, f64) {
    (low.max(1e-100), high.min(1e100))
}

/// Draws both limits with their names along them.
fn draw_roof(canvas: &mut Canvas, roof: Roof, (x, y): (&Axis, &Axis), labels: &mut Labels) {
    let at = |intensity: f64| (x.at(intensity), y.at(roof.limit(intensity)));
    let [from, ridge, to] = [x.from, roof.ridge(), x.to].map(at);
    let d = [from, ridge, to]
        .map(|(x, y)| format!("{} {}", Coordinate(x), Coordinate(y)))
        .join("L");
    let (peak, bandwidth) = (flops(roof.peak), format!("{}B/s", spaced(roof.bandwidth)));
    let tooltip = format!("{peak}, {bandwidth}, ridge at {} FLOP/B", number::brief(roof.ridge()));
    canvas
        .tag("path")
        .set("class", "jm-roof")
        .set("d", &format!("M{d}"))
        .titled(&tooltip);
    let peak = format!("peak {peak}");
    let place = (to.0 - 4.0, to.1 - 8.0);
    canvas.text("jm-tick jm-end jm-over", place, &peak);
    labels.take(place, &peak, true);
    let (across, up) = (ridge.0 - from.0, from.1 - ridge.1);
    if across.hypot(up) < 240.0 {
        return;
    }
    // Along the slope, at its middle.
    let middle = (from.0 + across * 0.5, from.1 - up * 0.5);
    let turn = format!(
        "rotate({} {} {})",
        Coordinate(-up.atan2(across).to_degrees()),
        Coordinate(middle.0),
        Coordinate(middle.1)
    );
    let tag = canvas
        .tag("text")
        .set("class", "jm-tick jm-middle jm-over")
        .at("x", middle.0)
        .at("y", middle.1 - 9.0);
    tag.set("transform", &turn).text(&format!("bandwidth {bandwidth}"));
}

/// Returns a rate of arithmetic with its unit.
fn flops(value: f64) -> String {
    format!("{}FLOP/s", spaced(value))
}

/// Returns a value to which a unit can be appended: it ends with a unit prefix, or else with a space.
fn spaced(value: f64) -> String {
    let text = number::brief(value);
    if text.ends_with(char::is_alphabetic) {
        text
    } else {
        text + " "
    }
}
