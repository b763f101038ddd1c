use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// What tells a program's file from the one that an upgrade puts in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    changed_ns: (i64, i64),
}

impl Identity {
    /// Looks at the file, following links; returns `None` where there is no file that may be run.
    pub fn of_program(path: &Path) -> Option<Self> {
        const ANY_EXECUTE: u32 = 0o111;
        let metadata = std::fs::metadata(path).ok()?;
        let is_program = metadata.is_file() && metadata.permissions().mode() & ANY_EXECUTE != 0;
        is_program.then(|| Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            // The change's time, not the modification's: installers set the latter back.
            changed_ns: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
