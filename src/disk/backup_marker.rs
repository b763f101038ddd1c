//! Remembers when an SQLite file was last copied: a file beside it holds the time.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

fn path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".backed-up");
    path.into()
}

/// Notes that the database was copied just now.
///
/// # Errors
/// Returns the operating system's error.
pub fn set(database: &Path, now: Timestamp) -> io::Result<()> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path(database));
    file?.write_all(now.to_string().as_bytes())
}

/// Returns when the database was last copied; `None` where it never was.
pub fn read(database: &Path) -> Option<Timestamp> {
    std::fs::read_to_string(path(database)).ok()?.parse().ok()
}
