//! Finds the process that holds an advisory lock in the kernel's list (`/proc/locks`), which omits processes of other
//! PID namespaces.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::sys::stat::{major, minor};

const LOCKS: &str = "/proc/locks";

/// Returns the process that locked the file; `None` when there is none or the kernel does not list it. Blocks.
pub fn holder(file: &Path) -> Option<u32> {
    let metadata = std::fs::metadata(file).ok()?;
    let inode = format!(
        "{:02x}:{:02x}:{}",
        major(metadata.dev()),
        minor(metadata.dev()),
        metadata.ino()
    );
    find(&std::fs::read_to_string(LOCKS).ok()?, &inode)
}

/// Finds the process in lines such as `1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF`. A waiting process has `->`
/// after the number.
fn find(locks: &str, inode: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [_, "FLOCK", _, _, process, file, ..] if file == inode => {
                process.parse().ok().filter(|process| *process > 0)
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_the_one_that_locked_this_file() {
        let locks = "1: POSIX  ADVISORY  WRITE 12 08:01:99 0 EOF\n2: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF\n\
            2: -> FLOCK  ADVISORY  WRITE 13 08:01:1234 0 EOF\n3: FLOCK  ADVISORY  READ 0 08:01:77 0 EOF\n";
        assert_eq!(find(locks, "08:01:1234"), Some(4711));
        for other in ["08:01:99", "08:01:77", "08:02:1234", ""] {
            assert_eq!(find(locks, other), None, "{other}");
        }
    }

    #[test]
    fn a_lock_of_this_process_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(holder(file.path()), None);
        file.as_file().try_lock().unwrap();
        // Some file systems appear in the kernel's list with another device number.
        let found = holder(file.path());
        assert!(found.is_none_or(|process| process == std::process::id()), "{found:?}");
    }
}
