//! Detects when the file of a program is replaced.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// Identity of a program's file, which changes when an upgrade replaces the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    changed_ns: (i64, i64),
}

impl Identity {
    /// Returns the identity of a file, following links; `None` when it is not an executable file.
    pub fn of_program(path: &Path) -> Option<Self> {
        const ANY_EXECUTE: u32 = 0o111;
        let metadata = std::fs::metadata(path).ok()?;
        let is_program = metadata.is_file() && metadata.permissions().mode() & ANY_EXECUTE != 0;
        is_program.then(|| Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            // The change time, since installers may set the modification time back.
            changed_ns: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
