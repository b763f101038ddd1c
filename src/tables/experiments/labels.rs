//! Columns of labels.

use std::borrow::Cow;

use super::row::ExperimentRow;
use crate::tables::column::{Column, Values, column};

/// Returns a column `label_NAME` for each of the given labels, in their order. It is unknown for an experiment without
/// the label.
pub fn columns(names: &[String]) -> Vec<Column<ExperimentRow>> {
    names.iter().map(|name| of_label(name.clone())).collect()
}

fn of_label(name: String) -> Column<ExperimentRow> {
    let (title, about) = (format!("label_{name}"), format!("Value of the label `{name}`."));
    let values = Values::Text(Box::new(move |row: &ExperimentRow| {
        row.spec.labels.get(&name).map(|text| Cow::Borrowed(text.as_str()))
    }));
    column(title, about, values)
}
