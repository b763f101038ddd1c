use thiserror::Error;

use super::column::Column;
use super::csv_lines;
use super::format::{Format, Spreadsheet};
use super::json_lines;
use super::parquet_groups::Groups;

/// A mistake of ours, or no memory: rows come from memory and bytes go there.
#[derive(Debug, Error)]
pub enum TableError {
    #[error("a row cannot be written as CSV: {0}")]
    Csv(#[from] csv::Error),
    #[error("a row cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("rows cannot be written as Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

/// Writes a table part by part. What it returns, one part after the other, is the file.
pub struct Writer<R> {
    columns: Vec<Column<R>>,
    open: Open,
}

enum Open {
    Csv(Spreadsheet),
    JsonLines,
    Parquet(Box<Groups>),
}

impl<R> Writer<R> {
    /// And what stands before the first row.
    ///
    /// # Errors
    /// [`TableError`], as all of its calls.
    pub fn new(format: Format, columns: Vec<Column<R>>) -> Result<(Self, Vec<u8>), TableError> {
        let (open, begin) = match format {
            Format::Csv(spreadsheet) => (Open::Csv(spreadsheet), csv_lines::header(&columns)?),
            Format::JsonLines => (Open::JsonLines, Vec::new()),
            Format::Parquet => (Open::Parquet(Box::new(Groups::new(&columns)?)), Vec::new()),
        };
        Ok((Self { columns, open }, begin))
    }

    /// What of the file is ready with these rows; may be nothing yet.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn rows(&mut self, rows: &[R]) -> Result<Vec<u8>, TableError> {
        Ok(match &mut self.open {
            Open::Csv(spreadsheet) => csv_lines::rows(&self.columns, rows, *spreadsheet)?,
            Open::JsonLines => json_lines::rows(&self.columns, rows)?,
            Open::Parquet(groups) => groups.rows(&self.columns, rows)?,
        })
    }

    /// The rest, without which a Parquet file is none.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn end(self) -> Result<Vec<u8>, TableError> {
        match self.open {
            Open::Csv(_) | Open::JsonLines => Ok(Vec::new()),
            Open::Parquet(groups) => Ok(groups.end()?),
        }
    }
}
