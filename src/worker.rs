//! The child's side: load a model once, warm up, measure cycle after cycle as told, report. Owns the protocol with the
//! server; opens no database and no socket.

mod job;
mod process;
pub mod protocol;
mod session;

pub use process::{bind_to_parent, pin_to_cpus, report_pipe};
pub use session::{SessionError, run};
