//! Takes this server's identity as a node: its name, its locks and its row in the database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::config::Settings;
use crate::scheduler::{LockError, LockFolder, Locks, Node, Scheduler};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::quoted;
use joulemark_store::{Abandoned, Registered};

/// On Debian writable by everyone, in memory, and not cleaned up as /tmp is.
const USUAL_LOCKS: &str = "/run/lock/joulemark";

/// Returns this server as a node, and the locks by which it owns its name until they are dropped.
///
/// # Errors
/// Returns an error when another server of this host has the name, or no locks can be taken.
pub fn take(settings: &Settings) -> anyhow::Result<(Node, Locks)> {
    let locks = lock_folder(&settings.node.lock_dir)?;
    let name = match settings.node.node_name.as_str() {
        "" => nix::unistd::gethostname()?.to_string_lossy().into_owned(),
        name => name.to_owned(),
    };
    // The name is unique within a database; a relative SQLite path depends on the current folder.
    let url = &settings.service.database_url;
    let database = match url.starts_with("sqlite:") {
        true => format!("{url} in {}", std::env::current_dir()?.display()),
        false => url.clone(),
    };
    let (held, seat) = locks
        .seat(&format!("{name} of {database}"))
        .map_err(|error| match error {
            LockError::Busy => anyhow::anyhow!(
                "another joulemark server on this host is node {name} (its lock is in {}); stop it, or give this server \
             another --node-name",
                locks.path().display(),
                name = quoted(&name)
            ),
            LockError::Failed(error) => anyhow::Error::new(error).context("the lock of the node cannot be taken"),
        })?;
    let node = Node {
        name,
        incarnation: uuid::Uuid::now_v7().to_string(),
        seat,
        lease: Duration::from_secs(u64::from(settings.node.lease_sec)),
        max_attempts: settings.node.max_attempts,
        locks,
    };
    Ok((node, held))
}

/// Returns the folder for this host's locks: the configured one, or else the default.
///
/// # Errors
/// Returns an error that names the folder when no locks can be taken in it.
pub fn lock_folder(named: &Path) -> anyhow::Result<LockFolder> {
    let open = |path: &Path| {
        LockFolder::open(path).with_context(|| format!("locks cannot be taken in the folder {}", path.display()))
    };
    if !named.as_os_str().is_empty() {
        return open(named);
    }
    let usual = Path::new(USUAL_LOCKS);
    open(usual).or_else(|error| {
        let other: PathBuf = std::env::temp_dir().join("joulemark-locks");
        let shown = other.display();
        tracing::warn!("{error:#}; using {shown}; all servers of this host must use the same lock_dir");
        open(&other)
    })
}

/// Registers the node in the database and recovers the experiments that its previous run left. While another server
/// appears to have the name, waits for that server's lease to end.
///
/// # Errors
/// Returns an error when the other server renews its lease, or the database fails.
pub async fn join(scheduler: &Scheduler, is_shared: bool) -> anyhow::Result<()> {
    let name = scheduler.node().name.clone();
    let (start, patience) = (Monotonic::now(), scheduler.node().lease * 2);
    while let Registered::Taken { for_sec } = scheduler.register().await? {
        if Monotonic::now().sec_since(start) > patience.as_secs_f64() {
            bail!(
                "another server is node {name} in this database; give this server another --node-name",
                name = quoted(&name)
            );
        }
        tracing::warn!(
            "another server has the node name {name}, by a lease that ends in {for_sec:.0} s; waiting",
            name = quoted(&name)
        );
        tokio::time::sleep(Duration::from_secs_f64(for_sec.clamp(0.1, 5.0))).await;
    }
    // A database that is not shared has only this server, so every unfinished run is abandoned.
    let whose = if is_shared {
        Abandoned::OfNode(&name)
    } else {
        Abandoned::All
    };
    Ok(scheduler.recover(whose).await?)
}
