mod compute;
mod energy;
mod figures;
mod origin;
mod row;
mod submission;

use super::column::Column;
pub use row::ExperimentRow;

/// Names are those of results; what stands twice there has its group in front. Prompts are in none.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    let groups = [
        origin::columns(),
        figures::columns(),
        energy::columns(),
        compute::columns(),
        submission::columns(),
        origin::machine(),
    ];
    groups.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_column_has_a_name_of_its_own_and_says_what_it_is() {
        let columns = columns();
        let names = columns.iter().map(|column| column.name).collect::<HashSet<_>>();
        assert_eq!(names.len(), columns.len());
        for column in &columns {
            assert!(!column.about.is_empty(), "{}", column.name);
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(column.name.bytes().all(plain), "{}", column.name);
        }
    }
}
