//! The order in which due callbacks are tried. The oldest callback of each submitter comes before the second of any
//! submitter. A concurrency limit for each submitter and each host keeps a slow receiver from delaying the callbacks of
//! others.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::{Store, StoreError};

/// Maximum number of due callbacks that are examined in one round.
const MAX_CANDIDATES: i64 = 256;

/// The number of calls that this server is making now, by submitter and by host.
#[derive(Clone, Debug)]
pub struct CallsUnderWay {
    /// Maximum number of concurrent calls for one submitter, and for one host.
    pub max_of_one: usize,
    by_submitter: HashMap<String, usize>,
    by_host: HashMap<String, usize>,
}

/// A callback that is due, with its submitter and host.
pub struct Candidate {
    pub experiment_id: String,
    /// Empty for a submission without an authenticated name.
    pub submitter: String,
    pub host: String,
}

impl CallsUnderWay {
    /// Returns counts of 0 with the given limit.
    pub fn new(max_of_one: usize) -> Self {
        Self {
            max_of_one,
            by_submitter: HashMap::new(),
            by_host: HashMap::new(),
        }
    }

    /// Adds one call.
    pub fn begin(&mut self, submitter: &str, host: &str) {
        *self.by_submitter.entry(submitter.to_owned()).or_default() += 1;
        *self.by_host.entry(host.to_owned()).or_default() += 1;
    }

    /// Removes one call.
    pub fn end(&mut self, submitter: &str, host: &str) {
        for (counts, of) in [(&mut self.by_submitter, submitter), (&mut self.by_host, host)] {
            if let Some(count) = counts.get_mut(of) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(of);
                }
            }
        }
    }

    /// Returns whether another call stays within the limits of its submitter and its host.
    fn has_room(&self, submitter: &str, host: &str) -> bool {
        let below = |count: Option<&usize>| count.is_none_or(|count| *count < self.max_of_one);
        below(self.by_submitter.get(submitter)) && below(self.by_host.get(host))
    }

    /// Returns the submitters or hosts whose limit is used up.
    fn full<'a>(&self, counts: &'a HashMap<String, usize>) -> impl Iterator<Item = &'a String> {
        let max_of_one = self.max_of_one;
        let full = counts.iter().filter(move |(_, count)| **count >= max_of_one);
        full.map(|(of, _)| of)
    }
}

impl Store {
    /// Returns at most `max` due callbacks that stay within the limits. Submitters take turns, so that one with many
    /// due callbacks does not go first each time.
    pub(super) async fn callback_candidates(
        &self,
        under_way: &CallsUnderWay,
        max: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        let (submitters, hosts) = (
            under_way.full(&under_way.by_submitter).collect::<Vec<_>>(),
            under_way.full(&under_way.by_host).collect::<Vec<_>>(),
        );
        let text = statement(submitters.len(), hosts.len());
        let mut query = sqlx::query(AssertSqlSafe(text));
        for full in submitters.into_iter().chain(hosts) {
            query = query.bind(full.clone());
        }
        let rows = query.bind(MAX_CANDIDATES).fetch_all(&self.internal).await?;
        let mut under_way = under_way.clone();
        let mut chosen = Vec::new();
        for row in &rows {
            let candidate = candidate(row)?;
            if chosen.len() < max && under_way.has_room(&candidate.submitter, &candidate.host) {
                under_way.begin(&candidate.submitter, &candidate.host);
                chosen.push(candidate);
            }
        }
        Ok(chosen)
    }
}

/// Returns the query for due callbacks. It excludes submitters and hosts whose limit is used up, so that they do not
/// fill the candidates.
fn statement(full_submitters: usize, full_hosts: usize) -> String {
    let mut next = 0;
    let mut others_than = |column: &str, count: usize| {
        let numbers = (0..count).map(|_| {
            next += 1;
            format!("${next}")
        });
        match numbers.collect::<Vec<_>>() {
            numbers if numbers.is_empty() => String::new(),
            numbers => format!(" AND {column} NOT IN ({})", numbers.join(", ")),
        }
    };
    let submitters = others_than("COALESCE(e.submitter, '')", full_submitters);
    let hosts = others_than("c.host", full_hosts);
    let limit = full_submitters + full_hosts + 1;
    format!(
        "SELECT c.experiment_id, COALESCE(e.submitter, '') AS submitter, c.host, \
         ROW_NUMBER() OVER (PARTITION BY e.submitter ORDER BY c.next_attempt_at_us) AS turn \
         FROM callbacks c JOIN experiments e ON e.id = c.experiment_id WHERE c.state = 'pending' \
         AND c.next_attempt_at_us <= (SELECT now_us FROM database_clock){submitters}{hosts} \
         ORDER BY turn, c.next_attempt_at_us LIMIT ${limit}"
    )
}

fn candidate(row: &AnyRow) -> Result<Candidate, StoreError> {
    Ok(Candidate {
        experiment_id: row.try_get("experiment_id")?,
        submitter: row.try_get("submitter")?,
        host: row.try_get("host")?,
    })
}
