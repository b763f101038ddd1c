//! Labels next to points and at the ends of lines that do not overlap.

use crate::frame::Area;
use crate::svg::Canvas;
use crate::text::{self, SIZE};

/// Distance around a point that no label covers.
const POINT: f64 = 8.0;

/// A rectangle by its edges.
#[derive(Clone, Copy, Debug)]
struct Room {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Room {
    /// Returns whether the two rectangles overlap.
    fn meets(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }
}

/// The labels of a plot and the space that is occupied.
pub(crate) struct Labels {
    area: Area,
    taken: Vec<Room>,
}

impl Labels {
    /// Creates the labels of a plot with these points.
    pub fn around(area: Area, points: impl Iterator<Item = (f64, f64)>) -> Self {
        let around = |(x, y)| Room {
            left: x - POINT,
            right: x + POINT,
            top: y - POINT,
            bottom: y + POINT,
        };
        Self {
            area,
            taken: points.map(around).collect(),
        }
    }

    /// Occupies the space of a text that is already drawn, which begins at a point, or ends there if `ends_here`.
    pub fn take(&mut self, (x, y): (f64, f64), text: &str, ends_here: bool) {
        let left = if ends_here { x - text::width(text) } else { x };
        self.taken.push(Room {
            left,
            right: left + text::width(text),
            top: y - SIZE,
            bottom: y + 5.0,
        });
    }

    /// Occupies the space around a straight line.
    pub fn take_line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let (left, right) = (from.0.min(to.0) - 6.0, from.0.max(to.0) + 6.0);
        self.taken.push(Room {
            left,
            right,
            top: from.1.min(to.1) - 6.0,
            bottom: from.1.max(to.1) + 6.0,
        });
    }

    /// Draws a label at the first free side of its point; draws none where all sides are occupied.
    pub fn draw(&mut self, canvas: &mut Canvas, (x, y): (f64, f64), label: &str) {
        let width = text::width(label);
        let sides = [
            ("jm-start", x + 11.0, y + 5.0),
            ("jm-end", x - 11.0, y + 5.0),
            ("jm-middle", x, y - 12.0),
            ("jm-middle", x, y + 24.0),
            ("jm-start", x + 8.0, y - 10.0),
            ("jm-start", x + 8.0, y + 22.0),
            ("jm-end", x - 8.0, y - 10.0),
            ("jm-end", x - 8.0, y + 22.0),
        ];
        for (class, at, baseline) in sides {
            let left = match class {
                "jm-start" => at,
                "jm-end" => at - width,
                _ => at - width / 2.0,
            };
            let room = Room {
                left,
                right: left + width,
                top: baseline - SIZE * 0.8,
                bottom: baseline + 4.0,
            };
            let within = room.left >= self.area.left && room.right <= self.area.right;
            let within = within && room.top >= self.area.top && room.bottom <= self.area.bottom;
            if within && !self.taken.iter().any(|taken| taken.meets(&room)) {
                canvas.text(&format!("jm-label jm-over {class}"), (at, baseline), label);
                self.taken.push(room);
                return;
            }
        }
    }
}

/// Returns positions that are at least `distance` apart, near the wanted ones, between two limits; `None` where there
/// is no room for all.
pub(crate) fn spread(wanted: &[f64], (top, bottom): (f64, f64), distance: f64) -> Option<Vec<f64>> {
    if (wanted.len().saturating_sub(1)) as f64 * distance > bottom - top {
        return None;
    }
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut places = wanted.to_vec();
    let mut free = top;
    for &index in &order {
        places[index] = places[index].max(free);
        free = places[index] + distance;
    }
    let mut free = bottom;
    for &index in order.iter().rev() {
        places[index] = places[index].min(free);
        free = places[index] - distance;
    }
    Some(places)
}
