use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyPool, Row};

use super::dialect::Dialect;
use super::{Store, StoreError};

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");

/// Returns the embedded migrations of a dialect.
fn migrator(dialect: Dialect) -> &'static Migrator {
    match dialect {
        Dialect::Sqlite => &SQLITE,
        Dialect::Postgres => &POSTGRES,
    }
}

/// Returns the version of the latest embedded migration.
fn known(dialect: Dialect) -> i64 {
    let versions = migrator(dialect).iter().map(|migration| migration.version);
    versions.max().unwrap_or(0)
}

/// Applies the migrations that the database lacks. A schema newer than this program is not changed.
pub async fn migrate(dialect: Dialect, pool: &AnyPool) -> Result<(), StoreError> {
    let known = known(dialect);
    migrator(dialect).run(pool).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        MigrateError::VersionMissing(found) if found > known => StoreError::NewerSchema { found, known },
        other => StoreError::corrupt("the schema", other),
    })
}

impl Store {
    /// Applies the migrations that the database lacks.
    ///
    /// # Errors
    /// Returns [`StoreError::NewerSchema`] when the schema is newer than this program, and an error when a migration
    /// fails.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrate(self.dialect, &self.writes).await
    }

    /// Returns the version of the latest migration applied; 0 for an empty database.
    ///
    /// # Errors
    /// Returns an error when the database fails.
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

    /// Checks that the schema is the one that this program needs.
    ///
    /// # Errors
    /// Returns [`StoreError::OlderSchema`] or [`StoreError::NewerSchema`] when it is not.
    pub async fn require_present_schema(&self) -> Result<(), StoreError> {
        let (found, known) = (self.schema_version().await?, known(self.dialect));
        match found.cmp(&known) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(StoreError::OlderSchema { found, known }),
            std::cmp::Ordering::Greater => Err(StoreError::NewerSchema { found, known }),
        }
    }
}
