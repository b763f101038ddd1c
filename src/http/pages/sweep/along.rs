use joulemark_charts::{Along, AxisLabel, Bar, Bars, Best, Group, Point, Svg, along, bars};
use serde_json::{Map, Value};

use crate::http::pages::number;
use crate::http::pages::sweep_words::{point_in_words, row_link, unit_of, value_in_words};
use crate::http::problem::Problem;
use crate::http::sweeps::curve::CurveFigure;
use crate::http::sweeps::view::{Sweep, SweepFigure, SweepRow};
use joulemark_analysis::metrics::Metric;
use joulemark_experiment::sweep::SweepMode;

/// Drawn of one axis: values of the other axes that are held.
const MAX_GROUPS: usize = 12;
/// Bars in one chart.
const MAX_BARS: usize = 60;
/// Along several axes it is the energy of a token that is drawn, unless another figure is asked for.
const USUAL_FIGURE: &str = "joules_per_output_token";

/// Metrics along one axis.
pub struct AxisView {
    /// What is drawn, such as "Along batch_size".
    pub heading: String,
    pub charts: Vec<ChartView>,
    /// What each metric's best is, in words.
    pub best: Vec<String>,
    /// Charts that are not drawn.
    pub left_out: usize,
}

/// A chart with what its axes do not say; empty where they say all.
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

/// Returns the metric that is drawn along several axes.
///
/// # Errors
/// Returns a [`Problem`] that says what is accepted where the table does not have it.
pub fn figure(asked: Option<&str>, metrics: &[&'static Metric]) -> Result<&'static Metric, Problem> {
    let usual = || {
        metrics
            .iter()
            .find(|metric| metric.name == USUAL_FIGURE)
            .or(metrics.first())
    };
    let found = match asked {
        Some(name) => metrics.iter().find(|metric| metric.name == name),
        None => usual(),
    };
    found.copied().ok_or_else(|| {
        let names: Vec<_> = metrics.iter().map(|metric| metric.name).collect();
        let detail = format!("is no metric of the table; accepted are {}", names.join(", "));
        Problem::invalid_parameter("figure", detail)
    })
}

/// Draws each metric along the only axis, or one metric along each of several, the others held.
pub fn axis_views(sweep: &Sweep, metrics: &[&'static Metric], figure: &'static Metric) -> Vec<AxisView> {
    let axes = &sweep.summary.axes;
    let numeric: Vec<&String> = axes
        .iter()
        .filter(|(_, values)| is_numeric(values))
        .map(|(name, _)| name)
        .collect();
    match (axes.len(), numeric.is_empty()) {
        (0, _) => Vec::new(),
        (1, false) => vec![along_the_only_axis(sweep, metrics, numeric[0])],
        (1, true) => {
            let name = axes.keys().next().cloned().unwrap_or_default();
            vec![beside_each_other(sweep, metrics, format!("By {name}"))]
        }
        (_, true) => vec![beside_each_other(sweep, &[figure], "Point by point".to_owned())],
        (_, false) => numeric
            .into_iter()
            .map(|axis| along_with_others_held(sweep, figure, axis))
            .collect(),
    }
}

fn is_numeric(values: &Value) -> bool {
    let values = values.as_array().into_iter().flatten();
    let mut values = values.peekable();
    values.peek().is_some() && values.all(Value::is_number)
}

fn along_the_only_axis(sweep: &Sweep, metrics: &[&'static Metric], axis: &str) -> AxisView {
    let of_curve = |name: &str| sweep.curve.as_ref().and_then(|curve| curve.metrics.get(name));
    let known = metrics.iter().filter(|metric| is_known(&sweep.table, metric));
    let drawn = |metric: &&'static Metric| {
        let points = sweep
            .table
            .iter()
            .filter_map(|row| point(row, sweep.table.len(), axis, metric))
            .collect();
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
        charts: known.map(drawn).collect(),
        best: best.collect(),
        left_out: 0,
    }
}

fn is_known(table: &[SweepRow], metric: &Metric) -> bool {
    let mut figures = table.iter().filter_map(|row| row.metrics.get(metric.name));
    figures.any(|figure| figure.mean.is_some())
}

/// Draws a chart for each combination of the other axes' values; of values side by side one, for all go together.
fn along_with_others_held(sweep: &Sweep, metric: &'static Metric, axis: &str) -> AxisView {
    let mut groups: Vec<(String, Vec<Point>)> = Vec::new();
    for row in &sweep.table {
        let Some(point) = point(row, sweep.table.len(), axis, metric) else {
            continue;
        };
        let held = match sweep.summary.mode {
            SweepMode::Grid => others(&row.values, axis),
            SweepMode::Zip => String::new(),
        };
        match groups.iter_mut().find(|(known, _)| *known == held) {
            Some((_, points)) => points.push(point),
            None => groups.push((held, vec![point])),
        }
    }
    let left_out = groups.len().saturating_sub(MAX_GROUPS);
    groups.truncate(MAX_GROUPS);
    let chart = |(held, points): (String, Vec<Point>)| {
        let title = format!("{} along {axis}", metric.name);
        match held.is_empty() {
            true => drawn((metric, axis), title, points, None).into(),
            false => ChartView {
                svg: drawn((metric, axis), format!("{title} with {held}"), points, None),
                caption: format!("With {held}"),
            },
        }
    };
    AxisView {
        heading: format!("Along {axis}"),
        charts: groups.into_iter().map(chart).collect(),
        best: Vec::new(),
        left_out,
    }
}

fn others(values: &Map<String, Value>, axis: &str) -> String {
    let others = values.iter().filter(|(name, _)| *name != axis);
    point_in_words(&others.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn point(row: &SweepRow, of: usize, axis: &str, metric: &Metric) -> Option<Point> {
    let figure = row.metrics.get(metric.name)?;
    Some(Point {
        label: format!("{}: {}", row.point, point_in_words(&row.values)),
        href: row_link(row.point, of),
        x: row.values.get(axis)?.as_f64()?,
        y: figure.mean?,
        x_interval: None,
        y_interval: interval(figure),
        on_front: false,
    })
}

fn interval(figure: &SweepFigure) -> Option<(f64, f64)> {
    figure.ci_low.zip(figure.ci_high)
}

fn drawn((metric, axis): (&Metric, &str), title: String, points: Vec<Point>, curve: Option<&CurveFigure>) -> Svg {
    along(&Along {
        title,
        description: "Means over the repeats of each point with their 95 % intervals.".to_owned(),
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
        Some((low, high)) if low < high => format!(" (the best lies between {low} and {high} at 95 %)"),
        Some(_) => " (at 95 %)".to_owned(),
        None => String::new(),
    };
    let knee = curve.knee_at.map(|at| format!(". Above {at} more of it brings little"));
    format!(
        "{} is best at {axis} {}: {}{between}{}.",
        metric.name,
        curve.best_at,
        best.trim_end(),
        knee.unwrap_or_default()
    )
}

fn beside_each_other(sweep: &Sweep, metrics: &[&'static Metric], heading: String) -> AxisView {
    let known = metrics.iter().filter(|metric| is_known(&sweep.table, metric));
    let chart = |metric: &&'static Metric| {
        let each = sweep.table.iter().filter_map(|row| bar(row, metric)).take(MAX_BARS);
        bars(&Bars {
            title: format!("{} of each point", metric.name),
            description: "Means over the repeats of each point with their 95 % intervals.".to_owned(),
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
        charts: known.map(chart).collect(),
        best: Vec::new(),
        left_out: sweep.table.len().saturating_sub(MAX_BARS),
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
