//! Sweeps: which experiments belong to one submission, and their progress. Each experiment is stored like any other.

mod search;

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::any::{Any, AnyRow};
use sqlx::{Row, Transaction};

use super::prepared::Prepared;
use super::record::{from_json, from_us, id as id_of, state as state_of, to_json, to_us};
use super::{IdempotencyKey, NewExperiment, Quota, Store, StoreError, Submitted, submission};
use joulemark_experiment::sweep::{Placement, SearchAnswer, SearchState, SweepRequest};
use joulemark_experiment::{ExperimentId, Spec, State, Warning};

pub(super) use search::continue_search;

/// A sweep to be queued with its experiments.
#[derive(Debug)]
pub struct NewSweep {
    /// A UUIDv7, like an experiment's id.
    pub id: ExperimentId,
    /// The request; stored without the experiment and without prompt texts.
    pub request: SweepRequest,
    pub created_at: Timestamp,
    /// In the order in which they are queued; at least one.
    pub experiments: Vec<NewExperiment>,
    /// The index in `experiments` of each run.
    pub runs: Vec<(Placement, usize)>,
    /// Initial state of the search; `None` for a sweep without a goal.
    pub search: Option<SearchAnswer>,
    /// Points that the search may queue later.
    pub plans: Vec<SweepPlan>,
}

/// A point that is not queued yet.
#[derive(Debug)]
pub struct SweepPlan {
    pub point: u32,
    pub spec: Spec,
    pub warnings: Vec<Warning>,
}

/// A sweep as stored, without the experiment that was swept.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepRecord {
    pub id: ExperimentId,
    pub request: SweepRequest,
    pub submitter: Option<String>,
    pub request_id: Option<String>,
    pub created_at: Timestamp,
    pub cancelled_at: Option<Timestamp>,
    pub search: Option<SearchAnswer>,
}

/// One run of a point.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepRun {
    pub placement: Placement,
    pub experiment: ExperimentId,
    pub state: State,
    /// Duration from start to end in seconds; `None` until it has ended.
    pub took_sec: Option<f64>,
}

macro_rules! select_sweeps {
    ($rest:literal) => {
        concat!(
            "SELECT id, request, submitter, request_id, created_at_us, cancelled_at_us, search_state, search FROM sweeps ",
            $rest
        )
    };
}

const RUNS: &str = "SELECT r.point, r.repeat_number, r.experiment_id, e.state, e.started_at_us, e.finished_at_us \
     FROM sweep_runs r JOIN experiments e ON e.id = r.experiment_id WHERE r.sweep_id = $1 ORDER BY r.point, r.repeat_number";
const COUNTS: &str = "SELECT e.state, COUNT(DISTINCT e.id) AS experiments FROM sweep_runs r \
     JOIN experiments e ON e.id = r.experiment_id WHERE r.sweep_id = $1 GROUP BY e.state";

impl Store {
    /// Queues all experiments of a sweep or none; returns the first outcome other than [`Submitted::Stored`]. A sweep
    /// sent again under the same key returns its first experiment as [`Submitted::Repeated`].
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn submit_sweep(
        &self,
        new: &NewSweep,
        mut key: Option<IdempotencyKey>,
        quota: Quota,
    ) -> Result<Submitted, StoreError> {
        let experiments = new.experiments.iter();
        let prepared: Result<Vec<_>, _> = experiments
            .map(|experiment| Prepared::new(experiment, key.take(), quota))
            .collect();
        let prepared = prepared?;
        let mut transaction = self.begin().await?;
        let batch: Vec<&Prepared> = prepared.iter().collect();
        let outcomes = submission::write(self.dialect, &mut transaction, &batch).await?;
        if let Some(refused) = outcomes.into_iter().find(|outcome| *outcome != Submitted::Stored) {
            return Ok(refused);
        }
        insert(&mut transaction, new).await?;
        for (placement, place) in &new.runs {
            search::insert_run(&mut transaction, new.id, *placement, new.experiments[*place].id).await?;
        }
        for plan in &new.plans {
            sqlx::query("INSERT INTO sweep_plans (sweep_id, point, spec, warnings) VALUES ($1, $2, $3, $4)")
                .bind(new.id.to_string())
                .bind(i64::from(plan.point))
                .bind(to_json(&plan.spec)?)
                .bind(to_json(&plan.warnings)?)
                .execute(&mut *transaction)
                .await?;
        }
        self.commit_moves(transaction).await?;
        Ok(Submitted::Stored)
    }

    /// Returns a sweep; `None` for an unknown id.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn sweep(&self, id: ExperimentId) -> Result<Option<SweepRecord>, StoreError> {
        let query = sqlx::query(select_sweeps!("WHERE id = $1")).bind(id.to_string());
        let row = query.fetch_optional(&self.reads).await?;
        row.as_ref().map(sweep).transpose()
    }

    /// Returns the sweep of an experiment; `None` when it belongs to none.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn sweep_of(&self, experiment: ExperimentId) -> Result<Option<SweepRecord>, StoreError> {
        let text = select_sweeps!("WHERE id = (SELECT MIN(sweep_id) FROM sweep_runs WHERE experiment_id = $1)");
        let query = sqlx::query(text).bind(experiment.to_string());
        let row = query.fetch_optional(&self.reads).await?;
        row.as_ref().map(sweep).transpose()
    }

    /// Returns the runs of a sweep by point and repeat.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn sweep_runs(&self, id: ExperimentId) -> Result<Vec<SweepRun>, StoreError> {
        let rows = sqlx::query(RUNS).bind(id.to_string()).fetch_all(&self.reads).await?;
        rows.iter().map(run).collect()
    }

    /// Returns at most `limit` sweeps, newest first, only those older than `before` when it is given; each with the
    /// number of its experiments in each state that occurs.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn sweeps(
        &self,
        before: Option<ExperimentId>,
        limit: u32,
    ) -> Result<Vec<(SweepRecord, BTreeMap<State, u64>)>, StoreError> {
        // No id is greater than this text.
        let before = before.map_or_else(|| "g".to_owned(), |id| id.to_string());
        let rows = sqlx::query(select_sweeps!("WHERE id < $1 ORDER BY id DESC LIMIT $2"))
            .bind(before)
            .bind(i64::from(limit))
            .fetch_all(&self.reads)
            .await?;
        let mut listed = Vec::new();
        for row in &rows {
            let found = sweep(row)?;
            let query = sqlx::query(COUNTS).bind(found.id.to_string());
            let mut counts = BTreeMap::new();
            for row in &query.fetch_all(&self.reads).await? {
                let count: i64 = row.try_get("experiments")?;
                counts.insert(state_of(row)?, count.unsigned_abs());
            }
            listed.push((found, counts));
        }
        Ok(listed)
    }

    /// Stops a sweep from queueing further experiments. Those already queued must be cancelled separately.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn close_sweep(&self, id: ExperimentId, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let text = "UPDATE sweeps SET cancelled_at_us = COALESCE(cancelled_at_us, $1), search_state = CASE \
             WHEN search_state = 'searching' THEN 'cancelled' ELSE search_state END WHERE id = $2";
        sqlx::query(text)
            .bind(to_us(now))
            .bind(id.to_string())
            .execute(&mut *transaction)
            .await?;
        search::drop_plans(&mut transaction, &id.to_string()).await?;
        self.commit_moves(transaction).await
    }
}

async fn insert(transaction: &mut Transaction<'static, Any>, new: &NewSweep) -> Result<(), StoreError> {
    let first = new.experiments.first();
    let text = "INSERT INTO sweeps (id, request, submitter, request_id, created_at_us, search_state, search) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(text)
        .bind(new.id.to_string())
        .bind(to_json(&new.request.without_texts())?)
        .bind(first.and_then(|first| first.submitted_by.name.clone()))
        .bind(first.and_then(|first| first.arrival.request_id.clone()))
        .bind(to_us(new.created_at))
        .bind(new.search.as_ref().map(|search| search.state.as_str()))
        .bind(new.search.as_ref().map(to_json).transpose()?)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn sweep(row: &AnyRow) -> Result<SweepRecord, StoreError> {
    let id = id_of(row, "id")?;
    let time = |column: &str| row.try_get::<Option<i64>, _>(column)?.map(from_us).transpose();
    let search: Option<&str> = row.try_get("search")?;
    let search = search.map(|json| from_json::<SearchAnswer>(&format!("the search of sweep {id}"), json));
    // Cancelling a sweep updates only the column.
    let is_cancelled = row.try_get::<Option<&str>, _>("search_state")? == Some(SearchState::Cancelled.as_str());
    let search = search.transpose()?.map(|search| match is_cancelled {
        true => search.cancelled(),
        false => search,
    });
    Ok(SweepRecord {
        id,
        request: from_json(&format!("the sweep {id}"), row.try_get("request")?)?,
        submitter: row.try_get("submitter")?,
        request_id: row.try_get("request_id")?,
        created_at: from_us(row.try_get("created_at_us")?)?,
        cancelled_at: time("cancelled_at_us")?,
        search,
    })
}

fn run(row: &AnyRow) -> Result<SweepRun, StoreError> {
    let (started, finished): (Option<i64>, Option<i64>) =
        (row.try_get("started_at_us")?, row.try_get("finished_at_us")?);
    let number = |column: &str| {
        let number: i64 = row.try_get(column)?;
        u32::try_from(number).map_err(|reason| StoreError::corrupt("a sweep's run", reason))
    };
    Ok(SweepRun {
        placement: Placement {
            point: number("point")?,
            repeat: number("repeat_number")?,
        },
        experiment: id_of(row, "experiment_id")?,
        state: state_of(row)?,
        took_sec: started
            .zip(finished)
            .map(|(started, finished)| (finished - started) as f64 / 1e6),
    })
}
