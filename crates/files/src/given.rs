use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::wrong_type;

/// Maximum size of a file, far above that of one written by hand.
const MAX_BYTES: usize = 16 << 20;
/// Maximum wait for data from a pipe, in milliseconds. A pipe made by a shell, as by `<(…)`, is filled within moments.
const TIMEOUT_MS: u16 = if cfg!(test) { 200 } else { 5000 };

/// Reads a file that a person named, following links, since configuration files are often linked. Also returns the open
/// file, so that the caller can check its mode. Reads pipes too, but waits at most 5 seconds for each piece of data.
///
/// # Errors
/// Returns the error of the operating system, [`io::ErrorKind::InvalidInput`] for a folder, [`io::ErrorKind::TimedOut`]
/// for a pipe that nothing is written to, and [`io::ErrorKind::InvalidData`] for a file of more than 16 MiB.
pub fn read_given(path: &Path) -> io::Result<(File, Vec<u8>)> {
    let mut options = File::options();
    let mut file = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let found = file.metadata()?.file_type();
    if found.is_dir() {
        return Err(wrong_type(found, "a file"));
    }
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        if !found.is_file() {
            await_writer(&file)?;
        }
        match file.read(&mut chunk) {
            Ok(0) => return Ok((file, bytes)),
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
            Err(error) if [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted].contains(&error.kind()) => {}
            Err(error) => return Err(error),
        }
        if bytes.len() > MAX_BYTES {
            let message = format!("it is longer than the maximum of {MAX_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
    }
}

/// Waits until there is data to read, or the last writer has closed the pipe. Returns an error when a pipe has had no
/// writer within the time.
fn await_writer(file: &File) -> io::Result<()> {
    let mut polled = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    if poll(&mut polled, PollTimeout::from(TIMEOUT_MS))? > 0 {
        return Ok(());
    }
    let message = format!("it is not a regular file, and nothing was written to it for {TIMEOUT_MS} ms");
    Err(io::Error::new(io::ErrorKind::TimedOut, message))
}

/// Checks a file that a person named for another library to read, which would block on a pipe. Follows links.
///
/// # Errors
/// Returns [`io::ErrorKind::InvalidInput`] for anything but a regular file. A missing file is accepted: the reader
/// reports it.
pub fn require_regular(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Ok(found) if !found.is_file() => Err(wrong_type(found.file_type(), "a regular file")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn files_behind_links_and_pipes_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "a").unwrap();
        symlink("file", path("link")).unwrap();
        assert_eq!(read_given(&path("link")).unwrap().1, b"a");
        mkfifo(&path("pipe"), Mode::S_IRWXU).unwrap();
        assert!(require_regular(&path("pipe")).is_err() && require_regular(&path("link")).is_ok());
        let pipe = path("pipe");
        let writer = std::thread::spawn(move || {
            File::options()
                .write(true)
                .open(pipe)
                .unwrap()
                .write_all(&[b'b'; 100_000])
                .unwrap();
        });
        assert_eq!(read_given(&path("pipe")).unwrap().1, [b'b'; 100_000]);
        writer.join().unwrap();
        assert_eq!(read_given(Path::new("/dev/null")).unwrap().1, b"");
        assert!(read_given(folder.path()).unwrap_err().to_string().contains("a folder"));
        assert_eq!(
            read_given(&path("missing")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn a_pipe_without_data_times_out() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let error = read_given(&pipe).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // Also when the pipe is open for writing but nothing is written.
        let _silent = File::options().read(true).write(true).open(&pipe).unwrap();
        assert_eq!(read_given(&pipe).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
