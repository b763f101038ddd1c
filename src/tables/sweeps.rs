//! Columns of the table of a sweep's points.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::column::{Column, Values, column, count};
use joulemark_analysis::metrics::Metric;

/// A point of a sweep.
pub struct SweepRow {
    pub point: u32,
    /// Value of each axis.
    pub values: Map<String, Value>,
    /// Number of completed repeats.
    pub completed: u32,
    pub metrics: BTreeMap<String, SweepCell>,
}

/// A metric of a point, over its repeats.
#[derive(Clone, Copy)]
pub struct SweepCell {
    pub n: u32,
    pub mean: Option<f64>,
    pub ci_low: Option<f64>,
    pub ci_high: Option<f64>,
}

/// Returns the columns of a sweep's points: the number of the point, its axes, and four columns per metric.
pub fn columns(axes: &[String], metrics: &[&'static Metric]) -> Vec<Column<SweepRow>> {
    let mut columns = vec![count("point", "Number of the point, from 0.", |row: &SweepRow| {
        Some(row.point.into())
    })];
    columns.extend(axes.iter().map(|axis| of_axis(axis.clone())));
    columns.push(count("completed", "Number of completed repeats.", |row: &SweepRow| {
        Some(row.completed.into())
    }));
    columns.extend(metrics.iter().flat_map(|metric| of_metric(metric)));
    columns
}

fn of_axis(name: String) -> Column<SweepRow> {
    let (title, about) = (name.clone(), format!("Value of the axis `{name}`."));
    let values = Values::Text(Box::new(move |row: &SweepRow| {
        row.values.get(&name).map(|value| match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(other.to_string()),
        })
    }));
    column(title, about, values)
}

fn of_metric(metric: &'static Metric) -> [Column<SweepRow>; 4] {
    let name = metric.name;
    let of = move |row: &SweepRow| row.metrics.get(name).copied();
    let number = |suffix: &str, about: &str, read: fn(SweepCell) -> Option<f64>| {
        let values = Values::Number(Box::new(move |row: &SweepRow| read(of(row)?)));
        column(format!("{name}{suffix}"), format!("`{name}`: {about}"), values)
    };
    let n = Values::Count(Box::new(move |row: &SweepRow| of(row).map(|figure| figure.n.into())));
    [
        number("", "the mean over repeats, in its unit.", |figure| figure.mean),
        column(
            format!("{name}_n"),
            format!("`{name}`: number of repeats that have it."),
            n,
        ),
        number("_ci_low", "lower end of the mean's 95 % interval.", |figure| {
            figure.ci_low
        }),
        number("_ci_high", "upper end of the mean's 95 % interval.", |figure| {
            figure.ci_high
        }),
    ]
}
