//! Sessions of people signed in to the web pages. All servers of a database share them.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::write;
use super::keys::stored;
use super::record::{from_us, to_us};
use super::transaction::commit;
use super::{Store, StoreError};
use joulemark_experiment::access::{Action, Actor, AuditEntry, NotASessionId, SessionId, StoredSession};
use joulemark_measurement::quoted;

/// Maximum number of sessions for each API key; a new one ends the oldest. Bounds how much of the database a key can
/// fill.
const MAX_SESSIONS_PER_KEY: i64 = 100;

const FIND: &str = "SELECT k.id, k.name, k.role, k.digest, k.created_at_us, k.expires_at_us, k.revoked_at_us, \
     k.last_used_at_us, s.id AS session_id, s.digest AS session_digest, s.created_at_us AS session_created_at_us, \
     s.expires_at_us AS session_expires_at_us FROM sessions s JOIN api_keys k ON k.id = s.key_id WHERE s.id = $1";

const DROP_OLDEST: &str = "DELETE FROM sessions WHERE key_id = $1 AND id NOT IN (SELECT id FROM sessions \
     WHERE key_id = $1 ORDER BY created_at_us DESC, id DESC LIMIT $2)";

impl Store {
    /// Stores a session of an existing API key and writes the sign-in to the audit log.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn insert_session(&self, session: &StoredSession, by: &Actor) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO sessions (id, digest, key_id, created_at_us, expires_at_us) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(session.id.as_str())
        .bind(hex::encode(session.digest))
        .bind(session.key.id.as_str())
        .bind(to_us(session.created_at))
        .bind(to_us(session.expires_at))
        .execute(&mut *transaction)
        .await?;
        sqlx::query(DROP_OLDEST)
            .bind(session.key.id.as_str())
            .bind(MAX_SESSIONS_PER_KEY)
            .execute(&mut *transaction)
            .await?;
        let entry = AuditEntry::new(Action::SignIn, &session.id, by, session.created_at);
        write(&mut transaction, &entry).await?;
        commit(transaction).await
    }

    /// Returns a session with the present state of its key; `None` for an unknown id. An expired session is returned
    /// until it is deleted.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn session(&self, id: &SessionId) -> Result<Option<StoredSession>, StoreError> {
        let row = sqlx::query(FIND).bind(id.as_str()).fetch_optional(&self.reads).await?;
        row.as_ref().map(with_key).transpose()
    }

    /// Ends a session and writes the sign-out to the audit log. Returns `false` for an unknown id.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn end_session(&self, id: &SessionId, by: &Actor, now: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let ended = sqlx::query("DELETE FROM sessions WHERE id = $1")
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        write(&mut transaction, &AuditEntry::new(Action::SignOut, id, by, now)).await?;
        commit(transaction).await?;
        Ok(true)
    }

    /// Deletes expired sessions. Returns their number.
    ///
    /// # Errors
    /// Returns an error when the database fails; what was deleted before stays deleted.
    pub async fn drop_expired_sessions(&self, now: Timestamp) -> Result<u64, StoreError> {
        let text = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at_us <= $1 LIMIT $2)";
        self.drop_expired(text, now).await
    }
}

fn with_key(row: &AnyRow) -> Result<StoredSession, StoreError> {
    let id: &str = row.try_get("session_id")?;
    let corrupt = |what: &str, reason: String| {
        StoreError::corrupt(format!("the {what} of session {id}", id = quoted(&id)), reason)
    };
    let digest: &str = row.try_get("session_digest")?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(digest, &mut bytes)
        .map_err(|_| corrupt("digest", "it is not 64 hexadecimal digits".to_owned()))?;
    Ok(StoredSession {
        id: id
            .parse()
            .map_err(|reason: NotASessionId| corrupt("id", reason.to_string()))?,
        digest: bytes,
        created_at: from_us(row.try_get("session_created_at_us")?)?,
        expires_at: from_us(row.try_get("session_expires_at_us")?)?,
        key: stored(row)?.key,
    })
}
