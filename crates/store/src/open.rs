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
use super::transitions::Bell;
use super::{DatabaseFile, Store, StoreError, group_commit, pooler};
use crate::metrics::StoreMetrics;

/// Waiting longer for a connection would only hide an outage from the one who could wait better.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// For writes and the server's own reads; one writer stores submissions.
const POSTGRES_WRITERS: u32 = 6;
const POSTGRES_READERS: u32 = 8;
const SQLITE_READERS: u32 = 4;
/// Of the readers, those that no long read takes: keys and single experiments are always looked up.
const SQLITE_SHORT_READERS: u32 = 1;
const POSTGRES_SHORT_READERS: u32 = 2;

/// Readers go on while one writes, and a commit is on the disk before it is answered. 8 MiB of pages a connection hold
/// the inner pages of every index of millions of experiments, and are kept for good; a log that a burst made large shrinks again.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192; PRAGMA journal_size_limit = 67108864;";

static DRIVERS: Once = Once::new();

impl Store {
    /// Opens the database, creates an SQLite file that is not there yet, and brings the schema up to date.
    ///
    /// `sqlite://FILE`, `sqlite::memory:` (gone with the last clone) or `postgres://…`.
    ///
    /// # Errors
    /// Among others when the schema is newer than this program.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_for_requests(url, None).await
    }

    /// Opens it for a server: PostgreSQL ends each statement that a request asked for after `statement_timeout`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_for_requests(url: &str, statement_timeout: Option<Duration>) -> Result<Self, StoreError> {
        let url = match Dialect::of_url(url)? {
            Dialect::Sqlite => created_if_missing(url),
            Dialect::Postgres => Cow::Borrowed(url),
        };
        let store = Self::connect(&url, statement_timeout).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database that is there, and leaves its schema as it is.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn open_as_it_is(url: &str) -> Result<Self, StoreError> {
        Self::connect(url, None).await
    }

    async fn connect(url: &str, statement_timeout: Option<Duration>) -> Result<Self, StoreError> {
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let dialect = Dialect::of_url(url)?;
        require_files(url)?;
        probe(dialect, url).await?;
        let Pools { writes, own, reads } = pools(dialect, url, statement_timeout).await?;
        let long_reads = match (dialect, is_in_memory(url)) {
            (Dialect::Sqlite, true) => 1,
            (Dialect::Sqlite, false) => SQLITE_READERS - SQLITE_SHORT_READERS,
            (Dialect::Postgres, _) => POSTGRES_READERS - POSTGRES_SHORT_READERS,
        };
        let file = match dialect {
            Dialect::Sqlite => DatabaseFile::opened(&writes).await?,
            Dialect::Postgres => None,
        };
        let (moved, metrics) = (Bell::new(), StoreMetrics::default());
        let writer = Writer {
            dialect,
            writes: writes.clone(),
            file: file.clone(),
        };
        let submissions = group_commit::start(writer, (moved.clone(), metrics.clone()));
        Ok(Self {
            dialect,
            reads,
            own,
            turns: Shares::new(long_reads, SHARE_PERCENT),
            caller: "the server".into(),
            writes,
            file,
            submissions,
            moved,
            lanes: Lanes::default(),
            metrics,
        })
    }

    /// Whether servers of several hosts can share the database; a file is one server's own.
    pub fn is_shared(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    /// Asks whether the database answers and is still under its name.
    ///
    /// # Errors
    /// When it does not, or is not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if let Some(file) = &self.file {
            file.check()?;
        }
        sqlx::query("SELECT 1").execute(&self.own).await?;
        Ok(())
    }

    /// Waits for what is under way and closes every connection, for all clones.
    pub async fn close(&self) {
        self.reads.close().await;
        self.own.close().await;
        self.writes.close().await;
    }
}

/// Returns the file that an `sqlite:` URL names; `None` for one in memory and for Postgres.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    if !url.starts_with("sqlite:") || is_in_memory(url) {
        return None;
    }
    let options = SqliteConnectOptions::from_str(url).ok()?;
    let file = options.get_filename();
    (!file.as_os_str().is_empty()).then(|| file.to_owned())
}

/// Makes a missing file of ours, which only its owner may read: it holds prompts. What SQLite puts beside it gets the
/// same mode.
fn create_for_owner(file: &Path) -> io::Result<()> {
    let made = open_own(file, File::options().write(true).create_new(true).mode(0o600));
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Refuses a link or a pipe in the place of an SQLite file or of what SQLite puts beside it, and a pipe in that of what
/// the driver of Postgres reads: neither looks what it opens.
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

/// Returns the files that a Postgres URL and its environment name.
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
    // Where it fails SQLite says why.
    if let Some(file) = sqlite_file(url) {
        let _ = create_for_owner(&file);
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    Cow::Owned(format!("{url}{separator}mode=rwc"))
}

/// One connection by hand: a pool tries again and again, and then says only that it took too long.
async fn probe(dialect: Dialect, url: &str) -> Result<(), StoreError> {
    let mut connection = AnyConnection::connect(url).await?;
    if dialect == Dialect::Sqlite {
        sqlx::raw_sql(SQLITE_SETTINGS).execute(&mut connection).await?;
    }
    connection.close().await?;
    if dialect == Dialect::Postgres {
        pooler::refuse_transaction_pooling(url).await?;
    }
    Ok(())
}

/// Connections, by what they are for.
struct Pools {
    writes: AnyPool,
    own: AnyPool,
    reads: AnyPool,
}

/// Opens the pools: an SQLite database in memory is one connection's own, a file has one writer.
async fn pools(dialect: Dialect, url: &str, statement_timeout: Option<Duration>) -> Result<Pools, StoreError> {
    match dialect {
        Dialect::Sqlite if is_in_memory(url) => {
            let only = staying(1).connect(url).await?;
            Ok(Pools {
                writes: only.clone(),
                own: only.clone(),
                reads: only,
            })
        }
        Dialect::Sqlite => Ok(Pools {
            writes: staying(1).connect(url).await?,
            own: staying(1).connect(url).await?,
            reads: staying(SQLITE_READERS).connect(url).await?,
        }),
        Dialect::Postgres => {
            let writes = options(POSTGRES_WRITERS).connect(url).await?;
            let own = writes.clone();
            let reads = timed(options(POSTGRES_READERS), statement_timeout).connect(url).await?;
            Ok(Pools { writes, own, reads })
        }
    }
}

fn options(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
}

/// SQLite's are all opened at once and stay: the last one to go would take a database in memory with it, and one that
/// came later would open whatever has the file's name by then.
fn staying(connections: u32) -> AnyPoolOptions {
    options(connections)
        .min_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(SQLITE_SETTINGS).execute(connection).await.map(drop) })
        })
}

/// Has PostgreSQL end a statement that takes longer. Set on the connection, not in the URL: a pooler refuses it there.
fn timed(options: AnyPoolOptions, statement_timeout: Option<Duration>) -> AnyPoolOptions {
    let Some(timeout) = statement_timeout else {
        return options;
    };
    let text = format!("SET statement_timeout = {}", timeout.as_millis());
    options.after_connect(move |connection, _| {
        let text = AssertSqlSafe(text.clone());
        Box::pin(async move { sqlx::raw_sql(text).execute(connection).await.map(drop) })
    })
}
