//! Sweeps: which experiments came of one submission, and how far they are. The experiments themselves are stored as any.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::prepared::Prepared;
use super::record::{from_json, from_us, id as id_of, state as state_of, to_json, to_us};
use super::{NewExperiment, Quota, Store, StoreError, Submitted, submission};
use joulemark_experiment::{ExperimentId, Placement, State, SweepRequest};

/// A sweep with its experiments, to be queued.
#[derive(Debug)]
pub struct NewSweep {
    /// A UUIDv7, as an experiment's.
    pub id: ExperimentId,
    /// What was asked for; its `base` is not stored.
    pub request: SweepRequest,
    pub created_at: Timestamp,
    /// In the order in which they are queued.
    pub experiments: Vec<NewExperiment>,
    /// The experiment of each run, as a place in `experiments`.
    pub runs: Vec<(Placement, usize)>,
}

/// A sweep as it is stored. The `base` of its request is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepRecord {
    pub id: ExperimentId,
    pub request: SweepRequest,
    pub submitter: Option<String>,
    pub created_at: Timestamp,
    /// By point and repeat.
    pub runs: Vec<SweepRun>,
}

/// One run of a point.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepRun {
    pub placement: Placement,
    pub experiment: ExperimentId,
    pub state: State,
    /// How long it took from its start to its end, in seconds; `None` until then.
    pub took_sec: Option<f64>,
}

const SELECT: &str = "SELECT id, request, submitter, created_at_us FROM sweeps WHERE id = $1";
const PAGE: &str = "SELECT id, request, submitter, created_at_us FROM sweeps WHERE id < $1 ORDER BY id DESC LIMIT $2";
const RUNS: &str = "SELECT r.point, r.repeat_number, r.experiment_id, e.state, e.started_at_us, e.finished_at_us \
     FROM sweep_runs r JOIN experiments e ON e.id = r.experiment_id WHERE r.sweep_id = $1 ORDER BY r.point, r.repeat_number";

impl Store {
    /// Queues all experiments of a sweep, or none: the first that finds no room is what comes back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn submit_sweep(&self, new: &NewSweep, quota: Quota) -> Result<Submitted, StoreError> {
        let prepared: Result<Vec<Prepared>, StoreError> = new
            .experiments
            .iter()
            .map(|new| Prepared::new(new, None, quota))
            .collect();
        let prepared = prepared?;
        let mut transaction = self.begin().await?;
        let group: Vec<&Prepared> = prepared.iter().collect();
        let outcomes = submission::write(self.dialect, &mut transaction, &group).await?;
        if let Some(refused) = outcomes.into_iter().find(|outcome| *outcome != Submitted::Stored) {
            return Ok(refused);
        }
        let request = SweepRequest {
            base: serde_json::Value::Null,
            ..new.request.clone()
        };
        sqlx::query("INSERT INTO sweeps (id, request, submitter, created_at_us) VALUES ($1, $2, $3, $4)")
            .bind(new.id.to_string())
            .bind(to_json(&request)?)
            .bind(
                new.experiments
                    .first()
                    .and_then(|first| first.submitted_by.name.clone()),
            )
            .bind(to_us(new.created_at))
            .execute(&mut *transaction)
            .await?;
        for (placement, place) in &new.runs {
            let text = "INSERT INTO sweep_runs (sweep_id, point, repeat_number, experiment_id) VALUES ($1, $2, $3, $4)";
            sqlx::query(text)
                .bind(new.id.to_string())
                .bind(i64::from(placement.point))
                .bind(i64::from(placement.repeat))
                .bind(new.experiments[*place].id.to_string())
                .execute(&mut *transaction)
                .await?;
        }
        self.commit_moves(transaction).await?;
        Ok(Submitted::Stored)
    }

    /// Returns a sweep with all its runs; `None` where there is none of this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep(&self, id: ExperimentId) -> Result<Option<SweepRecord>, StoreError> {
        let row = sqlx::query(SELECT)
            .bind(id.to_string())
            .fetch_optional(&self.reads)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let runs = sqlx::query(RUNS).bind(id.to_string()).fetch_all(&self.reads).await?;
        Ok(Some(SweepRecord {
            runs: runs.iter().map(run).collect::<Result<_, _>>()?,
            ..sweep(&row)?
        }))
    }

    /// Lists up to `limit` sweeps from the newest on, those before `before` where there is one, each with how many of its
    /// experiments are in each state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweeps(
        &self,
        before: Option<ExperimentId>,
        limit: u32,
    ) -> Result<Vec<(SweepRecord, BTreeMap<State, u64>)>, StoreError> {
        // No id is greater than this text.
        let before = before.map_or_else(|| "g".to_owned(), |id| id.to_string());
        let rows = sqlx::query(PAGE)
            .bind(before)
            .bind(i64::from(limit))
            .fetch_all(&self.reads)
            .await?;
        let mut listed = Vec::new();
        for row in &rows {
            let found = sweep(row)?;
            let text = "SELECT e.state, COUNT(DISTINCT e.id) AS experiments FROM sweep_runs r \
                 JOIN experiments e ON e.id = r.experiment_id WHERE r.sweep_id = $1 GROUP BY e.state";
            let counted = sqlx::query(text)
                .bind(found.id.to_string())
                .fetch_all(&self.reads)
                .await?;
            let mut counts = BTreeMap::new();
            for row in &counted {
                let count: i64 = row.try_get("experiments")?;
                counts.insert(state_of(row)?, count.unsigned_abs());
            }
            listed.push((found, counts));
        }
        Ok(listed)
    }
}

fn sweep(row: &AnyRow) -> Result<SweepRecord, StoreError> {
    let id = id_of(row, "id")?;
    Ok(SweepRecord {
        id,
        request: from_json(&format!("the sweep {id}"), row.try_get("request")?)?,
        submitter: row.try_get("submitter")?,
        created_at: from_us(row.try_get("created_at_us")?)?,
        runs: Vec::new(),
    })
}

fn run(row: &AnyRow) -> Result<SweepRun, StoreError> {
    let (point, repeat): (i64, i64) = (row.try_get("point")?, row.try_get("repeat_number")?);
    let (started, finished): (Option<i64>, Option<i64>) =
        (row.try_get("started_at_us")?, row.try_get("finished_at_us")?);
    let number = |number: i64| u32::try_from(number).map_err(|reason| StoreError::corrupt("a sweep's run", reason));
    Ok(SweepRun {
        placement: Placement {
            point: number(point)?,
            repeat: number(repeat)?,
        },
        experiment: id_of(row, "experiment_id")?,
        state: state_of(row)?,
        took_sec: started
            .zip(finished)
            .map(|(started, finished)| (finished - started) as f64 / 1e6),
    })
}
