use super::StoreError;

/// Query for the head of each user queue. A recursive walk visits each lane and, within it, each user; every step is
/// one search in the index `experiments_waiting`, however long the queues are. SQLite needs the index named: it would
/// otherwise use the index by state and read every row. The aggregate function for texts differs between the databases.
macro_rules! waiting {
    ($experiments:literal, $together:literal) => {
        concat!(
            "WITH RECURSIVE used (lane) AS ( SELECT MIN(e.lane) FROM ",
            $experiments,
            " WHERE e.state = 'queued' AND e.lane > '' UNION ALL SELECT (SELECT MIN(e.lane) FROM ",
            $experiments,
            " WHERE e.state = 'queued' AND e.lane > used.lane) FROM used WHERE used.lane IS NOT NULL), ",
            "user_queue (lane, user_name) AS ( SELECT used.lane, (SELECT MIN(e.user_name) FROM ",
            $experiments,
            " WHERE e.state = 'queued' AND e.lane = used.lane) FROM used WHERE used.lane IS NOT NULL ",
            "UNION ALL SELECT user_queue.lane, (SELECT MIN(e.user_name) FROM ",
            $experiments,
            " WHERE e.state = 'queued' AND e.lane = user_queue.lane AND e.user_name > user_queue.user_name) ",
            "FROM user_queue WHERE user_queue.user_name IS NOT NULL) ",
            "SELECT user_queue.lane, user_queue.user_name, (SELECT ",
            $together,
            " FROM (SELECT e.priority, e.id FROM ",
            $experiments,
            " WHERE e.state = 'queued' AND e.lane = user_queue.lane AND e.user_name = user_queue.user_name ",
            "ORDER BY e.priority DESC, e.id LIMIT $1) h) AS heads FROM user_queue WHERE user_queue.user_name IS NOT NULL",
        )
    };
}

/// The kind of database, and every SQL text that differs between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// Returns the dialect that the scheme of a URL names.
    ///
    /// # Errors
    /// Returns [`StoreError::BadUrl`] for any scheme but `sqlite`, `postgres` and `postgresql`.
    pub fn of_url(url: &str) -> Result<Self, StoreError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err(StoreError::BadUrl(
                "accepted are sqlite://FILE, sqlite::memory: and postgres://USER:PASSWORD@HOST/DATABASE".to_owned(),
            )),
        }
    }

    /// Returns the statement that begins a write transaction. SQLite takes the write lock at once: taken later, it
    /// fails when another process has written in between.
    pub fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// Returns the statement that serialises the transactions that count the queue before they add to it, so that
    /// several servers together do not exceed a limit. `None` for SQLite, which has one writer. The lock number is
    /// arbitrary.
    pub fn lock_queue(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT CAST(pg_advisory_xact_lock(7238814907634) AS TEXT) AS held"),
        }
    }

    /// Returns the query for the state of experiment $1, which it locks until the transaction ends.
    pub fn lock_one(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "SELECT state, attempt, cancel_requested_at_us, interruptions FROM experiments WHERE id = $1"
            }
            Self::Postgres => {
                "SELECT state, attempt, cancel_requested_at_us, interruptions FROM experiments WHERE id = $1 FOR UPDATE"
            }
        }
    }

    /// Returns the statement that takes experiment $1 out of the queue. One of several concurrent callers succeeds;
    /// none waits for another.
    pub fn claim(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "UPDATE experiments SET state = 'starting', attempt = attempt + 1, started_at_us = $2, \
                 updated_at_us = $2, node_name = $3, gpus = $4 \
                 WHERE id = $1 AND state = 'queued' \
                 RETURNING id, spec, state, attempt, warnings, failure, created_at_us, started_at_us, \
                 finished_at_us, updated_at_us, node_name, gpus, labels, user_name, submitter, request_id, traceparent, \
                 dropped_prompts"
            }
            Self::Postgres => {
                "UPDATE experiments SET state = 'starting', attempt = attempt + 1, started_at_us = $2, \
                 updated_at_us = $2, node_name = $3, gpus = $4 \
                 WHERE id = (SELECT id FROM experiments WHERE id = $1 AND state = 'queued' FOR UPDATE SKIP LOCKED) \
                 RETURNING id, spec, state, attempt, warnings, failure, created_at_us, started_at_us, \
                 finished_at_us, updated_at_us, node_name, gpus, labels, user_name, submitter, request_id, traceparent, \
                 dropped_prompts"
            }
        }
    }

    /// Returns the query for running experiments that no live server holds: those without a lease, and those whose
    /// holder is not $1 and which belong to node $2 or whose lease ended more than $3 microseconds ago. It locks them
    /// until the transaction ends.
    pub fn lock_abandoned(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "SELECT e.id, e.state, e.attempt, e.cancel_requested_at_us, e.interruptions \
                 FROM experiments e LEFT JOIN leases l ON l.experiment_id = e.id \
                 WHERE e.state IN ('starting', 'warming_up', 'measuring', 'aggregating') \
                 AND (l.experiment_id IS NULL OR (l.holder <> $1 AND (l.node_name = $2 \
                      OR l.lease_until_us + $3 < (SELECT now_us FROM database_clock)))) ORDER BY e.id"
            }
            Self::Postgres => {
                "SELECT e.id, e.state, e.attempt, e.cancel_requested_at_us, e.interruptions \
                 FROM experiments e LEFT JOIN leases l ON l.experiment_id = e.id \
                 WHERE e.state IN ('starting', 'warming_up', 'measuring', 'aggregating') \
                 AND (l.experiment_id IS NULL OR (l.holder <> $1 AND (l.node_name = $2 \
                      OR l.lease_until_us + $3 < (SELECT now_us FROM database_clock)))) ORDER BY e.id \
                 FOR UPDATE OF e SKIP LOCKED"
            }
        }
    }

    /// Returns the query for the server registered under the name $1, which it locks until the transaction ends.
    pub fn lock_node(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT incarnation, seat, alive_until_us FROM nodes WHERE name = $1",
            Self::Postgres => "SELECT incarnation, seat, alive_until_us FROM nodes WHERE name = $1 FOR UPDATE",
        }
    }

    /// Returns the query for the first $1 experiments of each user queue, as `PRIORITY:ID,PRIORITY:ID` in any order.
    pub fn waiting(self) -> &'static str {
        match self {
            Self::Sqlite => waiting!(
                "experiments e INDEXED BY experiments_waiting",
                "group_concat(h.priority || ':' || h.id, ',')"
            ),
            Self::Postgres => waiting!("experiments e", "string_agg(h.priority || ':' || h.id, ',')"),
        }
    }

    /// Returns the query that yields a row when migrations have been run.
    pub fn has_migrations(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT name FROM sqlite_schema WHERE name = '_sqlx_migrations'",
            Self::Postgres => "SELECT 1 FROM pg_tables WHERE tablename = '_sqlx_migrations'",
        }
    }
}
