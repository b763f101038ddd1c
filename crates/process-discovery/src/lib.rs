//! Finds the processes of this host that serve an endpoint, so that energy can be attributed to them.
//!
//! A systemd unit is the surest way: its cgroup holds all that it started, and its CPU time is readable by everyone. A PID
//! file names the root of a process tree. The port needs no configuration, but `/proc` of another user may not be read.
//!
//! Workers that another program starts (Ray's, MPI's) are in nobody's tree and nobody's port: the unit finds them where it
//! holds that program as well.
//!
//! Owns which processes are the engine and the reason why they are not known. Deliberately does not know their energy, nor
//! who asks.

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
