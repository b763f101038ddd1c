//! Whose callback is tried next. Each submitter's oldest comes before anybody's second, and neither a submitter nor a
//! host has more under way than a share: one that hangs keeps nobody else's waiting.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::{Store, StoreError};

/// Candidates that are looked at for one round.
const MAX_CANDIDATES: i64 = 256;

/// How many calls one server makes now, by submitter and by host.
#[derive(Clone, Debug)]
pub struct CallsUnderWay {
    /// What each submitter and each host has at most.
    pub max_of_one: usize,
    by_submitter: HashMap<String, usize>,
    by_host: HashMap<String, usize>,
}

/// A callback that is due, and whose it is.
pub struct Candidate {
    pub experiment_id: String,
    pub submitter: String,
    pub host: String,
}

impl CallsUnderWay {
    pub fn new(max_of_one: usize) -> Self {
        Self {
            max_of_one,
            by_submitter: HashMap::new(),
            by_host: HashMap::new(),
        }
    }

    /// Counts one more call.
    pub fn begin(&mut self, submitter: &str, host: &str) {
        *self.by_submitter.entry(submitter.to_owned()).or_default() += 1;
        *self.by_host.entry(host.to_owned()).or_default() += 1;
    }

    /// Counts one less.
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

    fn has_room(&self, submitter: &str, host: &str) -> bool {
        let below = |count: Option<&usize>| count.is_none_or(|count| *count < self.max_of_one);
        below(self.by_submitter.get(submitter)) && below(self.by_host.get(host))
    }

    fn full<'a>(&self, counts: &'a HashMap<String, usize>) -> impl Iterator<Item = &'a String> {
        let max_of_one = self.max_of_one;
        let full = counts.iter().filter(move |(_, count)| **count >= max_of_one);
        full.map(|(of, _)| of)
    }
}

impl Store {
    /// Returns up to `most` that are due and have room, those of who has the fewest before them first.
    pub(super) async fn callback_candidates(
        &self,
        under_way: &CallsUnderWay,
        most: usize,
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
        let rows = query.bind(MAX_CANDIDATES).fetch_all(&self.own).await?;
        let mut under_way = under_way.clone();
        let mut chosen = Vec::new();
        for row in &rows {
            let candidate = candidate(row)?;
            if chosen.len() < most && under_way.has_room(&candidate.submitter, &candidate.host) {
                under_way.begin(&candidate.submitter, &candidate.host);
                chosen.push(candidate);
            }
        }
        Ok(chosen)
    }
}

/// Leaves out whoever is full, so that nobody is hidden behind them.
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
