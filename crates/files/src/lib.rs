//! Safe access to files and folders on a host shared with other users. Reads do not wait indefinitely for the other end
//! of a pipe, files of the service are never opened through a link, and modes are set only on what was just created.
//! Errors state what was found and what is accepted; the caller adds the path.

mod folder;
mod given;
mod own;

pub use folder::{private_folder, shared_folder};
pub use given::{read_given, require_regular};
pub use own::{open_own, require_own_place};

use std::fs::FileType;
use std::io;
use std::os::unix::fs::FileTypeExt as _;

/// Returns the error for a file type other than `accepted`.
fn wrong_type(found: FileType, accepted: &str) -> io::Error {
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
