//! Reading a report, compressed or as plain JSON of an earlier version.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::record::{from_json, id as id_of};
use super::{StoreError, compressed_document};
use joulemark_experiment::report::Report;

/// Reads a report from a row with the columns `experiment_id`, `report` and `packed`.
pub fn report(row: &AnyRow) -> Result<Report, StoreError> {
    let what = format!("the report of experiment {}", id_of(row, "experiment_id")?);
    match row.try_get::<Option<Vec<u8>>, _>("packed")? {
        Some(packed) => {
            let text = compressed_document::unpack(&packed).map_err(|damage| StoreError::corrupt(&what, damage))?;
            from_json(&what, &text)
        }
        None => from_json(&what, row.try_get("report")?),
    }
}
