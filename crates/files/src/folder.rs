use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

use super::wrong_type;

const ROOT: u32 = 0;
const STICKY: u32 = 0o1000;
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Creates a folder for this user alone (mode 0700), with its parents. An existing folder keeps its mode.
///
/// # Errors
/// Returns the error of the operating system, [`io::ErrorKind::InvalidInput`] for a link, and
/// [`io::ErrorKind::PermissionDenied`] for a folder of another user or one that other users can write to.
pub fn private_folder(path: &Path) -> io::Result<()> {
    let (_, found) = create_or_open(path, 0o700)?;
    if found.uid() != geteuid().as_raw() {
        return Err(denied(format!(
            "the folder belongs to the user with the id {}; accepted is a folder of this user",
            found.uid()
        )));
    }
    if found.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(denied(format!(
            "other users can write to the folder (mode {:04o}); accepted is a folder that only its owner can write to \
             (chmod 700)",
            found.mode() & 0o7777
        )));
    }
    Ok(())
}

/// Creates a folder in which every user of the host can create files but not remove those of others (mode 1777). An
/// existing folder keeps its mode.
///
/// # Errors
/// Returns the error of the operating system, [`io::ErrorKind::InvalidInput`] for a link, and
/// [`io::ErrorKind::PermissionDenied`] for a folder of another user without the sticky bit, in which that user could
/// replace files.
pub fn shared_folder(path: &Path) -> io::Result<()> {
    let (made, found) = create_or_open(path, 0o777)?;
    if let Some(folder) = made {
        // Not subject to the umask.
        return folder.set_permissions(Permissions::from_mode(0o1777));
    }
    let is_ours = [ROOT, geteuid().as_raw()].contains(&found.uid());
    if is_ours || found.mode() & STICKY != 0 {
        return Ok(());
    }
    Err(denied(format!(
        "the folder belongs to the user with the id {} and has no sticky bit (mode {:04o}); accepted is a folder of \
         this user or of root, or one with the sticky bit",
        found.uid(),
        found.mode() & 0o7777
    )))
}

/// Creates a folder or finds an existing one. Returns it opened when it was just created, and its metadata.
fn create_or_open(path: &Path, mode: u32) -> io::Result<(Option<File>, Metadata)> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(mode).create(parent)?;
    }
    let is_new = match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        made => made.map(|()| true)?,
    };
    let found = path.symlink_metadata()?;
    if !found.is_dir() {
        return Err(wrong_type(found.file_type(), "a folder, not a link"));
    }
    if !is_new {
        return Ok((None, found));
    }
    let safe_flags = OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK;
    let folder = File::options().read(true).custom_flags(safe_flags.bits()).open(path)?;
    Ok((Some(folder), found))
}

fn denied(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn a_new_folder_gets_its_mode_and_an_existing_one_keeps_its_own() {
        let above = tempfile::tempdir().unwrap();
        let path = |name: &str| above.path().join(name);
        private_folder(&path("a/private")).unwrap();
        shared_folder(&path("a/shared")).unwrap();
        assert_eq!((mode(&path("a/private")), mode(&path("a/shared"))), (0o700, 0o1777));
        for (name, given) in [("a/private", 0o755), ("a/shared", 0o750)] {
            std::fs::set_permissions(path(name), Permissions::from_mode(given)).unwrap();
        }
        private_folder(&path("a/private")).unwrap();
        shared_folder(&path("a/shared")).unwrap();
        assert_eq!((mode(&path("a/private")), mode(&path("a/shared"))), (0o755, 0o750));
    }

    #[test]
    fn links_pipes_and_folders_that_others_can_write_to_are_rejected() {
        let above = tempfile::tempdir().unwrap();
        let path = |name: &str| above.path().join(name);
        std::fs::create_dir(path("real")).unwrap();
        symlink("real", path("link")).unwrap();
        symlink("nowhere", path("dangling")).unwrap();
        mkfifo(&path("pipe"), Mode::S_IRWXU).unwrap();
        for (name, found) in [
            ("link", "a symbolic link"),
            ("dangling", "a symbolic link"),
            ("pipe", "a named pipe"),
        ] {
            for open in [private_folder, shared_folder] {
                let error = open(&path(name)).unwrap_err().to_string();
                assert!(error.contains(found), "{name}: {error}");
            }
        }
        assert!(!path("nowhere").exists());
        for open_to_others in [0o777, 0o1777, 0o770] {
            std::fs::set_permissions(path("real"), Permissions::from_mode(open_to_others)).unwrap();
            let error = private_folder(&path("real")).unwrap_err().to_string();
            assert!(error.contains("chmod 700"), "{error}");
            assert_eq!(mode(&path("real")), open_to_others, "it is left as it is");
        }
    }
}
