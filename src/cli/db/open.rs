//! Opens the database for the subcommands that neither create nor migrate it.

use anyhow::{Context as _, bail};

use crate::config::Settings;
use joulemark_store::{Store, sqlite_file};

/// Opens the database without creating it or migrating its schema.
pub async fn open_as_it_is(settings: &Settings) -> anyhow::Result<Store> {
    if let Some(file) = sqlite_file(&settings.service.database_url).filter(|file| !file.exists()) {
        bail!("{} does not exist", file.display());
    }
    let opened = Store::open_as_it_is(&settings.service.database_url).await;
    opened.context("the database cannot be opened")
}
