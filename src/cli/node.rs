use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::config::Settings;
use crate::scheduler::{LockError, LockFolder, Locks, Node, Scheduler};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::quoted;
use joulemark_store::{Abandoned, Registered};

/// On Debian writable for everyone, in memory, and not cleaned up as /tmp is.
const USUAL_LOCKS: &str = "/run/lock/joulemark";

/// This server as a node, with its name, which it has until the locks are dropped.
///
/// # Errors
/// When another server of this host has the name, or there is no place for locks.
pub fn take(settings: &Settings) -> anyhow::Result<(Node, Locks)> {
    let locks = lock_folder(&settings.node.lock_dir)?;
    let name = match settings.node.node_name.as_str() {
        "" => nix::unistd::gethostname()?.to_string_lossy().into_owned(),
        name => name.to_owned(),
    };
    // A name is one server's in one database; a file's may be relative to where the server was started.
    let url = &settings.service.database_url;
    let database = match url.starts_with("sqlite:") {
        true => format!("{url} in {}", std::env::current_dir()?.display()),
        false => url.clone(),
    };
    let (held, seat) = locks
        .seat(&format!("{name} of {database}"))
        .map_err(|error| match error {
            LockError::Busy => anyhow::anyhow!(
                "another joulemark server on this host is node {name} (its lock is in {}); stop it, or give this one \
             another --node-name",
                locks.path().display(),
                name = quoted(&name)
            ),
            LockError::Failed(error) => anyhow::Error::new(error).context("the node's lock cannot be taken"),
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

/// Returns the folder of this host's locks, the one that is named or the usual one.
///
/// # Errors
/// Returns why no locks can be taken there.
pub fn lock_folder(named: &Path) -> anyhow::Result<LockFolder> {
    let open = |path: &Path| {
        LockFolder::open(path).with_context(|| format!("no locks can be taken in the folder {}", path.display()))
    };
    if !named.as_os_str().is_empty() {
        return open(named);
    }
    let usual = Path::new(USUAL_LOCKS);
    open(usual).or_else(|error| {
        let other: PathBuf = std::env::temp_dir().join("joulemark-locks");
        let shown = other.display();
        tracing::warn!("{error:#}; taking {shown}: other servers of this host must use the same lock_dir");
        open(&other)
    })
}

/// Enters the node in the database and takes over what an earlier life of it left. Waits for a name that is believed to
/// be another server's until that one's lease ends.
///
/// # Errors
/// When the other server lives, or the database fails.
pub async fn join(scheduler: &Scheduler, is_shared: bool) -> anyhow::Result<()> {
    let name = scheduler.node().name.clone();
    let (start, patience) = (Monotonic::now(), scheduler.node().lease * 2);
    while let Registered::Taken { for_sec } = scheduler.register().await? {
        if Monotonic::now().sec_since(start) > patience.as_secs_f64() {
            bail!(
                "another server is node {name} in this database; give this one another --node-name",
                name = quoted(&name)
            );
        }
        tracing::warn!(
            "node {name} is another server's, or was until {for_sec:.0} s from now; waiting",
            name = quoted(&name)
        );
        tokio::time::sleep(Duration::from_secs_f64(for_sec.clamp(0.1, 5.0))).await;
    }
    // A file is this server's alone: whatever runs by its word has no server.
    let whose = if is_shared {
        Abandoned::OfNode(&name)
    } else {
        Abandoned::All
    };
    Ok(scheduler.recover(whose).await?)
}
