//! A bundle: a result with all data that it is computed from, in one tar file. Owns the format of the file and its
//! verification. Leaves storage of results and access to them to others; does no I/O but through the given reader.

mod archive;
mod differences;
mod names;
mod samples;
mod verification;

pub use archive::{END, entry};
pub use names::{MANIFEST, READINGS, REPORT, SUMS, device_name, process_name};
pub use verification::{Limits, Verdict, verify};
