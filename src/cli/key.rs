//! `joulemark key`: creates, lists and revokes API keys in the server's database. The API cannot do so.

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
    /// TOML file with the server's options [env: JOULEMARK_CONFIG].
    #[arg(long, global = true)]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// The server's database [default: as for serve].
    #[arg(long, global = true)]
    database_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Create a key and print it. It is shown only once; the database stores only its hash.
    Create(NewKey),
    /// List all keys with owner, role, state and last use.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key. It stops working at once and cannot be restored.
    Revoke {
        /// ID of the key: the part between the two underscores.
        id: KeyId,
    },
}

#[derive(Debug, Args)]
struct NewKey {
    /// Name of the owner, recorded as the submitter of experiments. Several keys may have the same name.
    #[arg(long)]
    name: String,
    /// Role: reader, submitter (may also submit, and cancel its own experiments) or admin.
    #[arg(long)]
    role: Role,
    /// Expiry: a duration (90d, 6months, 12h), a day or a time (2027-01-31, 2027-01-31T12:00:00Z) [default: never].
    #[arg(long)]
    expires: Option<String>,
}

pub fn run(arguments: KeyArguments) -> anyhow::Result<()> {
    let settings = config::load_here(arguments.config.as_deref(), &arguments)?.settings;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Creating a key may create the database; listing and revoking may not.
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

/// Creates a key. Prints only the key on standard output, for scripts.
async fn create(store: &Store, new: NewKey) -> anyhow::Result<()> {
    if let Err(bad) = check_name(&new.name) {
        bail!("--name is {} and {bad}", quoted(&new.name));
    }
    let now = clock::wall_now();
    let expires_at = new.expires.map(|text| expiry::read(&text, now)).transpose()?;
    let token = Token::generate().context("the operating system returned no random numbers")?;
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
    store.insert_key(&stored, &local_user()).await?;
    let key = &stored.key;
    let until = key
        .expires_at
        .map_or_else(|| "without expiry".to_owned(), |at| format!("until {at:.0}"));
    eprintln!(
        "{} {}, {until}. It is shown only now; its id is {}.",
        key.role,
        quoted(&key.name),
        key.id
    );
    let shown = say(&format!("{}\n", token.reveal()));
    if shown.is_err() {
        store
            .revoke_key(&stored.key.id, &local_user(), clock::wall_now())
            .await?;
    }
    shown.context("the key could not be printed and is revoked")
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
    if !store.revoke_key(id, &local_user(), clock::wall_now()).await? {
        bail!("there is no key {id}; `joulemark key list` prints them");
    }
    eprintln!("{id} is revoked.");
    Ok(())
}

fn local_user() -> Actor {
    let uid = getuid();
    let user = User::from_uid(uid).ok().flatten();
    let user = user.map_or_else(|| format!("uid {uid}"), |user| user.name);
    Actor {
        name: Some(format!("{user} (command line)")),
        key_id: None,
        address: None,
    }
}
