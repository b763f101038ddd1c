//! Records when an SQLite database was last backed up, in a file beside it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use joulemark_files::open_own;

/// Maximum size in bytes that is read, far more than a timestamp has.
const MAX_BYTES: u64 = 100;

fn path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".backed-up");
    path.into()
}

/// Records that the database has been backed up now.
///
/// # Errors
/// Returns the operating system's error.
pub fn set(database: &Path, now: Timestamp) -> io::Result<()> {
    let mut options = File::options();
    let file = open_own(
        &path(database),
        options.write(true).create(true).truncate(true).mode(0o600),
    );
    file?.write_all(now.to_string().as_bytes())
}

/// Returns when the database was last backed up; `None` when that was never recorded.
pub fn read(database: &Path) -> Option<Timestamp> {
    let mut text = String::new();
    let file = open_own(&path(database), File::options().read(true)).ok()?;
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    text.parse().ok()
}
