use std::{fs::File, path::PathBuf};

use anyhow::{Context as _, bail};
use nix::fcntl::{Flock, FlockArg};

/// Held for the server's life: a second server on the same SQLite file would take over the first one's experiments and
/// lease its devices a second time. Null for Postgres and for a database in memory.
///
/// # Errors
/// When another process holds it.
pub fn lock(database_url: &str) -> anyhow::Result<Option<Flock<File>>> {
    let Some(path) = lock_path(database_url) else {
        return Ok(None);
    };
    let shown = path.display().to_string();
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("the lock {shown} beside the database cannot be opened"))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Some(held)),
        Err(_) => bail!("another joulemark server uses {database_url} (it holds {shown}); stop it first"),
    }
}

fn lock_path(database_url: &str) -> Option<PathBuf> {
    let file = database_url.strip_prefix("sqlite:")?.trim_start_matches("//");
    let file = file.split('?').next().unwrap_or_default();
    (!file.is_empty() && !file.contains(":memory:")).then(|| PathBuf::from(format!("{file}.lock")))
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
}
