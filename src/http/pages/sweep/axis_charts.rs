//! Charts of metrics along the axes of a sweep.

use joulemark_charts::{Along, AxisLabel, Bar, Bars, Best, Group, Point, Svg, along, bars};
use serde_json::{Map, Value};

use super::table_page::TablePage;
use crate::http::pages::number;
use crate::http::pages::sweep_words::{point_in_words, unit_of, value_in_words};
use crate::http::problem::Problem;
use crate::http::sweeps::curve::CurveFigure;
use crate::http::sweeps::view::{Sweep, SweepFigure, SweepRow};
use joulemark_analysis::metrics::Metric;
use joulemark_experiment::sweep::SweepMode;

/// Maximum number of bars in a chart.
const MAX_BARS: usize = 60;
/// Metric that is drawn by default when there are several axes.
const DEFAULT_FIGURE: &str = "joules_per_output_token";

/// Charts along one axis.
pub struct AxisView {
    /// Heading, such as "Along batch_size".
    pub heading: String,
    pub charts: Vec<ChartView>,
    /// Sentences on the best value of each metric.
    pub best: Vec<String>,
    /// Number of combinations of the other axes, or of points, that are not drawn.
    pub left_out: usize,
    /// Metrics that are not drawn, with the links to their charts.
    pub other_metrics: Vec<(&'static str, String)>,
}

/// A chart with a caption, which may be empty.
pub struct ChartView {
    pub svg: Svg,
    pub caption: String,
}

impl From<Svg> for ChartView {
    fn from(svg: Svg) -> Self {
        Self {
            svg,
            caption: String::new(),
        }
    }
}

/// The metrics of the table, and those that are drawn.
pub struct Drawn {
    pub metrics: Vec<&'static Metric>,
    /// The requested metric; `None` draws as many as there is room for.
    asked: Option<&'static Metric>,
    /// Metric that is drawn when there are several axes.
    pub default: &'static Metric,
}

impl Drawn {
    /// Returns the metrics to draw.
    ///
    /// # Errors
    /// Returns a [`Problem`] with the accepted metrics when the table does not have the requested one.
    pub fn of(asked: Option<&str>, metrics: &[&'static Metric]) -> Result<Self, Problem> {
        let named = |name: &str| metrics.iter().find(|metric| metric.name == name).copied();
        let found = asked.map(named);
        let default = match found {
            Some(found) => found,
            None => named(DEFAULT_FIGURE).or(metrics.first().copied()),
        };
        let default = default.ok_or_else(|| {
            let names: Vec<_> = metrics.iter().map(|metric| metric.name).collect();
            let detail = format!("is not a metric of the table; accepted are {}", names.join(", "));
            Problem::invalid_parameter("metric", detail)
        })?;
        Ok(Self {
            metrics: metrics.to_vec(),
            asked: found.flatten(),
            default,
        })
    }

    /// Returns the known metrics that are drawn, at most `room`, and the others.
    fn split(&self, table: &[SweepRow], room: usize) -> (Vec<&'static Metric>, Vec<&'static Metric>) {
        let known = self.metrics.iter().copied().filter(|metric| is_known(table, metric));
        match self.asked {
            Some(asked) => known.partition(|metric| metric.name == asked.name),
            None => {
                let mut drawn: Vec<_> = known.collect();
                let others = drawn.split_off(room.min(drawn.len()));
                (drawn, others)
            }
        }
    }
}

/// Draws every metric along a single axis, or one metric along each of several axes with the others fixed; at most
/// `room` charts.
pub fn axis_views(sweep: &Sweep, shown: &TablePage<'_>, drawn: &Drawn, room: usize) -> Vec<AxisView> {
    let axes = &sweep.summary.axes;
    let numeric: Vec<&String> = axes
        .iter()
        .filter(|(_, values)| is_numeric(values))
        .map(|(name, _)| name)
        .collect();
    let room_of_axis = (room / numeric.len().max(1)).max(1);
    let figure = drawn.default;
    let (metrics, others) = drawn.split(shown.table, room);
    let others = others.iter().map(|metric| {
        let link = shown.asked.query(&[("metric", metric.name)]);
        (metric.name, format!("{link}#axes"))
    });
    let with_others = |view: AxisView| AxisView {
        other_metrics: others.collect(),
        ..view
    };
    match (axes.len(), numeric.is_empty()) {
        (0, _) => Vec::new(),
        (1, false) => vec![with_others(along_the_only_axis(sweep, shown, &metrics, numeric[0]))],
        (1, true) => {
            let name = axes.keys().next().cloned().unwrap_or_default();
            vec![with_others(by_point(sweep, &metrics, format!("By {name}")))]
        }
        (_, true) => vec![by_point(sweep, &[figure], "By point".to_owned())],
        (_, false) => numeric
            .into_iter()
            .map(|axis| along_with_others_fixed(sweep, shown, (figure, axis), room_of_axis))
            .collect(),
    }
}

fn is_numeric(values: &Value) -> bool {
    let values = values.as_array().into_iter().flatten();
    let mut values = values.peekable();
    values.peek().is_some() && values.all(Value::is_number)
}

fn along_the_only_axis(sweep: &Sweep, shown: &TablePage<'_>, metrics: &[&'static Metric], axis: &str) -> AxisView {
    let of_curve = |name: &str| sweep.curve.as_ref().and_then(|curve| curve.metrics.get(name));
    let drawn = |metric: &&'static Metric| {
        let rows = sweep.table.iter();
        let points = rows.filter_map(|row| point(row, shown, axis, metric)).collect();
        drawn(
            (metric, axis),
            format!("{} along {axis}", metric.name),
            points,
            of_curve(metric.name),
        )
        .into()
    };
    let best = metrics
        .iter()
        .filter_map(|metric| Some(best_in_words(metric, axis, of_curve(metric.name)?)));
    AxisView {
        heading: format!("Along {axis}"),
        charts: metrics.iter().map(drawn).collect(),
        best: best.collect(),
        left_out: 0,
        other_metrics: Vec::new(),
    }
}

fn is_known(table: &[SweepRow], metric: &Metric) -> bool {
    let mut figures = table.iter().filter_map(|row| row.metrics.get(metric.name));
    figures.any(|figure| figure.mean.is_some())
}

/// Draws one chart for each combination of values of the other axes; in zip mode, where all axes change together, one
/// chart. Draws at most `max_charts`.
fn along_with_others_fixed(
    sweep: &Sweep,
    shown: &TablePage<'_>,
    (metric, axis): (&'static Metric, &str),
    max_charts: usize,
) -> AxisView {
    let mut groups: Vec<(String, Vec<Point>)> = Vec::new();
    for row in &sweep.table {
        let Some(point) = point(row, shown, axis, metric) else {
            continue;
        };
        let fixed = match sweep.summary.mode {
            SweepMode::Grid => others(&row.values, axis),
            SweepMode::Zip => String::new(),
        };
        match groups.iter_mut().find(|(known, _)| *known == fixed) {
            Some((_, points)) => points.push(point),
            None => groups.push((fixed, vec![point])),
        }
    }
    let left_out = groups.len().saturating_sub(max_charts);
    groups.truncate(max_charts);
    let chart = |(fixed, points): (String, Vec<Point>)| {
        let title = format!("{} along {axis}", metric.name);
        match fixed.is_empty() {
            true => drawn((metric, axis), title, points, None).into(),
            false => ChartView {
                svg: drawn((metric, axis), format!("{title} with {fixed}"), points, None),
                caption: format!("With {fixed}"),
            },
        }
    };
    AxisView {
        heading: format!("Along {axis}"),
        charts: groups.into_iter().map(chart).collect(),
        best: Vec::new(),
        left_out,
        other_metrics: Vec::new(),
    }
}

fn others(values: &Map<String, Value>, axis: &str) -> String {
    let others = values.iter().filter(|(name, _)| *name != axis);
    point_in_words(&others.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn point(row: &SweepRow, shown: &TablePage<'_>, axis: &str, metric: &Metric) -> Option<Point> {
    let figure = row.metrics.get(metric.name)?;
    Some(Point {
        label: match shown.is_dense() {
            true => String::new(),
            false => format!("{}: {}", row.point, point_in_words(&row.values)),
        },
        href: shown.chart_link(row.point),
        x: row.values.get(axis)?.as_f64()?,
        y: figure.mean?,
        x_interval: None,
        y_interval: interval(figure).filter(|_| !shown.is_dense()),
        on_front: false,
    })
}

fn interval(figure: &SweepFigure) -> Option<(f64, f64)> {
    figure.ci_low.zip(figure.ci_high)
}

fn drawn((metric, axis): (&Metric, &str), title: String, points: Vec<Point>, curve: Option<&CurveFigure>) -> Svg {
    let has_intervals = points.iter().any(|point| point.y_interval.is_some());
    along(&Along {
        title,
        description: format!(
            "Means over the repeats of each point{}.",
            if has_intervals { ", with 95 % intervals" } else { "" }
        ),
        x: AxisLabel {
            label: axis.to_owned(),
            unit: unit_of(axis).to_owned(),
        },
        y: AxisLabel {
            label: metric.name.to_owned(),
            unit: metric.unit.to_owned(),
        },
        points,
        best: curve.map(|curve| Best {
            x: curve.best_at,
            interval: curve.best_at_low.zip(curve.best_at_high),
        }),
        knee: curve.and_then(|curve| curve.knee_at),
    })
}

fn best_in_words(metric: &Metric, axis: &str, curve: &CurveFigure) -> String {
    let best = format!("{} {}", number::plain(curve.best), metric.unit);
    let between = match curve.best_at_low.zip(curve.best_at_high) {
        Some((low, high)) if low < high => format!(" (95 % interval of the best: {low} to {high})"),
        Some(_) => " (95 %)".to_owned(),
        None => String::new(),
    };
    let knee = curve.knee_at.map(|at| format!(". Beyond {at} there is little gain"));
    format!(
        "{} is best at {axis} {}: {}{between}{}.",
        metric.name,
        curve.best_at,
        best.trim_end(),
        knee.unwrap_or_default()
    )
}

fn by_point(sweep: &Sweep, metrics: &[&'static Metric], heading: String) -> AxisView {
    let chart = |metric: &&'static Metric| {
        let each = sweep.table.iter().filter_map(|row| bar(row, metric)).take(MAX_BARS);
        bars(&Bars {
            title: format!("{} by point", metric.name),
            description: "Means over the repeats of each point, with 95 % intervals.".to_owned(),
            unit: metric.unit.to_owned(),
            groups: vec![Group {
                label: metric.name.to_owned(),
                bars: each.collect(),
            }],
        })
        .into()
    };
    AxisView {
        heading,
        charts: metrics.iter().map(chart).collect(),
        best: Vec::new(),
        left_out: sweep.table.len().saturating_sub(MAX_BARS),
        other_metrics: Vec::new(),
    }
}

fn bar(row: &SweepRow, metric: &Metric) -> Option<Bar> {
    let figure = row.metrics.get(metric.name)?;
    let values: Vec<String> = row.values.values().map(value_in_words).collect();
    Some(Bar {
        label: format!("{}: {}", row.point, values.join(", ")),
        value: figure.mean?,
        interval: interval(figure),
        estimated: false,
    })
}
