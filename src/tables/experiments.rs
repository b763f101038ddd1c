mod baselines;
mod checks;
mod metrics;
mod origin;
mod phases;
mod row;
mod submission;

use super::column::{Column, held, text};
use joulemark_analysis::metrics::{EnergyOf, Group, Metric, all};
pub use row::ExperimentRow;

/// Names are those of results; what stands twice there has its group in front. Prompts are in none.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    columns_with(all())
}

/// The same with another table of metrics.
pub fn columns_with(table: &[Metric]) -> Vec<Column<ExperimentRow>> {
    let of = |group| metrics::columns(table, group);
    let energy = EnergyOf::ALL.map(Group::Energy);
    let groups = [
        origin::columns(),
        of(Group::Inference),
        of(Group::Efficiency),
        checks::columns(),
        energy.into_iter().flat_map(of).collect(),
        baselines::columns(),
        phases::columns(),
        of(Group::Compute),
        vec![roofline_device()],
        of(Group::Roofline),
        submission::columns(),
        origin::machine(),
    ];
    groups.into_iter().flatten().collect()
}

fn roofline_device() -> Column<ExperimentRow> {
    text(
        "roofline_device",
        "The device whose peaks are known.",
        |row: &ExperimentRow| held(&row.report.as_ref()?.compute.roofline.as_ref()?.device),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_column_has_a_name_of_its_own_and_says_what_it_is() {
        let columns = columns();
        let names = columns.iter().map(|column| &column.name).collect::<HashSet<_>>();
        assert_eq!(names.len(), columns.len());
        for column in &columns {
            assert!(!column.about.is_empty(), "{}", column.name);
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(column.name.bytes().all(plain), "{}", column.name);
        }
    }
}
