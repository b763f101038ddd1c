use anyhow::Context as _;

use crate::config::Settings;
use joulemark_store::Store;

/// The database as it is: none is made, and its schema stays.
pub async fn open_as_it_is(settings: &Settings) -> anyhow::Result<Store> {
    let opened = Store::open_as_it_is(&settings.service.database_url).await;
    opened.context("the database cannot be opened")
}
