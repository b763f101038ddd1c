//! `joulemark key`: API keys are made and revoked here, on the server's own database, and never over HTTP.

mod expiry;
mod table;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use nix::unistd::{User, getuid};
use serde::Serialize;

use super::db::open::open_as_it_is;
use super::say::say;
use crate::config;
use joulemark_experiment::access::{Actor, ApiKey, KeyId, Role, StoredKey, Token};
use joulemark_experiment::check_name;
use joulemark_measurement::{clock, quoted};
use joulemark_store::Store;

#[derive(Debug, Args, Serialize)]
pub struct KeyArguments {
    #[command(subcommand)]
    #[serde(skip)]
    command: KeyCommand,
    /// TOML file with the server's options; JOULEMARK_CONFIG names it as well.
    #[arg(long, global = true)]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// The server's database [default: as for serve].
    #[arg(long, global = true)]
    database_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key and print it, this once: only a hash of it is kept.
    Create(NewKey),
    /// List all keys: whose, what they may do, when they were used last.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// End a key at once and for good.
    Revoke {
        /// The key's id, the part between the two underscores.
        id: KeyId,
    },
}

#[derive(Debug, Args)]
struct NewKey {
    /// Whose key it is; becomes the submitter of what is submitted with it. Several keys may have one name.
    #[arg(long)]
    name: String,
    /// reader, submitter (also submits, and cancels its own) or admin.
    #[arg(long)]
    role: Role,
    /// When it ends: after a time (90d, 6months, 12h) or at one (2027-01-31, 2027-01-31T12:00:00Z) [default: never].
    #[arg(long)]
    expires: Option<String>,
}

pub fn run(arguments: KeyArguments) -> anyhow::Result<()> {
    let settings = config::load_here(arguments.config.as_deref(), &arguments)?.settings;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Only a new key is worth a new database.
        let store = match &arguments.command {
            KeyCommand::Create(_) => Store::open(&settings.service.database_url)
                .await
                .context("the database cannot be opened")?,
            KeyCommand::List { .. } | KeyCommand::Revoke { .. } => open_as_it_is(&settings).await?,
        };
        store.require_present_schema().await?;
        let outcome = match arguments.command {
            KeyCommand::Create(new) => create(&store, new).await,
            KeyCommand::List { json } => list(&store, json).await,
            KeyCommand::Revoke { id } => revoke(&store, &id).await,
        };
        store.close().await;
        outcome
    })
}

/// Standard output has the key and nothing else, so that a script can take it.
async fn create(store: &Store, new: NewKey) -> anyhow::Result<()> {
    if let Err(bad) = check_name(&new.name) {
        bail!("--name is {} and {bad}", quoted(&new.name));
    }
    let now = clock::wall_now();
    let expires_at = new.expires.map(|text| expiry::read(&text, now)).transpose()?;
    let token = Token::generate().context("the operating system gives no random numbers")?;
    let key = ApiKey {
        id: token.id().clone(),
        name: new.name,
        role: new.role,
        created_at: now,
        expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    let stored = StoredKey {
        key,
        digest: token.digest(),
    };
    store.insert_key(&stored, &whoever_typed_it()).await?;
    let key = &stored.key;
    let until = key
        .expires_at
        .map_or_else(|| "without an end".to_owned(), |at| format!("until {at:.0}"));
    eprintln!(
        "{} {}, {until}. It is shown this once; its id is {}.",
        key.role,
        quoted(&key.name),
        key.id
    );
    let shown = say(&format!("{}\n", token.reveal()));
    if shown.is_err() {
        store
            .revoke_key(&stored.key.id, &whoever_typed_it(), clock::wall_now())
            .await?;
    }
    shown.context("nobody has seen the key, so it is revoked")
}

async fn list(store: &Store, json: bool) -> anyhow::Result<()> {
    let keys = store.keys().await?;
    if json {
        say(&format!("{}\n", serde_json::to_string_pretty(&keys)?))
    } else {
        say(&table::text(&keys, clock::wall_now()))
    }
}

async fn revoke(store: &Store, id: &KeyId) -> anyhow::Result<()> {
    if !store.revoke_key(id, &whoever_typed_it(), clock::wall_now()).await? {
        bail!("there is no key {id}; `joulemark key list` prints them");
    }
    eprintln!("{id} is revoked.");
    Ok(())
}

fn whoever_typed_it() -> Actor {
    let uid = getuid();
    let user = User::from_uid(uid).ok().flatten();
    let user = user.map_or_else(|| format!("uid {uid}"), |user| user.name);
    Actor {
        name: Some(format!("{user} (command line)")),
        key_id: None,
        address: None,
    }
}
