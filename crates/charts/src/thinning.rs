//! Thinning of a series to the columns of a drawing, keeping what the eye would see of all of it.

/// Returns the points of a series thinned to columns of equal width: each column keeps its first, its last, its smallest
/// and its largest point. A break, a point whose value is not a number, is kept where it parts two columns.
///
/// A series of at most four points a column is returned as it is, in the order of time.
pub fn thin(points: &[(f64, f64)], columns: usize) -> Vec<(f64, f64)> {
    let mut points: Vec<_> = points.iter().copied().filter(|(x, _)| x.is_finite()).collect();
    if !points.is_sorted_by(|a, b| a.0 <= b.0) {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    let columns = columns.max(1);
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    if points.len() <= columns.saturating_mul(4) {
        return points;
    }
    let (from, span) = (first.0, last.0 - first.0);
    let column_of = |x: f64| (((x - from) / span * columns as f64) as usize).min(columns - 1);
    let mut kept = Vec::with_capacity(columns.saturating_mul(5));
    let mut broken = false;
    for column in points.chunk_by(|a, b| column_of(a.0) == column_of(b.0)) {
        let begin = column.iter().position(|(_, y)| y.is_finite());
        let Some(begin) = begin else {
            broken = true;
            continue;
        };
        let end = column.iter().rposition(|(_, y)| y.is_finite()).unwrap_or(begin);
        if (broken || begin > 0) && !kept.is_empty() {
            kept.push((column[begin].0, f64::NAN));
        }
        keep(column, begin, end, &mut kept);
        broken = end + 1 < column.len();
    }
    kept
}

/// Appends the first, the last, the smallest and the largest point of a column, in the order of time.
fn keep(column: &[(f64, f64)], begin: usize, end: usize, kept: &mut Vec<(f64, f64)>) {
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
