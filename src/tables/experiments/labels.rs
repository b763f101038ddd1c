use std::borrow::Cow;

use super::row::ExperimentRow;
use crate::tables::column::{Column, Values, column};

/// Returns a column for each of the labels named, in their order: `label_NAME`, its text, unknown where an experiment has
/// no such label.
pub fn columns(names: &[String]) -> Vec<Column<ExperimentRow>> {
    names.iter().map(|name| of_label(name.clone())).collect()
}

fn of_label(name: String) -> Column<ExperimentRow> {
    let (title, about) = (format!("label_{name}"), format!("Its label `{name}`."));
    let values = Values::Text(Box::new(move |row: &ExperimentRow| {
        row.spec.labels.get(&name).map(|text| Cow::Borrowed(text.as_str()))
    }));
    column(title, about, values)
}
