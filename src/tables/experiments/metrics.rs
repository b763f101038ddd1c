use super::row::ExperimentRow;
use crate::tables::column::{Column, Values, column, word, words};
use joulemark_analysis::metrics::{Beside, Figures, Group, Metric, Read};
use joulemark_analysis::statistics::standard_deviation;
use joulemark_analysis::{Certainty, EnergyPart, certainty};

/// Returns the columns of a group's metrics, with what stands beside each.
pub fn columns(metrics: &[Metric], group: Group) -> Vec<Column<ExperimentRow>> {
    let metrics = metrics.iter().filter(|metric| metric.group == group);
    let with_neighbours = |metric: &Metric| {
        let own = own(metric).into_iter();
        own.chain(metric.beside.iter().flat_map(|beside| neighbours(metric, beside)))
            .collect::<Vec<_>>()
    };
    metrics.flat_map(with_neighbours).collect()
}

/// Returns `None` for an object, whose own figures are in the table.
fn own(metric: &Metric) -> Option<Column<ExperimentRow>> {
    let values = match metric.read {
        Read::Count(read) => Values::Count(Box::new(move |row| read(figures(row)?))),
        Read::Number(read) => number(read),
        Read::Text(read) => Values::Text(Box::new(move |row| read(figures(row)?))),
        Read::Object(_) => return None,
    };
    Some(column(metric.name, metric.about, values))
}

fn number(read: fn(Figures<'_>) -> Option<f64>) -> Values<ExperimentRow> {
    Values::Number(Box::new(move |row| read(figures(row)?)))
}

fn neighbours(metric: &Metric, beside: &Beside) -> Vec<Column<ExperimentRow>> {
    match *beside {
        Beside::Spread => spread(metric).into_iter().collect(),
        Beside::Certainty(part) => how_known(part),
    }
}

/// Unknown where one cycle's figure is.
fn spread(metric: &Metric) -> Option<Column<ExperimentRow>> {
    let Read::Number(read) = metric.read else {
        return None;
    };
    let (name, unit) = (metric.name, metric.unit);
    let about = format!("Sample standard deviation of `{name}` over cycles, {unit}; unknown below two.");
    let values = Values::Number(Box::new(move |row: &ExperimentRow| {
        let cycles = row.report.as_ref()?.cycles.iter();
        let figures: Option<Vec<f64>> = cycles.map(|cycle| read(cycle.into())).collect();
        standard_deviation(&figures?)
    }));
    Some(column(format!("{name}_cycle_sd"), about, values))
}

fn how_known(part: EnergyPart) -> Vec<Column<ExperimentRow>> {
    let stem = part.name();
    vec![
        column(
            format!("{stem}_source"),
            format!("Where `{stem}_j` comes from; several with a + between."),
            Values::Text(Box::new(move |row| words(&known_by(row, part)?.sources))),
        ),
        column(
            format!("{stem}_method"),
            "`energy_counter`, `power_integration` or `estimate`.",
            Values::Text(Box::new(move |row| words(&known_by(row, part)?.methods))),
        ),
        column(
            format!("{stem}_confidence"),
            "`high`, `medium` or `low`, of the least sure source.",
            Values::Text(Box::new(move |row| word(known_by(row, part)?.confidence))),
        ),
    ]
}

fn figures(row: &ExperimentRow) -> Option<Figures<'_>> {
    row.report.as_ref().map(Figures::from)
}

fn known_by(row: &ExperimentRow, part: EnergyPart) -> Option<Certainty> {
    figures(row).map(|figures| certainty(figures.energy, part))
}
