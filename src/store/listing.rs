use futures::TryStreamExt as _;
use sqlx::AssertSqlSafe;

use super::record::{Record, record, select_records};
use super::{Store, StoreError};
use crate::experiment::{ExperimentId, State};

/// Greater than every id: the cursor of a first page.
const AFTER_ALL_IDS: &str = "g";

/// A page of experiments, newest first. What is none or empty does not narrow it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only those older than this one: the last of the page before, or the first of a later time.
    pub before: Option<ExperimentId>,
    /// Only this one and newer ones.
    pub from: Option<ExperimentId>,
    pub limit: u32,
    pub state: Option<State>,
    pub model_name: Option<String>,
    pub user_name: Option<String>,
    /// Only those that carry each of these labels with its value.
    pub labels: Vec<(String, String)>,
}

/// A page, and whether there is more behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub records: Vec<Record>,
    pub more: bool,
}

impl Store {
    /// A page ends early, but never empty, where its experiments' documents come to more than `most_bytes`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self, query: &ListQuery, most_bytes: usize) -> Result<Listed, StoreError> {
        let (text, values) = statement(query);
        let mut page = sqlx::query(AssertSqlSafe(text));
        for value in values {
            page = page.bind(value);
        }
        // One more than asked for tells whether there is more.
        let mut rows = page.bind(i64::from(query.limit) + 1).fetch(&self.reads);
        let (mut records, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await? {
            if records.len() == query.limit as usize || bytes > most_bytes {
                return Ok(Listed { records, more: true });
            }
            let (read, length) = record(&row)?;
            records.push(read);
            bytes += length;
        }
        Ok(Listed { records, more: false })
    }
}

/// Made of what is asked for: a text with "or $n is null" would read the whole table. Its last parameter is the limit.
pub(super) fn statement(query: &ListQuery) -> (String, Vec<String>) {
    let mut values = Vec::new();
    let mut bind = |value: String| {
        values.push(value);
        format!("${}", values.len())
    };
    // Few are unfinished, so that state finds them faster than any label; of the rest the label is what is rare.
    let by_label = !query.labels.is_empty() && query.state.is_none_or(State::is_finished);
    let (from, id) = if by_label {
        (
            "experiment_labels l JOIN experiments e ON e.id = l.experiment_id",
            "l.experiment_id",
        )
    } else {
        ("experiments e", "e.id")
    };
    let before = query
        .before
        .map_or_else(|| AFTER_ALL_IDS.to_owned(), |id| id.to_string());
    let mut conditions = vec![format!("{id} < {}", bind(before))];
    if let Some(from) = query.from {
        conditions.push(format!("{id} >= {}", bind(from.to_string())));
    }
    if let Some(state) = query.state {
        conditions.push(format!("e.state = {}", bind(state.as_str().to_owned())));
    }
    if let Some(model_name) = &query.model_name {
        conditions.push(format!("e.model_name = {}", bind(model_name.clone())));
    }
    if let Some(user_name) = &query.user_name {
        conditions.push(format!("e.user_name = {}", bind(user_name.clone())));
    }
    for (index, (label, value)) in query.labels.iter().enumerate() {
        let (label, value) = (bind(label.clone()), bind(value.clone()));
        conditions.push(if by_label && index == 0 {
            format!("l.label = {label} AND l.value = {value}")
        } else {
            format!(
                "EXISTS (SELECT 1 FROM experiment_labels o WHERE o.experiment_id = {id} AND o.label = {label} \
                 AND o.value = {value})"
            )
        });
    }
    let text = format!(
        "{}{from} WHERE {} ORDER BY {id} DESC LIMIT ${}",
        select_records!(""),
        conditions.join(" AND "),
        values.len() + 1
    );
    (text, values)
}
