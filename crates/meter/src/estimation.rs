//! Estimates energy, with its 95 % interval, from readings and a window.
//!
//! Owns the readings as they are kept ([`timeline`]), one quantity over time ([`series`]), energy over a window with its
//! uncertainty ([`window`]), and when a reading would make it narrower ([`polling`], [`edge_reads`]). It waits for nothing
//! and reads no sensor. Leaves to others: reading sensors (`source`), the thread that reads them when they are due
//! (`host_meter`), and the totals and shares of a window's owner (`account`, `split`).
//!
//! Every constant of this module stands with its reason in `docs/methodology.md`.

pub mod edge_reads;
pub mod polling;
pub mod series;
pub mod timeline;
pub mod track;
pub mod window;
