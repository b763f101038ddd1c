//! Estimates energy from readings and a window, with a 95 % interval.
//!
//! Owns the stored readings ([`timeline`]), one quantity over time ([`series`]), energy over a window with its
//! uncertainty ([`window`]), and the times at which a reading would reduce that uncertainty ([`polling`],
//! [`edge_reads`]). It waits for nothing and reads no sensor. Leaves the sensors to `source`, the thread that reads
//! them to `host_meter`, and totals and shares to `account` and `split`.
//!
//! Every constant of this module is listed with its reason in `docs/methodology.md`.

pub mod edge_reads;
pub mod polling;
pub mod series;
pub mod timeline;
pub mod track;
pub mod window;
