use std::{fs::File, os::unix::fs::OpenOptionsExt as _, path::PathBuf};

use anyhow::{Context as _, bail};
use joulemark_files::open_own;
use joulemark_store::sqlite_file;
use nix::fcntl::{Flock, FlockArg};

/// The locks of a database that is one server's own. They are to outlive every connection to it.
#[derive(Debug)]
pub struct DatabaseLock {
    _database: Option<Flock<File>>,
    /// Beside the file, which earlier versions take.
    _beside: Flock<File>,
}

/// Takes an SQLite file for the server's life: a second server on it would take over the first one's experiments and
/// lease its devices a second time. Returns `None` for Postgres and for a database in memory.
///
/// # Errors
/// When another process holds it.
pub fn lock(database_url: &str) -> anyhow::Result<Option<DatabaseLock>> {
    let Some(path) = lock_path(database_url) else {
        return Ok(None);
    };
    let database = sqlite_file(database_url).map(own_file).transpose()?;
    let shown = path.display().to_string();
    let mut options = File::options();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    let file =
        open_own(&path, options).with_context(|| format!("the lock {shown} beside the database cannot be opened"))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Some(DatabaseLock {
            _database: database,
            _beside: held,
        })),
        Err(_) => bail!("another joulemark server uses {database_url} (it holds {shown}); stop it first"),
    }
}

/// Takes the lock of the file itself, by whatever name it is known, and makes the file when it is missing. SQLite's own
/// locks are of another kind (fcntl), which this one (flock) does not meet; but they would be lost when a descriptor of
/// the file is closed, so that this one stays open for as long as SQLite has the file.
fn own_file(path: PathBuf) -> anyhow::Result<Flock<File>> {
    let shown = path.display();
    let mut options = File::options();
    let options = options.create(true).truncate(false).read(true).write(true).mode(0o600);
    let file = open_own(&path, options).with_context(|| format!("the database {shown} cannot be opened"))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(held),
        Err(_) => bail!("another joulemark server uses {shown}, perhaps by another name; stop it first"),
    }
}

fn lock_path(database_url: &str) -> Option<PathBuf> {
    let mut path = sqlite_file(database_url)?.into_os_string();
    path.push(".lock");
    Some(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_on_the_same_file_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("a.db").display());
        let held = lock(&url).unwrap();
        assert!(held.is_some());
        assert!(lock(&url).unwrap_err().to_string().contains("another joulemark server"));
        drop(held);
        assert!(lock(&url).unwrap().is_some());
        assert!(lock("postgres://db/jm").unwrap().is_none() && lock("sqlite::memory:").unwrap().is_none());
    }

    #[test]
    fn a_file_is_one_server_s_by_whatever_name_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let url = |path: PathBuf| format!("sqlite://{}", path.display());
        let held = lock(&url(path("a b.db")).replace(' ', "%20")).unwrap();
        assert!(held.is_some() && path("a b.db").is_file());
        std::os::unix::fs::symlink("a b.db", path("symbolic.db")).unwrap();
        std::os::unix::fs::symlink(folder.path(), path("folder")).unwrap();
        std::fs::hard_link(path("a b.db"), path("hard.db")).unwrap();
        for other in ["folder/a b.db", "hard.db", "a b.db"] {
            let refused = lock(&format!("{}?mode=rwc", url(path(other)))).unwrap_err().to_string();
            assert!(refused.contains("another joulemark server"), "{other}: {refused}");
        }
        std::os::unix::fs::symlink("later.db", path("dangling.db")).unwrap();
        for link in ["symbolic.db", "dangling.db"] {
            let refused = format!("{:#}", lock(&url(path(link))).unwrap_err());
            assert!(refused.contains("a symbolic link in its place"), "{link}: {refused}");
        }
        assert!(!path("later.db").exists());
        drop(held);
        assert!(lock(&url(path("hard.db"))).unwrap().is_some());
    }
}
