use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

use super::wrong_type;

const ACCEPTED: &str = "a regular file, not a link";

/// Opens a file that the service itself creates, with the given options. Accepts only a regular file; does not follow
/// links and does not block.
///
/// # Errors
/// Returns the error of the operating system, or [`io::ErrorKind::InvalidInput`] for a link or another type of file.
pub fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let safe_flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    match options.custom_flags(safe_flags.bits()).open(path) {
        Ok(file) => {
            let found = file.metadata()?.file_type();
            if found.is_file() {
                Ok(file)
            } else {
                Err(wrong_type(found, ACCEPTED))
            }
        }
        Err(error) => {
            require_own_place(path)?;
            Err(error)
        }
    }
}

/// Checks that another library can safely open the path by its name: it is a regular file or does not exist.
///
/// # Errors
/// Returns [`io::ErrorKind::InvalidInput`] for a link or another type of file.
pub fn require_own_place(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if !found.is_file() => Err(wrong_type(found.file_type(), ACCEPTED)),
        // A path that cannot be examined cannot be opened either; opening it reports the reason.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("secret"), "kept").unwrap();
        symlink("secret", path("link")).unwrap();
        symlink("nowhere", path("dangling")).unwrap();
        mkfifo(&path("pipe"), Mode::S_IRWXU).unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        let ways: [fn(&mut OpenOptions) -> &mut OpenOptions; 3] = [
            |options| options.read(true),
            |options| options.write(true).create(true).truncate(true),
            |options| options.read(true).append(true).create(true),
        ];
        for (name, found) in [
            ("link", "a symbolic link"),
            ("dangling", "a symbolic link"),
            ("pipe", "a named pipe"),
            ("folder", "a folder"),
            ("socket", "a socket"),
        ] {
            for way in ways {
                let error = open_own(&path(name), way(&mut File::options())).unwrap_err();
                assert!(error.to_string().contains(found), "{name}: {error}");
            }
            assert!(require_own_place(&path(name)).is_err(), "{name}");
        }
        assert_eq!(std::fs::read_to_string(path("secret")).unwrap(), "kept");
        assert!(!path("nowhere").exists());
        assert!(open_own(&path("secret"), File::options().read(true)).is_ok());
        let missing = open_own(&path("missing"), File::options().read(true)).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
