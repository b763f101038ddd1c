//! Tables for other programs. An export is written while it is sent, whatever its length. Rows are read and written on
//! separate threads, a few at a time, so that exports disturb running measurements little.

pub mod asked;
mod columns;
pub mod download;
pub mod many;
pub mod one;
mod rows;

#[cfg(test)]
pub use columns::row_schema;
