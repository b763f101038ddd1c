//! `joulemark db`: look after the database, with the server running or not.

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
    /// Verify the file, the references between tables and every stored document; say what is stored and how compactly.
    ///
    /// Exit code 1 when something is wrong. Changes nothing.
    Check(DatabaseOptions),
    /// Copy the database, while the server runs, into a file that is whole or not there.
    ///
    /// SQLite: a database like the first (VACUUM INTO). Postgres: an archive for pg_restore, made by pg_dump.
    Backup {
        /// The file to write; must not be there.
        file: PathBuf,
        #[command(flatten)]
        options: DatabaseOptions,
    },
    /// Drop what is beyond the options of retention, now; results stay.
    ///
    /// That is raw data, prompts, changes of state, the audit log, idempotency keys that are free again, and sessions
    /// that have expired.
    Prune {
        /// Also give the freed room back to the file system (VACUUM); others wait meanwhile.
        #[arg(long)]
        vacuum: bool,
        /// Days for which raw data is kept; 0 is for ever [default: as for serve].
        #[arg(long)]
        retention_days: Option<u32>,
        /// Bytes of raw data that are kept, the oldest dropped first; 0 is without bound [default: as for serve].
        #[arg(long)]
        retention_bytes: Option<u64>,
        /// Days for which the prompts of finished experiments are kept; 0 is for ever [default: as for serve].
        #[arg(long)]
        prompt_retention_days: Option<u32>,
        /// Days for which the changes of state of finished experiments are kept; 0 is for ever [default: as for serve].
        #[arg(long)]
        event_retention_days: Option<u32>,
        /// Days for which the audit log is kept; 0 is for ever [default: as for serve].
        #[arg(long)]
        audit_retention_days: Option<u32>,
        #[command(flatten)]
        options: DatabaseOptions,
    },
    /// Bring the schema up to date, as `serve` does when it starts.
    Migrate(DatabaseOptions),
}

// No doc comment: clap would show it as the description of every command that these flags are part of.
#[derive(Debug, Args, Serialize)]
struct DatabaseOptions {
    /// TOML file with the server's options; JOULEMARK_CONFIG names it as well.
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

/// What the settings say of how long things are kept.
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
    // A disk that is full has no room to delete in but what was kept back.
    let file = sqlite_file(&settings.service.database_url);
    if let Some(file) = &file {
        disk::release(file);
    }
    let store = open::open_as_it_is(settings).await?;
    store.require_present_schema().await?;
    let pruned = policy.apply(&store, clock::wall_now()).await?;
    let kept = store.raw_data_bytes().await?;
    say(&format!("{pruned}; of raw data {kept} bytes are kept\n"))?;
    if vacuum {
        store.vacuum().await.context("the room cannot be given back")?;
        say("gave the freed room back to the file system\n")?;
    }
    store.close().await;
    if let Some(Err(error)) = file.as_deref().map(disk::reserve) {
        eprintln!("joulemark: no room can be kept back for the next time: {error}");
    }
    Ok(())
}

async fn migrate(settings: &Settings) -> anyhow::Result<()> {
    let store = open::open_as_it_is(settings).await?;
    let before = store.schema_version().await?;
    store.migrate().await?;
    let after = store.schema_version().await?;
    if before == after {
        say(&format!("the schema is at {after} already\n"))?;
    } else {
        say(&format!("the schema went from {before} to {after}\n"))?;
    }
    store.close().await;
    Ok(())
}
