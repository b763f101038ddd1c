use sqlx::Row;

use super::audit::write;
use super::record::{record, select_records, to_json, to_us};
use super::{NewExperiment, Record, Store, StoreError};
use crate::access::{Action, AuditEntry};
use crate::experiment::{ExperimentId, State};

/// Greater than every id: the cursor of a first page.
const AFTER_ALL_IDS: &str = "g";

/// A page of experiments, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only those older than this one: the last of the page before.
    pub before: Option<ExperimentId>,
    pub limit: u32,
    pub state: Option<State>,
    /// Only those that carry this label with this value.
    pub label: Option<(String, String)>,
}

impl Store {
    /// Queues an experiment. It is durable once this returns.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the id is taken: an earlier call whose answer was lost did its work.
    pub async fn insert(&self, new: &NewExperiment) -> Result<(), StoreError> {
        let id = new.id.to_string();
        let (spec, warnings) = (to_json(&new.spec)?, to_json(&new.warnings)?);
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO experiments (id, state, attempt, spec, warnings, created_at_us, updated_at_us, submitter) \
             VALUES ($1, 'queued', 0, $2, $3, $4, $4, $5)",
        )
        .bind(&id)
        .bind(spec)
        .bind(warnings)
        .bind(to_us(new.created_at))
        .bind(&new.submitted_by.name)
        .execute(&mut *transaction)
        .await
        .map_err(|error| match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => StoreError::Duplicate(new.id),
            _ => error.into(),
        })?;
        for (label, value) in &new.spec.labels {
            sqlx::query("INSERT INTO experiment_labels (experiment_id, label, value) VALUES ($1, $2, $3)")
                .bind(&id)
                .bind(label)
                .bind(value)
                .execute(&mut *transaction)
                .await?;
        }
        let entry = AuditEntry::new(Action::Submit, new.id, &new.submitted_by, new.created_at);
        write(&mut transaction, &entry).await?;
        Ok(transaction.commit().await?)
    }

    /// # Errors
    /// When the database fails; an unknown id is none.
    pub async fn get(&self, id: ExperimentId) -> Result<Option<Record>, StoreError> {
        let row = sqlx::query(select_records!("experiments e WHERE e.id = $1"))
            .bind(id.to_string())
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(record).transpose()
    }

    /// # Errors
    /// When the database fails.
    pub async fn list(&self, query: &ListQuery) -> Result<Vec<Record>, StoreError> {
        // One text for each use of an index; a text with "or $n is null" would read the whole table.
        let text = match (&query.state, &query.label) {
            (None, None) => select_records!("experiments e WHERE e.id < $1 ORDER BY e.id DESC LIMIT $2"),
            (Some(_), None) => {
                select_records!("experiments e WHERE e.id < $1 AND e.state = $3 ORDER BY e.id DESC LIMIT $2")
            }
            (None, Some(_)) => select_records!(
                "experiment_labels l JOIN experiments e ON e.id = l.experiment_id \
                 WHERE l.experiment_id < $1 AND l.label = $3 AND l.value = $4 ORDER BY l.experiment_id DESC LIMIT $2"
            ),
            (Some(_), Some(_)) => select_records!(
                "experiment_labels l JOIN experiments e ON e.id = l.experiment_id \
                 WHERE l.experiment_id < $1 AND e.state = $3 AND l.label = $4 AND l.value = $5 \
                 ORDER BY l.experiment_id DESC LIMIT $2"
            ),
        };
        let before = query
            .before
            .map_or_else(|| AFTER_ALL_IDS.to_owned(), |id| id.to_string());
        let mut page = sqlx::query(text).bind(before).bind(i64::from(query.limit));
        if let Some(state) = query.state {
            page = page.bind(state.as_str());
        }
        if let Some((label, value)) = &query.label {
            page = page.bind(label).bind(value);
        }
        page.fetch_all(&self.reads).await?.iter().map(record).collect()
    }

    /// Experiments that wait, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queued(&self, limit: u32) -> Result<Vec<Record>, StoreError> {
        let text = select_records!("experiments e WHERE e.state = 'queued' ORDER BY e.id LIMIT $1");
        let rows = sqlx::query(text).bind(i64::from(limit)).fetch_all(&self.reads).await?;
        // One that cannot be read back must not stand in the way of all behind it.
        let readable = |row| {
            record(row)
                .inspect_err(|error| tracing::error!(%error, "left in the queue"))
                .ok()
        };
        Ok(rows.iter().filter_map(readable).collect())
    }

    /// How many experiments are in each state, every state once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn counts_by_state(&self) -> Result<Vec<(State, u64)>, StoreError> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS experiments FROM experiments GROUP BY state")
            .fetch_all(&self.reads)
            .await?;
        let mut counts: Vec<(State, u64)> = State::ALL.into_iter().map(|state| (state, 0)).collect();
        for row in &rows {
            let state = super::record::state(row)?;
            let count: i64 = row.try_get("experiments")?;
            if let Some((_, known)) = counts.iter_mut().find(|(known, _)| *known == state) {
                *known = count.unsigned_abs();
            }
        }
        Ok(counts)
    }
}
