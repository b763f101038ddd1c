use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::refused;

/// What a person writes by hand is far below.
const MAX_BYTES: usize = 16 << 20;
/// A pipe that a shell makes, as in `<(…)`, is filled within moments.
const PATIENCE_MS: u16 = if cfg!(test) { 200 } else { 5000 };

/// Reads a file that a person named: a link is followed, as configuration is often linked. Returns the open file as well,
/// to be asked for its mode. A pipe is read, but never waited for longer than some seconds at a time.
///
/// # Errors
/// The operating system's; for a folder, and for a pipe into which nobody writes.
pub fn read_given(path: &Path) -> io::Result<(File, Vec<u8>)> {
    let mut options = File::options();
    let mut file = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let found = file.metadata()?.file_type();
    if found.is_dir() {
        return Err(refused(found, "a file"));
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
            let message = format!("it has more than {MAX_BYTES} bytes; accepted are at most as many");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
    }
}

/// Waits until there is something to read, or the last writer is gone. One who never came is waited for in vain.
fn await_writer(file: &File) -> io::Result<()> {
    let mut polled = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    if poll(&mut polled, PollTimeout::from(PATIENCE_MS))? > 0 {
        return Ok(());
    }
    let message = format!("it is no regular file, and for {PATIENCE_MS} ms there was nothing to read in it");
    Err(io::Error::new(io::ErrorKind::TimedOut, message))
}

/// Refuses a file that a person named for another library to read, where that would wait for the other end of a pipe.
///
/// # Errors
/// What stands in its place; a file that is missing is left to who reads it.
pub fn require_regular(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Ok(found) if !found.is_file() => Err(refused(found.file_type(), "a regular file")),
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
    fn a_file_is_read_by_a_link_and_a_pipe_as_soon_as_it_is_written() {
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
    fn a_pipe_that_nobody_writes_to_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let error = read_given(&pipe).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // Whoever opened it for writing and stays silent as well.
        let _silent = File::options().read(true).write(true).open(&pipe).unwrap();
        assert_eq!(read_given(&pipe).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
