//! Finds the processes of this host that serve an endpoint, so that energy can be attributed to them.
//!
//! A systemd unit is the most reliable way: its cgroup contains every process that it started, and its CPU time is
//! readable for everyone. A PID file names the root of a process tree. The port needs no configuration, but `/proc` of
//! another user may not be readable.
//!
//! Workers started by another program (Ray, MPI) are neither in the engine's process tree nor behind its port. A unit
//! that contains that program finds them.
//!
//! Owns the decision which processes are the engine, and the reason when it is unknown. Knows nothing about energy or
//! about the caller.

mod cgroup;
mod endpoint_address;
mod find_by;
#[cfg(test)]
mod fixtures;
mod forward;
mod host;
mod listener;
mod not_found;
mod pid_file;
mod port;
mod processes;
mod served;
mod unit;

pub use find_by::{FindBy, find};
pub use not_found::NotFound;
pub use served::Served;
