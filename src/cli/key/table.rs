//! The table that `joulemark key list` prints.

use std::fmt::Write as _;

use jiff::Timestamp;

use joulemark_experiment::access::{ApiKey, Standing};

/// Returns a heading and one line for each key.
pub fn text(keys: &[ApiKey], now: Timestamp) -> String {
    let mut text = format!(
        "{:16}  {:9}  {:28}  {:20}  {:20}  NAME\n",
        "ID", "ROLE", "STATE", "CREATED", "LAST USED"
    );
    for key in keys {
        let state = match (key.standing(now), key.expires_at) {
            (Standing::Revoked(at), _) => format!("revoked {at:.0}"),
            (Standing::Expired(at), _) => format!("expired {at:.0}"),
            (Standing::Good, Some(at)) => format!("until {at:.0}"),
            (Standing::Good, None) => "no expiry".to_owned(),
        };
        let used = key
            .last_used_at
            .map_or_else(|| "never".to_owned(), |at| format!("{at:.0}"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:16}  {:9}  {state:28}  {:20}  {used:20}  {}",
            key.id.as_str(),
            key.role.as_str(),
            format!("{:.0}", key.created_at),
            key.name
        );
    }
    text
}
