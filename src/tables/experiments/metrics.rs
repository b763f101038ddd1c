//! Columns of metrics.

use super::row::ExperimentRow;
use crate::tables::column::{Column, Values, column, word, words};
use joulemark_analysis::metrics::{Beside, Figures, Group, Metric, Read};
use joulemark_analysis::statistics::standard_deviation;
use joulemark_analysis::{Certainty, EnergyPart, certainty};
use joulemark_experiment::report::MetricStatistics;

/// A row with the metrics of a result or of a cycle.
pub trait HasFigures {
    /// Returns the metrics; `None` without a result.
    fn figures(&self) -> Option<Figures<'_>>;
}

impl HasFigures for ExperimentRow {
    fn figures(&self) -> Option<Figures<'_>> {
        self.report.as_ref().map(Figures::from)
    }
}

/// Returns the columns of a group's metrics, each followed by its spread or origin columns.
pub fn columns(metrics: &[Metric], group: Group) -> Vec<Column<ExperimentRow>> {
    with_spread(metrics, group, (spread, combined))
}

/// Returns the same for rows that are single cycles, which have no spread.
pub fn columns_of_one_cycle<R: HasFigures + 'static>(metrics: &[Metric], group: Group) -> Vec<Column<R>> {
    with_spread(metrics, group, (|_| Vec::new(), |_| Vec::new()))
}

/// Function that returns the columns beside a metric.
type Neighbours<R> = fn(&Metric) -> Vec<Column<R>>;

fn with_spread<R: HasFigures + 'static>(
    metrics: &[Metric],
    group: Group,
    (spread, combined): (Neighbours<R>, Neighbours<R>),
) -> Vec<Column<R>> {
    let metrics = metrics.iter().filter(|metric| metric.group == group);
    let neighbours = |metric: &Metric, beside: &Beside| match *beside {
        Beside::Spread => spread(metric),
        Beside::Combined => combined(metric),
        Beside::Certainty(part) => how_known(part),
    };
    let with_neighbours = |metric: &Metric| {
        let own = own(metric).into_iter();
        own.chain(metric.beside.iter().flat_map(|beside| neighbours(metric, beside)))
            .collect::<Vec<_>>()
    };
    metrics.flat_map(with_neighbours).collect()
}

/// Returns the column of a metric; `None` for an object, whose fields are in the table.
fn own<R: HasFigures + 'static>(metric: &Metric) -> Option<Column<R>> {
    let values = match metric.read {
        Read::Count(read) => Values::Count(Box::new(move |row: &R| read(row.figures()?))),
        Read::Number(read) => Values::Number(Box::new(move |row: &R| read(row.figures()?))),
        Read::Text(read) => Values::Text(Box::new(move |row: &R| read(row.figures()?))),
        Read::Object(_) => return None,
    };
    Some(column(metric.name, metric.about, values))
}

/// Returns the columns of a metric's spread over cycles, each unknown when the metric of any cycle is.
fn spread(metric: &Metric) -> Vec<Column<ExperimentRow>> {
    let Read::Number(read) = metric.read else {
        return Vec::new();
    };
    let (name, unit) = (metric.name, metric.unit);
    let about = format!("Sample standard deviation of `{name}` over cycles, {unit}; unknown below two.");
    let values = Values::Number(Box::new(move |row: &ExperimentRow| {
        let cycles = row.report.as_ref()?.cycles.iter();
        let figures: Option<Vec<f64>> = cycles.map(|cycle| read(cycle.into())).collect();
        standard_deviation(&figures?)
    }));
    let interval = format!("of the 95 % interval of the mean of `{name}` over cycles, {unit}; unknown below two.");
    let end = |word: &str, says: &str, read| {
        of_statistics((name, format!("{name}_ci_{word}")), format!("{says} {interval}"), read)
    };
    vec![
        column(format!("{name}_cycle_sd"), about, values),
        end("low", "Lower end", |of| of.ci_low),
        end("high", "Upper end", |of| of.ci_high),
    ]
}

/// Returns the columns of the mean's interval with the half-width of the energy meter.
fn combined(metric: &Metric) -> Vec<Column<ExperimentRow>> {
    let (name, unit) = (metric.name, metric.unit);
    let interval = format!(
        "of the 95 % interval of the mean of `{name}` over cycles and the energy meter's half-width combined, {unit}; \
         unknown where one of them is."
    );
    let end = |word: &str, says: &str, read| {
        let title = format!("{name}_combined_{word}");
        of_statistics((name, title), format!("{says} {interval}"), read)
    };
    vec![
        end("low", "Lower end", |of| of.combined_low),
        end("high", "Upper end", |of| of.combined_high),
    ]
}

/// Returns the column of a number of a metric's statistics over cycles.
fn of_statistics(
    (name, title): (&'static str, String),
    about: String,
    read: fn(&MetricStatistics) -> Option<f64>,
) -> Column<ExperimentRow> {
    let value = move |row: &ExperimentRow| read(row.report.as_ref()?.statistics.get(name)?);
    column(title, about, Values::Number(Box::new(value)))
}

fn how_known<R: HasFigures + 'static>(part: EnergyPart) -> Vec<Column<R>> {
    let stem = part.name();
    vec![
        column(
            format!("{stem}_source"),
            format!("Source of `{stem}_j`; several are joined by +."),
            Values::Text(Box::new(move |row: &R| words(&known_by(row, part)?.sources))),
        ),
        column(
            format!("{stem}_method"),
            "`energy_counter`, `power_integration` or `estimate`.",
            Values::Text(Box::new(move |row: &R| words(&known_by(row, part)?.methods))),
        ),
        column(
            format!("{stem}_confidence"),
            "`high`, `medium` or `low`, of the least reliable source.",
            Values::Text(Box::new(move |row: &R| word(known_by(row, part)?.confidence))),
        ),
    ]
}

fn known_by<R: HasFigures>(row: &R, part: EnergyPart) -> Option<Certainty> {
    row.figures().map(|figures| certainty(figures.energy, part))
}
