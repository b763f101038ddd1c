use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::write;
use super::record::{from_us, to_us};
use super::transaction::commit;
use super::{Store, StoreError};
use joulemark_experiment::access::{Action, Actor, ApiKey, AuditEntry, KeyId, NotAKeyId, NotARole, StoredKey};
use joulemark_measurement::quoted;

impl Store {
    /// Stores an API key and writes to the audit log who created it.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn insert_key(&self, stored: &StoredKey, by: &Actor) -> Result<(), StoreError> {
        let key = &stored.key;
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO api_keys (id, name, role, digest, created_at_us, expires_at_us) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(key.id.as_str())
        .bind(&key.name)
        .bind(key.role.as_str())
        .bind(hex::encode(stored.digest))
        .bind(to_us(key.created_at))
        .bind(key.expires_at.map(to_us))
        .execute(&mut *transaction)
        .await?;
        let entry = AuditEntry::new(Action::CreateKey, &key.id, by, key.created_at);
        write(&mut transaction, &entry).await?;
        commit(transaction).await
    }

    /// Returns an API key with the digest of its secret, also when it has expired or was revoked; `None` for an unknown
    /// id.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn key(&self, id: &KeyId) -> Result<Option<StoredKey>, StoreError> {
        let row = sqlx::query(
            "SELECT id, name, role, digest, created_at_us, expires_at_us, revoked_at_us, last_used_at_us \
             FROM api_keys WHERE id = $1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(stored).transpose()
    }

    /// Returns every API key, oldest first, including expired and revoked ones.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, name, role, digest, created_at_us, expires_at_us, revoked_at_us, last_used_at_us \
             FROM api_keys ORDER BY created_at_us, id",
        )
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(|row| stored(row).map(|stored| stored.key)).collect()
    }

    /// Revokes an API key permanently. Returns `false` for an unknown id. Revoking a key again changes nothing.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn revoke_key(&self, id: &KeyId, by: &Actor, now: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let revoked = sqlx::query("UPDATE api_keys SET revoked_at_us = $1 WHERE id = $2 AND revoked_at_us IS NULL")
            .bind(to_us(now))
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
        if revoked.rows_affected() == 0 {
            drop(transaction);
            return Ok(self.key(id).await?.is_some());
        }
        write(&mut transaction, &AuditEntry::new(Action::RevokeKey, id, by, now)).await?;
        commit(transaction).await?;
        Ok(true)
    }

    /// Stores when each of these keys was last used, in one transaction. An earlier time than the stored one changes
    /// nothing.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn note_key_use(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for (id, at) in used {
            sqlx::query(
                "UPDATE api_keys SET last_used_at_us = $1 \
                 WHERE id = $2 AND (last_used_at_us IS NULL OR last_used_at_us < $1)",
            )
            .bind(to_us(*at))
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
        }
        commit(transaction).await
    }
}

/// Reads an API key from a row that has all its columns.
pub(super) fn stored(row: &AnyRow) -> Result<StoredKey, StoreError> {
    let id: &str = row.try_get("id")?;
    let corrupt =
        |what: &str, reason: String| StoreError::corrupt(format!("the {what} of key {id}", id = quoted(&id)), reason);
    let time = |column: &str| -> Result<Option<Timestamp>, StoreError> {
        row.try_get::<Option<i64>, _>(column)?.map(from_us).transpose()
    };
    let role: &str = row.try_get("role")?;
    let digest: &str = row.try_get("digest")?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(digest, &mut bytes)
        .map_err(|_| corrupt("digest", "it is not 64 hexadecimal digits".to_owned()))?;
    Ok(StoredKey {
        key: ApiKey {
            id: id
                .parse()
                .map_err(|reason: NotAKeyId| corrupt("id", reason.to_string()))?,
            name: row.try_get("name")?,
            role: role
                .parse()
                .map_err(|reason: NotARole| corrupt("role", reason.to_string()))?,
            created_at: from_us(row.try_get("created_at_us")?)?,
            expires_at: time("expires_at_us")?,
            revoked_at: time("revoked_at_us")?,
            last_used_at: time("last_used_at_us")?,
        },
        digest: bytes,
    })
}
