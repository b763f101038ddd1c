//! The log of state transitions, written by triggers of the database. Numbers follow the order of the commits: a reader
//! that asks for what comes after the last number it has seen misses nothing.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::any::AnyRow;
use tokio::sync::watch;

use super::record::{attempt, from_us, id as id_of, state};
use super::{Store, StoreError};
use joulemark_experiment::{ExperimentId, Transition};

/// Notifies subscribers when this process has changed a state; changes by other servers are not notified.
#[derive(Clone, Debug)]
pub struct ChangeNotifier(watch::Sender<()>);

impl ChangeNotifier {
    /// Returns a notifier without subscribers.
    pub fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    /// Notifies all subscribers.
    pub fn notify(&self) {
        self.0.send_replace(());
    }
}

/// Maximum number of transitions returned for one experiment; more than any has in practice.
const MAX_TRANSITIONS: i64 = 10_000;

impl Store {
    /// Returns a receiver that is notified once for any number of changes since it was last read.
    pub fn hear_moves(&self) -> watch::Receiver<()> {
        self.changes.0.subscribe()
    }

    /// Returns the number of the latest transition; 0 when there is none.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn newest_transition(&self) -> Result<i64, StoreError> {
        let text = "SELECT CAST(COALESCE(MAX(seq), 0) AS BIGINT) AS newest FROM transitions";
        let row = sqlx::query(text).fetch_one(&self.internal).await?;
        Ok(row.try_get("newest")?)
    }

    /// Returns at most `max` transitions after the number `after`, in order, with the present labels of their
    /// experiments.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn transitions_after(&self, after: i64, max: u32) -> Result<Vec<Transition>, StoreError> {
        let text = "SELECT t.seq, t.experiment_id, t.state, t.attempt, t.at_us, e.user_name FROM transitions t \
             JOIN experiments e ON e.id = t.experiment_id WHERE t.seq > $1 ORDER BY t.seq LIMIT $2";
        let rows = sqlx::query(text)
            .bind(after)
            .bind(i64::from(max))
            .fetch_all(&self.reads)
            .await?;
        let mut transitions = rows.iter().map(transition).collect::<Result<Vec<_>, _>>()?;
        let Some(last) = transitions.last().map(|last| last.seq) else {
            return Ok(transitions);
        };
        let text = "SELECT t.seq, l.label, l.value FROM transitions t \
             JOIN experiment_labels l ON l.experiment_id = t.experiment_id WHERE t.seq > $1 AND t.seq <= $2";
        let rows = sqlx::query(text).bind(after).bind(last).fetch_all(&self.reads).await?;
        for row in &rows {
            let seq: i64 = row.try_get("seq")?;
            // A transition committed between the two reads is not in the first.
            if let Ok(at) = transitions.binary_search_by_key(&seq, |transition| transition.seq) {
                let (label, value) = (row.try_get("label")?, row.try_get("value")?);
                transitions[at].labels.insert(label, value);
            }
        }
        Ok(transitions)
    }

    /// Returns the transitions of one experiment after the number `after`, in order and without labels.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn transitions_of(&self, id: ExperimentId, after: i64) -> Result<Vec<Transition>, StoreError> {
        let text = "SELECT t.seq, t.experiment_id, t.state, t.attempt, t.at_us, e.user_name FROM transitions t \
             JOIN experiments e ON e.id = t.experiment_id WHERE t.experiment_id = $1 AND t.seq > $2 \
             ORDER BY t.seq LIMIT $3";
        let rows = sqlx::query(text)
            .bind(id.to_string())
            .bind(after)
            .bind(MAX_TRANSITIONS)
            .fetch_all(&self.reads)
            .await?;
        rows.iter().map(transition).collect()
    }

    /// Returns the latest transition of an experiment without labels; `None` for an unknown id.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn latest_transition(&self, id: ExperimentId) -> Result<Option<Transition>, StoreError> {
        let text = "SELECT t.seq, t.experiment_id, t.state, t.attempt, t.at_us, e.user_name FROM transitions t \
             JOIN experiments e ON e.id = t.experiment_id WHERE t.experiment_id = $1 ORDER BY t.seq DESC LIMIT 1";
        let row = sqlx::query(text)
            .bind(id.to_string())
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(transition).transpose()
    }
}

fn transition(row: &AnyRow) -> Result<Transition, StoreError> {
    let user: String = row.try_get("user_name")?;
    Ok(Transition {
        seq: row.try_get("seq")?,
        id: id_of(row, "experiment_id")?,
        state: state(row)?,
        attempt: attempt(row)?,
        at: from_us(row.try_get("at_us")?)?,
        user: (!user.is_empty()).then_some(user),
        labels: BTreeMap::new(),
    })
}
