use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyPool, Row};

use super::dialect::Dialect;
use super::{Store, StoreError};

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");

fn migrator(dialect: Dialect) -> &'static Migrator {
    match dialect {
        Dialect::Sqlite => &SQLITE,
        Dialect::Postgres => &POSTGRES,
    }
}

fn known(dialect: Dialect) -> i64 {
    let versions = migrator(dialect).iter().map(|migration| migration.version);
    versions.max().unwrap_or(0)
}

/// Brings the schema up to date; forward only. What is newer than this program is left untouched.
pub async fn migrate(dialect: Dialect, pool: &AnyPool) -> Result<(), StoreError> {
    let known = known(dialect);
    migrator(dialect).run(pool).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        MigrateError::VersionMissing(found) if found > known => StoreError::NewerSchema { found, known },
        other => StoreError::corrupt("the schema", other),
    })
}

impl Store {
    /// Brings the schema up to date.
    ///
    /// # Errors
    /// Among others when the schema is newer than this program.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrate(self.dialect, &self.writes).await
    }

    /// The newest migration that the database has; 0 when it is empty.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn schema_version(&self) -> Result<i64, StoreError> {
        let tables = sqlx::query(self.dialect.has_migrations())
            .fetch_all(&self.reads)
            .await?;
        if tables.is_empty() {
            return Ok(0);
        }
        let text = "SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) AS version FROM _sqlx_migrations";
        let row = sqlx::query(text).fetch_one(&self.reads).await?;
        Ok(row.try_get("version")?)
    }

    /// # Errors
    /// [`StoreError::OlderSchema`] and [`StoreError::NewerSchema`] when the schema is not this program's.
    pub async fn require_present_schema(&self) -> Result<(), StoreError> {
        let (found, known) = (self.schema_version().await?, known(self.dialect));
        match found.cmp(&known) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(StoreError::OlderSchema { found, known }),
            std::cmp::Ordering::Greater => Err(StoreError::NewerSchema { found, known }),
        }
    }
}
