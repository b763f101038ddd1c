//! Files and folders on a host that others use as well. Owns that nothing waits for the other end of a pipe, that a link
//! in a place of ours leads nowhere, and that modes are given to what was just made alone. Errors say what stands in the
//! place and what is accepted; the caller adds which place that is.

mod folder;
mod given;
mod own;

pub use folder::{private_folder, shared_folder};
pub use given::{read_given, require_regular};
pub use own::{open_own, require_own_place};

use std::fs::FileType;
use std::io;
use std::os::unix::fs::FileTypeExt as _;

/// Returns the error for what is not `accepted`.
fn refused(found: FileType, accepted: &str) -> io::Error {
    let found = match found {
        found if found.is_symlink() => "a symbolic link",
        found if found.is_dir() => "a folder",
        found if found.is_fifo() => "a named pipe",
        found if found.is_socket() => "a socket",
        found if found.is_file() => "a file",
        _ => "a device",
    };
    let message = format!("there is {found} in its place; accepted is {accepted}");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
