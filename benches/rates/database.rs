use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use sqlx::{AnyConnection, Connection as _, Row as _};

use joulemark_testkit::postgres_cluster::PostgresCluster;

/// A database of the bench's own.
pub enum Database {
    Sqlite(PathBuf),
    /// Of a cluster, by its name.
    Postgres {
        url: String,
        cluster_folder: PathBuf,
    },
}

impl Database {
    pub fn sqlite(path: PathBuf) -> Self {
        Self::Sqlite(path)
    }

    pub fn postgres(cluster: &PostgresCluster, name: &str) -> Self {
        let maintenance = cluster.url();
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        block_on(async {
            let mut connection = connect(&maintenance).await;
            let created = sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut connection);
            created.await.expect("the database is made");
        });
        let folder = maintenance.split_once("?host=").expect("it is on a socket").1;
        Self::Postgres {
            cluster_folder: PathBuf::from(folder),
            url: maintenance.replace("/postgres?", &format!("/{name}?")),
        }
    }

    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}?mode=rwc", path.display()),
            Self::Postgres { url, .. } => url.clone(),
        }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    pub async fn connection(&self) -> AnyConnection {
        connect(&self.url()).await
    }

    /// How many experiments are stored.
    pub fn count(&self) -> u32 {
        let count = self.number("SELECT COUNT(*) FROM experiments");
        u32::try_from(count).expect("a count")
    }

    pub fn bytes(&self) -> u64 {
        match self {
            Self::Sqlite(path) => std::fs::metadata(path).map_or(0, |file| file.len()),
            Self::Postgres { .. } => self
                .number("SELECT pg_database_size(current_database())")
                .unsigned_abs(),
        }
    }

    pub fn number(&self, text: &'static str) -> i64 {
        block_on(async {
            let mut connection = self.connection().await;
            let row = sqlx::query(text).fetch_one(&mut connection).await;
            let number = row.expect("it is answered").get(0);
            connection.close().await.expect("it closes");
            number
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Sqlite(path) => vec![path.clone()],
            Self::Postgres { cluster_folder, .. } => files_under(&cluster_folder.join("data/base")),
        }
    }

    /// Reads all of it, so that the operating system has it in memory.
    pub fn warm(&self) {
        let mut part = vec![0; 1 << 20];
        for path in self.files() {
            let Ok(mut file) = File::open(path) else { continue };
            while file.read(&mut part).is_ok_and(|read| read > 0) {}
        }
    }

    /// Has the operating system forget it, as after a restart of the host.
    pub fn cool(&self) {
        let synced = Command::new("sync").status();
        assert!(synced.is_ok_and(|synced| synced.success()), "sync fails");
        for path in self.files() {
            let Ok(file) = File::open(path) else { continue };
            posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).expect("it is forgotten");
        }
    }
}

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.expect("the database opens")
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new()
        .expect("a runtime starts")
        .block_on(future)
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let files = paths.flat_map(|path| match path.is_dir() {
        true => files_under(&path),
        false => vec![path],
    });
    files.collect()
}

/// What this machine has read from its disks since it started.
pub fn bytes_read_from_disk() -> u64 {
    let counters = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let line = counters.lines().find_map(|line| line.strip_prefix("pgpgin "));
    line.and_then(|kibibytes| kibibytes.trim().parse::<u64>().ok())
        .map_or(0, |kibibytes| kibibytes * 1024)
}
