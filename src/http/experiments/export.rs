//! Tables for other programs. An export is written while it is sent, one part after the other, whatever its length: rows
//! are read and written on threads of their own, one at a time, since the experiments that run are being measured.

pub mod asked;
mod columns;
pub mod download;
pub mod many;
pub mod one;
mod rows;

#[cfg(test)]
pub use columns::row_schema;
