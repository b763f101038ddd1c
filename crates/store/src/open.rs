use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Once;
use std::time::Duration;

use joulemark_files::{open_own, require_own_place, require_regular};
use sqlx::any::AnyPoolOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection};

use super::dialect::Dialect;
use super::lanes::Lanes;
use super::long_read::SHARE_PERCENT;
use super::shares::Shares;
use super::transaction::Writer;
use super::transitions::ChangeNotifier;
use super::{DatabaseFile, Store, StoreError, group_commit, pooler};
use crate::metrics::StoreMetrics;

/// Maximum wait for a connection; a longer one would delay the report of an outage.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for writes and for the server's own reads.
const POSTGRES_WRITERS: u32 = 6;
const POSTGRES_READERS: u32 = 8;
const SQLITE_READERS: u32 = 4;
/// Read connections that long reads cannot take, so that keys and single experiments can always be looked up.
const SQLITE_SHORT_READERS: u32 = 1;
const POSTGRES_SHORT_READERS: u32 = 2;

/// WAL lets readers continue during a write; FULL puts a commit on the disk before it is answered. A page cache of 8
/// MiB for each connection holds the inner pages of every index of millions of experiments. A log that grew in a burst
/// is truncated to 64 MiB.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192; PRAGMA journal_size_limit = 67108864;";

static DRIVERS: Once = Once::new();

impl Store {
    /// Opens a database, creates a missing SQLite file, and applies missing migrations. Accepts `sqlite://FILE`,
    /// `sqlite::memory:`, which is deleted with the last clone, and `postgres://…`.
    ///
    /// # Errors
    /// Returns [`StoreError::BadUrl`] for another URL, [`StoreError::NewerSchema`] when the schema is newer than this
    /// program, and an error when the database fails.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_for_requests(url, None).await
    }

    /// Opens a database for a server. PostgreSQL ends each statement on behalf of a request after `statement_timeout`.
    ///
    /// # Errors
    /// Returns the errors of [`Self::open`].
    pub async fn open_for_requests(url: &str, statement_timeout: Option<Duration>) -> Result<Self, StoreError> {
        let url = match Dialect::of_url(url)? {
            Dialect::Sqlite => created_if_missing(url),
            Dialect::Postgres => Cow::Borrowed(url),
        };
        let store = Self::connect(&url, statement_timeout).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens an existing database without applying migrations.
    ///
    /// # Errors
    /// Returns an error when it cannot be reached.
    pub async fn open_as_it_is(url: &str) -> Result<Self, StoreError> {
        Self::connect(url, None).await
    }

    async fn connect(url: &str, statement_timeout: Option<Duration>) -> Result<Self, StoreError> {
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let dialect = Dialect::of_url(url)?;
        require_files(url)?;
        probe(dialect, url).await?;
        let Pools {
            writes,
            internal,
            reads,
        } = pools(dialect, url, statement_timeout).await?;
        let long_reads = match (dialect, is_in_memory(url)) {
            (Dialect::Sqlite, true) => 1,
            (Dialect::Sqlite, false) => SQLITE_READERS - SQLITE_SHORT_READERS,
            (Dialect::Postgres, _) => POSTGRES_READERS - POSTGRES_SHORT_READERS,
        };
        let file = match dialect {
            Dialect::Sqlite => DatabaseFile::opened(&writes).await?,
            Dialect::Postgres => None,
        };
        let (changes, metrics) = (ChangeNotifier::new(), StoreMetrics::default());
        let writer = Writer {
            dialect,
            writes: writes.clone(),
            file: file.clone(),
        };
        let submissions = group_commit::start(writer, (changes.clone(), metrics.clone()));
        Ok(Self {
            dialect,
            reads,
            internal,
            turns: Shares::new(long_reads, SHARE_PERCENT),
            caller: "the server".into(),
            writes,
            file,
            submissions,
            changes,
            lanes: Lanes::default(),
            metrics,
        })
    }

    /// Returns whether servers on several hosts can share the database. Only PostgreSQL can be shared.
    pub fn is_shared(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    /// Checks that the database answers, and that an SQLite file is still at its path.
    ///
    /// # Errors
    /// Returns an error when either is not the case.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if let Some(file) = &self.file {
            file.check()?;
        }
        sqlx::query("SELECT 1").execute(&self.internal).await?;
        Ok(())
    }

    /// Waits for running statements and closes every connection, for all clones.
    pub async fn close(&self) {
        self.reads.close().await;
        self.internal.close().await;
        self.writes.close().await;
    }
}

/// Returns the path in an `sqlite:` URL; `None` for a database in memory and for PostgreSQL.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    if !url.starts_with("sqlite:") || is_in_memory(url) {
        return None;
    }
    let options = SqliteConnectOptions::from_str(url).ok()?;
    let file = options.get_filename();
    (!file.as_os_str().is_empty()).then(|| file.to_owned())
}

/// Creates a missing file that only its owner can read, because it holds prompts. SQLite gives the files beside it the
/// same mode.
fn create_for_owner(file: &Path) -> io::Result<()> {
    let made = open_own(file, File::options().write(true).create_new(true).mode(0o600));
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Checks the files that the drivers will open, since the drivers follow links and block on pipes. Accepts only a
/// regular file, and no link, for an SQLite file and the files beside it; accepts links to regular files for those of
/// PostgreSQL.
fn require_files(url: &str) -> Result<(), StoreError> {
    let unusable = |path: &Path, error: io::Error| StoreError::BadUrl(format!("{}: {error}", path.display()));
    if let Some(file) = sqlite_file(url) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut path = file.clone().into_os_string();
            path.push(suffix);
            let path = PathBuf::from(path);
            require_own_place(&path).map_err(|error| unusable(&path, error))?;
        }
    }
    if !url.starts_with("sqlite:") {
        for path in postgres_files(url) {
            require_regular(&path).map_err(|error| unusable(&path, error))?;
        }
    }
    Ok(())
}

/// Returns the files that a PostgreSQL URL and the environment name.
fn postgres_files(url: &str) -> Vec<PathBuf> {
    const PARAMETERS: [&str; 6] = [
        "sslrootcert",
        "ssl-root-cert",
        "ssl-ca",
        "sslcert",
        "ssl-cert",
        "sslkey",
    ];
    const VARIABLES: [&str; 4] = ["PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGPASSFILE"];
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let named = pairs.filter(|(name, _)| PARAMETERS.contains(name));
    let named = named.map(|(_, value)| PathBuf::from(value.replace("%2F", "/").replace("%2f", "/")));
    let variables = VARIABLES.iter().filter_map(std::env::var_os).map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pgpass"));
    named.chain(variables).chain(home).collect()
}

fn is_in_memory(url: &str) -> bool {
    url.contains(":memory:") || url.contains("mode=memory")
}

fn created_if_missing(url: &str) -> Cow<'_, str> {
    if is_in_memory(url) || url.contains("mode=") {
        return Cow::Borrowed(url);
    }
    // When this fails, SQLite reports the reason.
    if let Some(file) = sqlite_file(url) {
        let _ = create_for_owner(&file);
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    Cow::Owned(format!("{url}{separator}mode=rwc"))
}

/// Opens one connection directly: a pool retries, and then reports a timeout instead of the cause.
async fn probe(dialect: Dialect, url: &str) -> Result<(), StoreError> {
    let mut connection = AnyConnection::connect(url).await?;
    if dialect == Dialect::Sqlite {
        sqlx::raw_sql(SQLITE_SETTINGS).execute(&mut connection).await?;
    }
    connection.close().await?;
    if dialect == Dialect::Postgres {
        pooler::reject_transaction_pooling(url).await?;
    }
    Ok(())
}

/// Connection pools by purpose.
struct Pools {
    writes: AnyPool,
    internal: AnyPool,
    reads: AnyPool,
}

/// Opens the pools. An SQLite database in memory exists in one connection only; an SQLite file has one connection for
/// writes.
async fn pools(dialect: Dialect, url: &str, statement_timeout: Option<Duration>) -> Result<Pools, StoreError> {
    match dialect {
        Dialect::Sqlite if is_in_memory(url) => {
            let only = permanent(1).connect(url).await?;
            Ok(Pools {
                writes: only.clone(),
                internal: only.clone(),
                reads: only,
            })
        }
        Dialect::Sqlite => Ok(Pools {
            writes: permanent(1).connect(url).await?,
            internal: permanent(1).connect(url).await?,
            reads: permanent(SQLITE_READERS).connect(url).await?,
        }),
        Dialect::Postgres => {
            let writes = options(POSTGRES_WRITERS).connect(url).await?;
            let internal = writes.clone();
            let reads = with_statement_timeout(options(POSTGRES_READERS), statement_timeout)
                .connect(url)
                .await?;
            Ok(Pools {
                writes,
                internal,
                reads,
            })
        }
    }
}

fn options(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
}

/// Returns options for SQLite pools whose connections are opened at once and never closed. Closing the last one would
/// delete a database in memory, and a connection opened later could open another file at the same path.
fn permanent(connections: u32) -> AnyPoolOptions {
    options(connections)
        .min_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(SQLITE_SETTINGS).execute(connection).await.map(drop) })
        })
}

/// Adds a statement timeout to each PostgreSQL connection. It is not set in the URL, where poolers reject it.
fn with_statement_timeout(options: AnyPoolOptions, statement_timeout: Option<Duration>) -> AnyPoolOptions {
    let Some(timeout) = statement_timeout else {
        return options;
    };
    let text = format!("SET statement_timeout = {}", timeout.as_millis());
    options.after_connect(move |connection, _| {
        let text = AssertSqlSafe(text.clone());
        Box::pin(async move { sqlx::raw_sql(text).execute(connection).await.map(drop) })
    })
}
