//! `joulemark db`: checks, backs up, prunes and migrates the database, whether or not the server runs.

mod backup;
mod check;
pub mod open;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::say::say;
use crate::config::{self, ConfigError, Settings, unless_zero};
use crate::disk;
use crate::scheduler::RetentionPolicy;
use joulemark_measurement::clock;
use joulemark_store::sqlite_file;

#[derive(Debug, Args)]
pub struct DbArguments {
    #[command(subcommand)]
    command: DbCommand,
}

#[derive(Debug, Subcommand)]
enum DbCommand {
    /// Check the database file, the references between tables and every stored document; print what is stored.
    ///
    /// Exit code 1 if a problem is found. Changes nothing.
    Check(DatabaseOptions),
    /// Copy the database into a file, also while the server runs. The file appears only when it is complete.
    ///
    /// SQLite: a copy of the database (VACUUM INTO). Postgres: an archive for pg_restore, made by pg_dump.
    Backup {
        /// File to write; must not exist.
        file: PathBuf,
        #[command(flatten)]
        options: DatabaseOptions,
    },
    /// Delete at once what exceeds the retention options; results stay.
    ///
    /// Deletes raw data, prompts, changes of state, the audit log, idempotency keys that may be used again, and expired
    /// sessions.
    Prune {
        /// Also return the freed space to the file system (VACUUM); writers wait meanwhile.
        #[arg(long)]
        vacuum: bool,
        /// Days to keep raw data; 0 keeps it forever [default: as for serve].
        #[arg(long)]
        retention_days: Option<u32>,
        /// Bytes of raw data to keep, oldest deleted first; 0 sets no limit [default: as for serve].
        #[arg(long)]
        retention_bytes: Option<u64>,
        /// Days to keep the prompts of finished experiments; 0 keeps them forever [default: as for serve].
        #[arg(long)]
        prompt_retention_days: Option<u32>,
        /// Days to keep the changes of state of finished experiments; 0 keeps them forever [default: as for serve].
        #[arg(long)]
        event_retention_days: Option<u32>,
        /// Days to keep the audit log; 0 keeps it forever [default: as for serve].
        #[arg(long)]
        audit_retention_days: Option<u32>,
        #[command(flatten)]
        options: DatabaseOptions,
    },
    /// Bring the schema up to date, as `serve` does at its start.
    Migrate(DatabaseOptions),
}

// No doc comment: clap would show it as the description of every command that these flags are part of.
#[derive(Debug, Args, Serialize)]
struct DatabaseOptions {
    /// TOML file with the server's options [env: JOULEMARK_CONFIG].
    #[arg(long)]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// The server's database [default: as for serve].
    #[arg(long)]
    database_url: Option<String>,
}

impl DatabaseOptions {
    fn load(&self) -> Result<Settings, ConfigError> {
        Ok(config::load_here(self.config.as_deref(), self)?.settings)
    }
}

pub fn run(arguments: DbArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.command {
            DbCommand::Check(options) => check::check(&options.load()?).await,
            DbCommand::Backup { file, options } => backup::backup(&options.load()?, &file).await,
            DbCommand::Prune {
                vacuum,
                retention_days,
                retention_bytes,
                prompt_retention_days,
                event_retention_days,
                audit_retention_days,
                options,
            } => {
                let mut settings = options.load()?;
                let service = &mut settings.service;
                service.prompt_retention_days = prompt_retention_days.unwrap_or(service.prompt_retention_days);
                service.event_retention_days = event_retention_days.unwrap_or(service.event_retention_days);
                service.audit_retention_days = audit_retention_days.unwrap_or(service.audit_retention_days);
                service.retention_days = retention_days.unwrap_or(service.retention_days);
                service.retention_bytes = retention_bytes.unwrap_or(service.retention_bytes);
                prune(&settings, vacuum).await
            }
            DbCommand::Migrate(options) => migrate(&options.load()?).await,
        }
    })
}

/// Returns the retention policy of the settings.
pub fn policy(settings: &Settings) -> RetentionPolicy {
    let service = &settings.service;
    RetentionPolicy {
        days: unless_zero(service.retention_days),
        bytes: unless_zero(service.retention_bytes),
        prompt_days: unless_zero(service.prompt_retention_days),
        event_days: unless_zero(service.event_retention_days),
        audit_days: unless_zero(service.audit_retention_days),
    }
}

async fn prune(settings: &Settings, vacuum: bool) -> anyhow::Result<()> {
    let policy = policy(settings);
    if policy.days.is_none() && policy.bytes.is_none() {
        say("retention_days and retention_bytes are 0: all raw data is kept\n")?;
    }
    // Deleting needs space; on a full disk the space that the server reserved is all there is.
    let file = sqlite_file(&settings.service.database_url);
    if let Some(file) = &file {
        disk::release(file);
    }
    let store = open::open_as_it_is(settings).await?;
    store.require_present_schema().await?;
    let pruned = policy.apply(&store, clock::wall_now()).await?;
    let kept = store.raw_data_bytes().await?;
    say(&format!("{pruned}; {kept} bytes of raw data are kept\n"))?;
    if vacuum {
        store
            .vacuum()
            .await
            .context("the freed space cannot be returned to the file system")?;
        say("returned the freed space to the file system\n")?;
    }
    store.close().await;
    if let Some(Err(error)) = file.as_deref().map(disk::reserve) {
        eprintln!("joulemark: no disk space can be reserved for the next pruning: {error}");
    }
    Ok(())
}

async fn migrate(settings: &Settings) -> anyhow::Result<()> {
    let store = open::open_as_it_is(settings).await?;
    let before = store.schema_version().await?;
    store.migrate().await?;
    let after = store.schema_version().await?;
    if before == after {
        say(&format!("the schema is already at {after}\n"))?;
    } else {
        say(&format!("the schema went from {before} to {after}\n"))?;
    }
    store.close().await;
    Ok(())
}
