//! A result with all that it is computed from, as one tar file. Owns the form of the file and what of it is computed anew; leaves
//! where a result is stored, and who may have it, to others. Pure but for the reader that it is given.

mod archive;
mod differences;
mod names;
mod samples;
mod verification;

pub use archive::{END, entry};
pub use names::{MANIFEST, READINGS, REPORT, SUMS, device_name, process_name};
pub use verification::{Limits, Verdict, verify};
