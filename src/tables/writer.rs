//! Writes a table in any format.

use thiserror::Error;

use super::column::Column;
use super::csv_lines;
use super::format::{Format, Spreadsheet};
use super::json_lines;
use super::parquet_groups::Groups;

/// Error in writing a table. It is a bug or a lack of memory, since rows and bytes are both in memory.
#[derive(Debug, Error)]
pub enum TableError {
    #[error("a row cannot be written as CSV: {0}")]
    Csv(#[from] csv::Error),
    #[error("a row cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("rows cannot be written as Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

/// Writer of a table in parts. The returned parts, in order, are the file.
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
    /// Creates a writer. Returns it with the part of the file before the first row.
    ///
    /// # Errors
    /// Returns a [`TableError`].
    pub fn new(format: Format, columns: Vec<Column<R>>) -> Result<(Self, Vec<u8>), TableError> {
        let (open, begin) = match format {
            Format::Csv(spreadsheet) => (Open::Csv(spreadsheet), csv_lines::header(&columns)?),
            Format::JsonLines => (Open::JsonLines, Vec::new()),
            Format::Parquet => (Open::Parquet(Box::new(Groups::new(&columns)?)), Vec::new()),
        };
        Ok((Self { columns, open }, begin))
    }

    /// Adds rows. Returns the finished part of the file, which may be empty.
    ///
    /// # Errors
    /// Returns a [`TableError`].
    pub fn rows(&mut self, rows: &[R]) -> Result<Vec<u8>, TableError> {
        Ok(match &mut self.open {
            Open::Csv(spreadsheet) => csv_lines::rows(&self.columns, rows, *spreadsheet)?,
            Open::JsonLines => json_lines::rows(&self.columns, rows)?,
            Open::Parquet(groups) => groups.rows(&self.columns, rows)?,
        })
    }

    /// Returns the end of the file, which a Parquet file needs.
    ///
    /// # Errors
    /// Returns a [`TableError`].
    pub fn end(self) -> Result<Vec<u8>, TableError> {
        match self.open {
            Open::Csv(_) | Open::JsonLines => Ok(Vec::new()),
            Open::Parquet(groups) => Ok(groups.end()?),
        }
    }
}
