//! Reads the tree's files that hold one whole number. Owns what is done about a file that is caught half written.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// A file that is being rewritten can be caught empty, for as long as its writer takes.
const READ_ATTEMPTS: u32 = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_micros(200);

pub fn read_u64(file: &Path) -> io::Result<u64> {
    patiently(|| count(&fs::read_to_string(file)?))
}

/// Reads again while the file is caught half written; no other failure passes by waiting.
pub fn patiently<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..READ_ATTEMPTS {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => thread::sleep(BETWEEN_ATTEMPTS),
            settled => return settled,
        }
    }
    read()
}

pub fn read_count(file: &File) -> io::Result<u64> {
    // More than the digits of any 64-bit count and their line's end.
    let mut bytes = [0; 32];
    let length = file.read_at(&mut bytes, 0)?;
    count(&String::from_utf8_lossy(&bytes[..length]))
}

fn count(text: &str) -> io::Result<u64> {
    let text = text.trim();
    text.parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("`{text}` is no count")))
}
