//! Thinning of a series to the columns of a drawing without changing what is visible.

use crate::number;

/// Returns the points of a series thinned to columns of equal width: each column keeps its first, last, smallest and
/// largest point. An interruption, a point whose value is NaN, is kept where it separates two columns.
///
/// A series with at most four points for each column is returned unchanged, in the order of time.
pub fn thin(points: &[(f64, f64)], columns: usize) -> Vec<(f64, f64)> {
    thinned(&seen(points, (f64::MIN, f64::MAX)), columns)
}

/// Returns the points within a span in the order of time; a value that cannot be drawn becomes an interruption.
pub(crate) fn seen(points: &[(f64, f64)], (from, to): (f64, f64)) -> Vec<(f64, f64)> {
    let seen = points.iter().filter(|(x, _)| (from..=to).contains(x));
    let mut seen: Vec<_> = seen
        .map(|(x, y)| (*x, if number::usable(*y) { *y } else { f64::NAN }))
        .collect();
    if !seen.is_sorted_by(|a, b| a.0 <= b.0) {
        seen.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    seen
}

/// Returns points, which are in the order of time, thinned as by [`thin`].
pub(crate) fn thinned(points: &[(f64, f64)], columns: usize) -> Vec<(f64, f64)> {
    let columns = columns.max(1);
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    if points.len() <= columns.saturating_mul(4) {
        return points.to_vec();
    }
    let (from, per_sec) = (first.0, columns as f64 / (last.0 - first.0));
    let column_of = |x: f64| (((x - from) * per_sec) as usize).min(columns - 1);
    let mut kept = Vec::with_capacity(columns.saturating_mul(5));
    let mut broken = false;
    let mut rest = points;
    while let Some(first) = rest.first() {
        let index = column_of(first.0);
        let count = rest
            .iter()
            .position(|point| column_of(point.0) != index)
            .unwrap_or(rest.len());
        let (column, after) = rest.split_at(count);
        rest = after;
        let Some(begin) = column.iter().position(|(_, y)| y.is_finite()) else {
            broken = true;
            continue;
        };
        let end = column.iter().rposition(|(_, y)| y.is_finite()).unwrap_or(begin);
        if (broken || begin > 0) && !kept.is_empty() {
            kept.push((column[begin].0, f64::NAN));
        }
        append_extremes(column, begin, end, &mut kept);
        broken = end + 1 < column.len();
    }
    kept
}

/// Appends the first, the last, the smallest and the largest point of a column, in the order of time.
fn append_extremes(column: &[(f64, f64)], begin: usize, end: usize, kept: &mut Vec<(f64, f64)>) {
    let (mut lowest, mut highest) = (begin, begin);
    for (index, (_, y)) in column.iter().enumerate().filter(|(_, (_, y))| y.is_finite()) {
        if *y < column[lowest].1 {
            lowest = index;
        }
        if *y > column[highest].1 {
            highest = index;
        }
    }
    let mut indices = [begin, lowest, highest, end];
    indices.sort_unstable();
    for (place, &index) in indices.iter().enumerate() {
        if place == 0 || index != indices[place - 1] {
            kept.push(column[index]);
        }
    }
}
