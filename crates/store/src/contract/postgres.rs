//! The contract on a PostgreSQL cluster of its own: a folder and a socket, no port, gone with the test.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use sqlx::{Connection as _, Row as _};
use tempfile::TempDir;

use super::super::{Store, StoreError};
use super::fixtures::{at, claim, queued};

struct Cluster {
    server: Child,
    folder: TempDir,
}

impl Cluster {
    /// None where PostgreSQL is not installed.
    fn start() -> Option<Self> {
        let binaries = binaries()?;
        let folder = tempfile::tempdir().unwrap();
        let owner = owner();
        if let Some(owner) = &owner {
            chown(folder.path(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        }
        let data = folder.path().join("data");
        let command = |program: &str| {
            let mut command = Command::new(binaries.join(program));
            command
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            if let Some(owner) = &owner {
                command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
            }
            command
        };
        let made = command("initdb")
            .args([
                "--auth=trust",
                "--username=postgres",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            .arg(&data)
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed: {made}");
        let server = command("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .spawn()
            .unwrap();
        Some(Self { server, folder })
    }

    fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@localhost/{database}?host={}",
            self.folder.path().display()
        )
    }

    async fn wait(&self) {
        for attempt in 0.. {
            match Store::open(&self.url("postgres")).await {
                Ok(_) => return,
                Err(error) => assert!(error.is_retryable() && attempt < 300, "{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGQUIT is PostgreSQL's immediate shutdown: it takes its children along, SIGKILL would not.
        let _ = kill(Pid::from_raw(self.server.id() as i32), Signal::SIGQUIT);
        let _ = self.server.wait();
    }
}

/// The newest installed version's programs.
fn binaries() -> Option<PathBuf> {
    let versions = Path::new("/usr/lib/postgresql").read_dir().ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    folders.filter(|folder| folder.join("initdb").is_file()).max()
}

/// PostgreSQL refuses to run as root.
fn owner() -> Option<User> {
    let name = |name| User::from_name(name).ok().flatten();
    Uid::effective().is_root().then(|| {
        name("postgres")
            .or_else(|| name("nobody"))
            .expect("there is a plain user")
    })
}

#[tokio::test]
async fn postgres_keeps_the_whole_contract() {
    let Some(cluster) = Cluster::start() else {
        println!("skipped: there is no PostgreSQL under /usr/lib/postgresql");
        return;
    };
    cluster.wait().await;
    let administration = Store::open(&cluster.url("postgres")).await.unwrap();
    let number = AtomicU32::new(0);
    let fresh = async || {
        let database = format!("contract_{}", number.fetch_add(1, Ordering::Relaxed));
        let text = sqlx::AssertSqlSafe(format!("CREATE DATABASE {database} TEMPLATE template0"));
        sqlx::query(text).execute(&administration.writes).await.unwrap();
        Store::open(&cluster.url(&database)).await.unwrap()
    };
    super::all(&fresh).await;
    a_database_of_the_previous_release_is_brought_up_to_date(&cluster, &administration).await;
    let (one, other) = (fresh().await, number.load(Ordering::Relaxed) - 1);
    let other = Store::open(&cluster.url(&format!("contract_{other}"))).await.unwrap();
    super::quotas::two_servers_pass_no_limit_together(one, other).await;
    a_newer_schema_is_refused(&cluster.url("contract_0")).await;
    a_write_that_is_given_up_leaves_no_transaction_open(&cluster.url("contract_2")).await;
    an_outage_can_be_retried(cluster).await;
}

async fn a_database_of_the_previous_release_is_brought_up_to_date(cluster: &Cluster, administration: &Store) {
    sqlx::query("CREATE DATABASE previous TEMPLATE template0")
        .execute(&administration.writes)
        .await
        .unwrap();
    let url = cluster.url("previous");
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(super::upgrading::POSTGRES_DUMP)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let store = Store::open_as_it_is(&url).await.unwrap();
    assert_eq!(store.schema_version().await.unwrap(), 2);
    super::upgrading::everything_is_there_and_all_that_is_new_works_on_it(Store::open(&url).await.unwrap()).await;
}

async fn a_newer_schema_is_refused(url: &str) {
    let store = Store::open(url).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9000, 'from the future', TRUE, '\\x00', 0)",
    )
    .execute(&store.writes)
    .await
    .unwrap();
    let refused = Store::open(url).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::NewerSchema { found: 9000, .. }),
        "{refused:?}"
    );
}

async fn an_outage_can_be_retried(cluster: Cluster) {
    let store = Store::open(&cluster.url("contract_1")).await.unwrap();
    let id = queued(&store).await;
    drop(cluster);
    let unreachable = store.get(id).await.unwrap_err();
    assert!(unreachable.is_retryable(), "{unreachable:?}");
    let unwritable = claim(&store, id, at(1)).await.unwrap_err();
    assert!(unwritable.is_retryable(), "{unwritable:?}");
}

/// A client that hangs up, or a run that is ended, may give up a write at any moment of it.
async fn a_write_that_is_given_up_leaves_no_transaction_open(url: &str) {
    let (store, watching) = (Store::open(url).await.unwrap(), Store::open(url).await.unwrap());
    let id = queued(&store).await;
    // Each time it is polled, one more answer of the database is there to be taken.
    for polls in 1..20 {
        let mut writing = Box::pin(claim(&store, id, at(1)));
        let mut is_done = false;
        for _ in 0..polls {
            is_done = is_done || futures::poll!(&mut writing).is_ready();
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        drop(writing);
        assert_none_is_in_a_transaction(&watching, polls).await;
        if is_done {
            assert!(polls > 1, "it was given up at least once");
            return;
        }
    }
    panic!("it was never done");
}

async fn assert_none_is_in_a_transaction(store: &Store, polls: u32) {
    let text = "SELECT COUNT(*) AS connections FROM pg_stat_activity \
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    // What was begun for nobody is rolled back a moment later.
    for _ in 0..40 {
        let row = sqlx::query(text).fetch_one(&store.reads).await.unwrap();
        if row.get::<i64, _>("connections") == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("given up after {polls} answers, it leaves a transaction open");
}
