use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::compressed_document;
use super::moves::set_state;
use super::raw::{self, Block, Stream};
use super::record::{from_json, to_json};
use super::stored_report::report;
use super::{Store, StoreError, usage};
use joulemark_experiment::report::Report;
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::RankCycle;

/// The rows of an attempt with results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Completion {
    report: String,
    /// Cycle, rank, and the measurement without its requests as JSON.
    cycles: Vec<(i64, i64, String)>,
    requests: Vec<(Stream, Vec<Block>)>,
    /// Energy charged to the user, in joules; `None` when it is unknown, and for an end that an earlier release left in
    /// the spool.
    #[serde(default)]
    energy_j: Option<f64>,
}

impl Completion {
    /// Serialises results.
    ///
    /// # Errors
    /// Returns an error when a document cannot be written as JSON.
    pub fn new(report: &Report, cycles: &[RankCycle]) -> Result<Self, StoreError> {
        let row = |cycle: &RankCycle| Ok((cycle.cycle.into(), cycle.rank.into(), measurement(cycle)?));
        let requests = |cycle: &RankCycle| (stream_of(cycle), raw::encode_requests(&cycle.requests));
        Ok(Self {
            report: to_json(report)?,
            cycles: cycles.iter().map(row).collect::<Result<_, StoreError>>()?,
            requests: cycles.iter().map(requests).collect(),
            energy_j: usage::energy_j(report),
        })
    }
}

impl Store {
    /// Stores results and the state `completed` in one transaction.
    ///
    /// # Errors
    /// Returns [`StoreError::Lost`] when the attempt no longer holds the experiment, and [`StoreError::IllegalMove`]
    /// when it is not aggregating.
    pub async fn complete(
        &self,
        id: ExperimentId,
        attempt: u32,
        report: &Report,
        cycles: &[RankCycle],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let completion = Completion::new(report, cycles)?;
        self.end_with((id, attempt), (State::Completed, &completion), now).await
    }

    /// Stores results and a final state in one transaction.
    pub(super) async fn end_with(
        &self,
        (id, attempt): (ExperimentId, u32),
        (state, completion): (State, &Completion),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let held = self.lock_held(&mut transaction, (id, attempt), state).await?;
        if held.is_none() {
            return Ok(());
        }
        sqlx::query("INSERT INTO reports (experiment_id, report, packed) VALUES ($1, '', $2)")
            .bind(id.to_string())
            .bind(compressed_document::pack(&completion.report))
            .execute(&mut *transaction)
            .await?;
        for (cycle, rank, measurement) in &completion.cycles {
            sqlx::query(
                "INSERT INTO rank_cycles (experiment_id, cycle, worker_rank, measurement) VALUES ($1, $2, $3, $4)",
            )
            .bind(id.to_string())
            .bind(cycle)
            .bind(rank)
            .bind(measurement)
            .execute(&mut *transaction)
            .await?;
        }
        raw::insert(&mut transaction, id, &completion.requests, now).await?;
        usage::note_energy(&mut transaction, id, completion.energy_j, now).await?;
        set_state(&mut transaction, id, (state, None), now).await?;
        self.commit_moves(transaction).await
    }

    /// Returns whether the experiment has a report.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn has_results(&self, id: ExperimentId) -> Result<bool, StoreError> {
        let text = "SELECT experiment_id FROM reports WHERE experiment_id = $1";
        let row = sqlx::query(text)
            .bind(id.to_string())
            .fetch_optional(&self.reads)
            .await?;
        Ok(row.is_some())
    }

    /// Returns the report of a completed experiment, or of one cancelled after a cycle was finished; `None` otherwise.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn report(&self, id: ExperimentId) -> Result<Option<Report>, StoreError> {
        let row = sqlx::query("SELECT experiment_id, report, packed FROM reports WHERE experiment_id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.reads)
            .await?;
        let Some(row) = row else { return Ok(None) };
        report(&row).map(Some)
    }

    /// Streams the measurements of each rank and cycle, by cycle and rank, one in memory at a time. Empty for an
    /// experiment without results. Requests are left out when retention has dropped them.
    pub fn rank_cycles(
        &self,
        id: ExperimentId,
    ) -> impl futures::Stream<Item = Result<RankCycle, StoreError>> + Send + use<> {
        let store = self.clone();
        let keys = async move {
            let keys = store.rank_cycle_keys(id).await?;
            let each = move |(cycle, rank)| {
                let store = store.clone();
                async move { store.rank_cycle(id, cycle, rank).await }
            };
            Ok::<_, StoreError>(stream::iter(keys).map(Ok).and_then(each))
        };
        stream::once(keys).try_flatten()
    }

    async fn rank_cycle_keys(&self, id: ExperimentId) -> Result<Vec<(i64, i64)>, StoreError> {
        let text = "SELECT cycle, worker_rank FROM rank_cycles WHERE experiment_id = $1 ORDER BY cycle, worker_rank";
        let rows = sqlx::query(text).bind(id.to_string()).fetch_all(&self.reads).await?;
        let key = |row: &AnyRow| Ok((row.try_get("cycle")?, row.try_get("worker_rank")?));
        rows.iter().map(key).collect()
    }

    async fn rank_cycle(&self, id: ExperimentId, cycle: i64, rank: i64) -> Result<RankCycle, StoreError> {
        let text = "SELECT measurement FROM rank_cycles WHERE experiment_id = $1 AND cycle = $2 AND worker_rank = $3";
        let row = sqlx::query(text)
            .bind(id.to_string())
            .bind(cycle)
            .bind(rank)
            .fetch_one(&self.reads)
            .await?;
        let what = format!("a measurement of experiment {id}");
        let mut read: RankCycle = from_json(&what, row.try_get("measurement")?)?;
        for block in self.blocks(id, stream_of(&read)).await? {
            let requests = raw::decode_requests(&block).map_err(|damage| StoreError::corrupt(&what, damage))?;
            read.requests.extend(requests);
        }
        Ok(read)
    }
}

fn stream_of(of: &RankCycle) -> Stream {
    Stream::Requests {
        cycle: of.cycle,
        rank: of.rank,
    }
}

/// Serialises a measurement without its requests, which are stored as raw data.
fn measurement(cycle: &RankCycle) -> Result<String, StoreError> {
    to_json(&RankCycle {
        rank: cycle.rank,
        cycle: cycle.cycle,
        gpus: cycle.gpus.clone(),
        window: cycle.window,
        inference: cycle.inference.clone(),
        energy: cycle.energy.clone(),
        compute: cycle.compute.clone(),
        requests: Vec::new(),
        failed_requests: cycle.failed_requests.clone(),
        load_generator: cycle.load_generator,
        server_report: cycle.server_report,
    })
}
