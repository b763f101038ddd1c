use sqlx::AnyPool;
use sqlx::migrate::{MigrateError, Migrator};

use super::StoreError;
use super::dialect::Dialect;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Brings the schema up to date; forward only. What is newer than this program is left untouched.
pub async fn migrate(dialect: Dialect, pool: &AnyPool) -> Result<(), StoreError> {
    let migrator = match dialect {
        Dialect::Sqlite => &SQLITE,
        Dialect::Postgres => &POSTGRES,
    };
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
    migrator.run(pool).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        MigrateError::VersionMissing(found) if found > known => StoreError::NewerSchema { found, known },
        other => StoreError::corrupt("the schema", other),
    })
}
