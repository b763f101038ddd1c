//! Locks an SQLite database for one server.

use std::{fs::File, os::unix::fs::OpenOptionsExt as _, path::PathBuf};

use anyhow::{Context as _, bail};
use joulemark_files::open_own;
use joulemark_store::sqlite_file;
use nix::fcntl::{Flock, FlockArg};

/// Locks on an SQLite database. Must be dropped after every connection to it.
#[derive(Debug)]
pub struct DatabaseLock {
    _database: Option<Flock<File>>,
    /// Lock on the file beside the database, which is all that earlier versions lock.
    _beside: Flock<File>,
}

/// Locks an SQLite file for the life of the server: a second server would take over the first one's experiments and
/// lease its devices again. Returns `None` for Postgres and for a database in memory.
///
/// # Errors
/// Returns an error when another process holds the lock.
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

/// Locks the database file, under whatever path it is opened, and creates it if missing. SQLite locks by fcntl, which
/// does not conflict with this flock. Closing any descriptor of the file would release SQLite's locks, so this one must
/// stay open while SQLite uses the file.
fn own_file(path: PathBuf) -> anyhow::Result<Flock<File>> {
    let shown = path.display();
    let mut options = File::options();
    let options = options.create(true).truncate(false).read(true).write(true).mode(0o600);
    let file = open_own(&path, options).with_context(|| format!("the database {shown} cannot be opened"))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(held),
        Err(_) => bail!("another joulemark server uses {shown}, perhaps under another path; stop it first"),
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
    fn a_second_server_on_the_same_file_is_rejected_until_the_first_has_ended() {
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
    fn a_file_is_locked_under_every_path_that_leads_to_it() {
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
