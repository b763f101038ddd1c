//! `joulemark db backup`.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use joulemark_files::open_own;
use percent_encoding::percent_decode_str;

use crate::cli::say::say;
use crate::config::Settings;
use crate::disk::backup_marker;
use joulemark_measurement::clock;
use joulemark_store::sqlite_file;

/// Copies the database into a new file.
pub async fn backup(settings: &Settings, file: &Path) -> anyhow::Result<()> {
    let shown = file.display();
    if file.exists() {
        bail!("{shown} already exists; name a new file");
    }
    // Written beside the target and renamed once complete.
    let unfinished = PathBuf::from(format!("{shown}.unfinished"));
    // Readable by its owner alone, as the database is.
    let mut options = std::fs::File::options();
    let made = open_own(&unfinished, options.write(true).create(true).truncate(true).mode(0o600));
    made.with_context(|| format!("{} cannot be created", unfinished.display()))?;
    let written = write(settings, &unfinished).await;
    let placed = written.and_then(|()| Ok(place(&unfinished, file)?));
    if placed.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    placed.with_context(|| format!("{shown} cannot be created"))?;
    if let Some(database) = sqlite_file(&settings.service.database_url)
        && let Err(error) = backup_marker::set(&database, clock::wall_now())
    {
        eprintln!("joulemark: the time of the backup cannot be recorded beside the database: {error}");
    }
    say(&format!("{shown}: {} bytes\n", std::fs::metadata(file)?.len()))?;
    Ok(())
}

async fn write(settings: &Settings, unfinished: &Path) -> anyhow::Result<()> {
    if settings.service.sqlite_file().is_none() {
        return dump(&settings.service.database_url, unfinished);
    }
    let store = super::open::open_as_it_is(settings).await?;
    store.copy_into(unfinished).await?;
    store.close().await;
    Ok(())
}

/// Syncs the file to disk, then renames it.
fn place(unfinished: &Path, file: &Path) -> std::io::Result<()> {
    std::fs::File::open(unfinished)?.sync_all()?;
    std::fs::rename(unfinished, file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Runs `pg_dump`, which copies everything that a Postgres database can hold.
fn dump(url: &str, file: &Path) -> anyhow::Result<()> {
    if !url.starts_with("postgres") {
        bail!("a database in memory cannot be backed up");
    }
    let (url, password) = without_password(url);
    let mut command = Command::new("pg_dump");
    command
        .args(["--format=custom", "--file"])
        .arg(file)
        .arg("--dbname")
        .arg(&url);
    if let Some(password) = password {
        // Not as an argument: every user of the host can read those.
        command.env("PGPASSWORD", password);
    }
    let ended = command.status().with_context(|| {
        format!("pg_dump cannot be started; install PostgreSQL's client programs, or run on another host: pg_dump --format=custom --file FILE --dbname {url}")
    })?;
    if !ended.success() {
        bail!("pg_dump failed: {ended}");
    }
    Ok(())
}

fn without_password(url: &str) -> (String, Option<String>) {
    let whole = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else {
        return whole();
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let Some((credentials, _)) = authority.rsplit_once('@') else {
        return whole();
    };
    let Some((user, password)) = credentials.split_once(':') else {
        return whole();
    };
    let after = &rest[credentials.len()..];
    let password = percent_decode_str(password).decode_utf8_lossy();
    (format!("{scheme}://{user}{after}"), Some(password.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_leaves_the_url_decoded() {
        for (url, bare, password) in [
            (
                "postgres://lab:p%40ss:w@db:5432/jm?sslmode=require",
                "postgres://lab@db:5432/jm?sslmode=require",
                Some("p@ss:w"),
            ),
            ("postgres://lab@db/jm", "postgres://lab@db/jm", None),
            ("postgres://lab:100%@db/jm", "postgres://lab@db/jm", Some("100%")),
            (
                "postgresql:///jm?host=/run/a:b@c",
                "postgresql:///jm?host=/run/a:b@c",
                None,
            ),
        ] {
            assert_eq!(without_password(url), (bare.to_owned(), password.map(str::to_owned)));
        }
    }
}
