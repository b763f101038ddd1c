//! Reads files that hold one whole number. Owns the retry of a file that is caught half written.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Number of attempts to read a file. One that is being rewritten can be empty for a moment.
const READ_ATTEMPTS: u32 = 10;
/// Pause between attempts.
const BETWEEN_ATTEMPTS: Duration = Duration::from_micros(200);

/// Reads the number in a file.
pub fn read_u64(file: &Path) -> io::Result<u64> {
    retried(|| count(&fs::read_to_string(file)?))
}

/// Repeats `read` while the file is caught half written. Any other error is returned at once.
pub fn retried<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..READ_ATTEMPTS {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => thread::sleep(BETWEEN_ATTEMPTS),
            settled => return settled,
        }
    }
    read()
}

/// Reads the number in an open file from its beginning.
pub fn read_count(file: &File) -> io::Result<u64> {
    // More than the digits of a 64-bit number and a line end.
    let mut bytes = [0; 32];
    let length = file.read_at(&mut bytes, 0)?;
    count(&String::from_utf8_lossy(&bytes[..length]))
}

/// Parses a number.
fn count(text: &str) -> io::Result<u64> {
    let text = text.trim();
    text.parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("`{text}` is not a number")))
}
