//! Pareto fronts of a sweep: throughput and speed against energy.

use std::collections::HashMap;

use joulemark_charts::{AxisLabel, Point, Scatter, Svg, scatter};

use super::table_page::TablePage;
use crate::compared::metric_named;
use crate::http::experiments::pareto::{Axes, ParetoFront, ParetoPoint};
use crate::http::pages::sweep_words::point_in_words;
use crate::http::sweeps::view::SweepRow;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;

const ENERGY: &str = "joules_per_output_token";
const THROUGHPUT: &str = "output_throughput";
const TIME_PER_TOKEN: &str = "mean_tpot_ms";

/// Maximum number of notes, and of points that are listed as left out.
const MAX_NOTES: usize = 12;
/// Maximum length of a point's label in a chart; a longer one is replaced by the number of the point.
const MAX_LABEL_CHARS: usize = 26;

/// Points of a sweep in two metrics, with the Pareto front.
pub struct FrontView {
    /// The chart; `None` when no point has both metrics.
    pub chart: Option<Svg>,
    /// Names of the points on the front.
    pub on_front: Vec<String>,
    /// Names of points behind the front whose intervals reach it.
    pub reach_front: Vec<String>,
    pub left_out: Vec<String>,
}

/// Pareto fronts of a sweep.
#[derive(Default)]
pub struct Fronts {
    pub views: Vec<FrontView>,
    /// Notes on the fronts, each once.
    pub notes: Vec<String>,
}

/// Returns the pairs of metrics of the fronts: throughput, and time per token, each with energy per token. Returns none
/// for a sweep of one point.
pub fn front_axes(points: usize) -> Vec<Axes> {
    let of = |x: &str, y: &str| Some((metric_named(x).ok()?, metric_named(y).ok()?));
    match points {
        0 | 1 => Vec::new(),
        _ => [of(THROUGHPUT, ENERGY), of(TIME_PER_TOKEN, ENERGY)]
            .into_iter()
            .flatten()
            .collect(),
    }
}

/// Draws throughput, and output rate per user, against energy per token.
pub fn front_views(fronts: &[ParetoFront], shown: &TablePage<'_>) -> Fronts {
    let each = fronts.iter().flat_map(|front| &front.notes);
    Fronts {
        views: fronts.iter().map(|front| view(front, shown)).collect(),
        notes: notes(each, shown.table),
    }
}

/// Returns each note once, with IDs of experiments replaced by the numbers of their points.
fn notes<'a>(each: impl Iterator<Item = &'a String>, table: &[SweepRow]) -> Vec<String> {
    let ids = table
        .iter()
        .flat_map(|row| row.experiments.iter().map(|id| (id.to_string(), row.point)));
    let points: HashMap<String, u32> = ids.collect();
    let mut notes: Vec<String> = Vec::new();
    for note in each {
        let words = note.split(' ').map(|word| {
            let bare = word.trim_end_matches([',', ';', ':', '.']);
            match points.get(bare) {
                Some(point) => word.replace(bare, &format!("point {point}")),
                None => word.to_owned(),
            }
        });
        let note = words.collect::<Vec<_>>().join(" ");
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    let left_out = notes.len().saturating_sub(MAX_NOTES);
    notes.truncate(MAX_NOTES);
    if left_out > 0 {
        notes.push(format!("{left_out} more, which GET /v1/pareto returns"));
    }
    notes
}

fn view(front: &ParetoFront, shown: &TablePage<'_>) -> FrontView {
    let table = shown.table;
    let is_per_user = front.x.metric == TIME_PER_TOKEN;
    let (title, label) = match is_per_user {
        true => (
            "Energy per token against tokens/s per user",
            "tokens/s per user (1000 / mean_tpot_ms)",
        ),
        false => ("Energy per token against tokens/s", front.x.metric),
    };
    let (points, has_points) = (front.points.iter(), !front.points.is_empty());
    let named = |which: fn(&ParetoPoint) -> bool| {
        let found = front.points.iter().filter(|point| which(point));
        found.map(|point| name(point.id, table).1).collect()
    };
    FrontView {
        chart: has_points.then(|| {
            scatter(&Scatter {
            title: title.to_owned(),
            description:
                format!(
                    "Points of the sweep with 95 % intervals{}. The line is the Pareto front: no other point is better in \
                     both metrics.",
                    if shown.is_dense() { " of those on the front" } else { "" }
                ),
            x: axis(label, "tokens/s"),
            y: axis(front.y.metric, front.y.unit),
            points: points.map(|point| drawn(point, is_per_user, shown)).collect(),
        })
        }),
        on_front: named(|point| point.on_front),
        reach_front: named(|point| point.reaches_front),
        left_out: front
            .left_out
            .iter()
            .take(MAX_NOTES)
            .map(|left_out| format!("{}: {}", name(left_out.id, table).1, left_out.reason))
            .collect(),
    }
}

fn axis(label: &str, unit: &str) -> AxisLabel {
    AxisLabel {
        label: label.to_owned(),
        unit: unit.to_owned(),
    }
}

fn drawn(point: &ParetoPoint, is_per_user: bool, shown: &TablePage<'_>) -> Point {
    let (number, label) = name(point.id, shown.table);
    let short = number.filter(|_| label.chars().count() > MAX_LABEL_CHARS);
    let label = short.map_or(label, |number| format!("point {number}"));
    let is_bare = shown.is_dense() && !point.on_front;
    let interval = point.x_ci_low.zip(point.x_ci_high).filter(|_| !is_bare);
    let (x, x_interval) = match is_per_user {
        true => (per_second(point.x), interval.and_then(per_second_interval)),
        false => (point.x, interval),
    };
    Point {
        label: if is_bare { String::new() } else { label },
        href: number.and_then(|number| shown.chart_link(number)),
        x,
        y: point.y,
        x_interval,
        y_interval: point.y_ci_low.zip(point.y_ci_high).filter(|_| !is_bare),
        on_front: point.on_front,
    }
}

fn per_second(ms: f64) -> f64 {
    MILLISECONDS_PER_SECOND / ms
}

/// Converts an interval of times per token to one of rates; `None` when it reaches 0 and would have no upper end.
fn per_second_interval((low, high): (f64, f64)) -> Option<(f64, f64)> {
    (low > 0.0).then(|| (per_second(high), per_second(low)))
}

/// Returns the number of an experiment's point, and its name with its values.
fn name(id: ExperimentId, table: &[SweepRow]) -> (Option<u32>, String) {
    match table.iter().find(|row| row.experiments.contains(&id)) {
        Some(row) => (
            Some(row.point),
            format!("{}: {}", row.point, point_in_words(&row.values)),
        ),
        None => (None, format!("experiment {id}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_name_points_and_are_listed_once() {
        let id = ExperimentId::generate();
        let row = SweepRow {
            point: 3,
            values: serde_json::Map::new(),
            experiments: vec![id],
            completed: 1,
            metrics: std::collections::BTreeMap::new(),
        };
        let note = format!("1 of the points cannot be compared with {id}, the baseline");
        let many: Vec<String> = (0..20).map(|number| format!("note {number}")).collect();
        let all = [note.clone(), note].into_iter().chain(many).collect::<Vec<_>>();
        let shown = notes(all.iter(), &[row]);
        assert_eq!(
            shown[0],
            "1 of the points cannot be compared with point 3, the baseline"
        );
        assert_eq!((shown[1].as_str(), shown.len()), ("note 0", MAX_NOTES + 1));
        assert!(shown[MAX_NOTES].starts_with("9 more"), "{shown:?}");
    }

    #[test]
    fn times_per_token_become_rates_with_swapped_bounds() {
        assert!((per_second(20.0) - 50.0).abs() < 1e-12);
        assert_eq!(per_second_interval((10.0, 20.0)), Some((50.0, 100.0)));
        assert_eq!(per_second_interval((-1.0, 20.0)), None);
    }
}
