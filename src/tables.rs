//! Flat tables of stored data, with one row per experiment, cycle, request, token, sample or point of a sweep, written
//! as CSV, JSON Lines or Parquet. Does no I/O: takes rows and returns bytes, in parts of bounded size. Leaves reading
//! the rows to others.

mod column;
mod csv_lines;
mod cycles;
mod experiments;
mod format;
mod json_lines;
mod parquet_groups;
mod requests;
mod samples;
mod sweeps;
mod writer;

pub use column::{Column, Values};
pub use cycles::{CycleRow, columns as cycle_columns};
pub use experiments::{
    ExperimentRow, columns as experiment_columns, columns_with as experiment_columns_with, label_columns,
};
pub use format::{Format, Spreadsheet};
pub use requests::{RequestRow, TokenRow, request_columns, token_columns, tokens};
pub use samples::{SampleRow, columns as sample_columns};
pub use sweeps::{SweepCell, SweepRow, columns as sweep_columns};
pub use writer::{TableError, Writer};
