//! The next points of a search. They are queued in the transaction that ends the last experiment the search waited for:
//! the server that ends it continues the search, and no server needs to hold its state.

use jiff::Timestamp;
use sqlx::any::Any;
use sqlx::{Row, Transaction};

use super::super::prepared::Prepared;
use super::super::record::{from_json, id as id_of, state as state_of, to_json};
use super::super::stored_report::report;
use super::super::{NewExperiment, Quota, StoreError, submission};
use joulemark_analysis::search::{advance, observe};
use joulemark_experiment::access::Actor;
use joulemark_experiment::sweep::{Placement, SearchAnswer, SearchState, SearchTry, SweepRequest};
use joulemark_experiment::{Arrival, ExperimentId, Spec, State, Warning};

/// At most one row, since an experiment belongs to at most one sweep.
const OPEN: &str = "SELECT s.id FROM sweep_runs r JOIN sweeps s ON s.id = r.sweep_id \
     WHERE r.experiment_id = $1 AND s.search_state = 'searching'";
/// Locks the search. A transaction that ends another of its experiments waits here, and then sees how this one ended.
const LOCK: &str = "UPDATE sweeps SET search_state = search_state WHERE id = $1 AND search_state = 'searching' \
     RETURNING id, request, submitter, request_id, search";
const UNFINISHED: &str = "SELECT COUNT(*) AS runs FROM sweep_runs r JOIN experiments e ON e.id = r.experiment_id \
     WHERE r.sweep_id = $1 AND e.state NOT IN ('completed', 'failed', 'cancelled')";
const ENDED: &str = "SELECT e.state, p.experiment_id, p.report, p.packed FROM sweep_runs r \
     JOIN experiments e ON e.id = r.experiment_id LEFT JOIN reports p ON p.experiment_id = e.id \
     WHERE r.sweep_id = $1 AND r.point = $2 ORDER BY r.repeat_number";

/// An unfinished search whose row is locked.
struct Locked {
    id: ExperimentId,
    request: SweepRequest,
    submitter: Option<String>,
    request_id: Option<String>,
    answer: SearchAnswer,
}

/// Continues the search that an experiment belongs to, once all its queued runs have ended. A search that cannot be
/// read back is cancelled, so that the end of the experiment can still be stored.
pub async fn continue_search(
    transaction: &mut Transaction<'static, Any>,
    experiment: ExperimentId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sqlx::query(OPEN).bind(experiment.to_string());
    let rows = query.fetch_all(&mut **transaction).await?;
    for row in rows {
        let sweep: String = row.try_get("id")?;
        match step(transaction, &sweep, now).await {
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(sweep, %error, "a search cannot be continued and is cancelled");
                sqlx::query("UPDATE sweeps SET search_state = 'cancelled' WHERE id = $1")
                    .bind(&sweep)
                    .execute(&mut **transaction)
                    .await?;
                drop_plans(transaction, &sweep).await?;
            }
            other => other?,
        }
    }
    Ok(())
}

/// Evaluates the points that have ended and queues the next ones.
async fn step(transaction: &mut Transaction<'static, Any>, sweep: &str, now: Timestamp) -> Result<(), StoreError> {
    let Some(locked) = lock(transaction, sweep).await? else {
        return Ok(());
    };
    let unfinished = sqlx::query(UNFINISHED)
        .bind(sweep)
        .fetch_one(&mut **transaction)
        .await?;
    if unfinished.try_get::<i64, _>("runs")? > 0 {
        return Ok(());
    }
    let mut observed = Vec::new();
    for point in &locked.answer.pending {
        observed.extend(result_of_point(transaction, &locked, *point).await?);
    }
    let answer = advance(&locked.request, locked.answer.clone(), observed);
    // Reads all plans before it queues the first, so that a search that is cancelled has queued nothing.
    let mut plans = Vec::new();
    for point in &answer.pending {
        plans.push((*point, planned(transaction, locked.id, *point).await?));
    }
    for repeat in 0..locked.request.repeats {
        for (point, plan) in &plans {
            let placement = Placement { point: *point, repeat };
            queue(transaction, &locked, placement, plan, now).await?;
        }
    }
    sqlx::query("UPDATE sweeps SET search_state = $1, search = $2 WHERE id = $3")
        .bind(answer.state.as_str())
        .bind(to_json(&answer)?)
        .bind(sweep)
        .execute(&mut **transaction)
        .await?;
    if answer.state != SearchState::Searching {
        drop_plans(transaction, sweep).await?;
    }
    Ok(())
}

async fn lock(transaction: &mut Transaction<'static, Any>, sweep: &str) -> Result<Option<Locked>, StoreError> {
    let rows = sqlx::query(LOCK).bind(sweep).fetch_all(&mut **transaction).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let what = format!("the search of sweep {sweep}");
    Ok(Some(Locked {
        id: id_of(row, "id")?,
        request: from_json(&what, row.try_get("request")?)?,
        submitter: row.try_get("submitter")?,
        request_id: row.try_get("request_id")?,
        answer: from_json(&what, row.try_get("search")?)?,
    }))
}

/// Returns the result of a point whose runs have all ended; `None` when the sweep has no goal.
async fn result_of_point(
    transaction: &mut Transaction<'static, Any>,
    locked: &Locked,
    point: u32,
) -> Result<Option<SearchTry>, StoreError> {
    let Some(goal) = &locked.request.goal else {
        return Ok(None);
    };
    let rows = sqlx::query(ENDED)
        .bind(locked.id.to_string())
        .bind(i64::from(point))
        .fetch_all(&mut **transaction)
        .await?;
    let (mut reports, mut not_completed) = (Vec::new(), 0);
    for row in &rows {
        match state_of(row)? {
            State::Completed => reports.push(report(row)?),
            _ => not_completed += 1,
        }
    }
    Ok(Some(observe(goal, point, &reports, not_completed)))
}

/// Reads the spec and the warnings of a planned point.
async fn planned(
    transaction: &mut Transaction<'static, Any>,
    sweep: ExperimentId,
    point: u32,
) -> Result<(Spec, Vec<Warning>), StoreError> {
    let rows = sqlx::query("SELECT spec, warnings FROM sweep_plans WHERE sweep_id = $1 AND point = $2")
        .bind(sweep.to_string())
        .bind(i64::from(point))
        .fetch_all(&mut **transaction)
        .await?;
    let what = format!("point {point} of sweep {sweep}");
    let row = rows
        .first()
        .ok_or_else(|| StoreError::corrupt(&what, "it was not planned"))?;
    Ok((
        from_json(&what, row.try_get("spec")?)?,
        from_json(&what, row.try_get("warnings")?)?,
    ))
}

/// Queues one run of a planned point. Quotas do not apply, since the whole sweep was accepted at submission.
async fn queue(
    transaction: &mut Transaction<'static, Any>,
    locked: &Locked,
    placement: Placement,
    (spec, warnings): &(Spec, Vec<Warning>),
    now: Timestamp,
) -> Result<(), StoreError> {
    let new = NewExperiment {
        id: ExperimentId::generate(),
        spec: spec.clone(),
        warnings: warnings.clone(),
        created_at: now,
        submitted_by: Actor {
            name: locked.submitter.clone(),
            key_id: None,
            address: None,
        },
        callback: None,
        arrival: Arrival {
            request_id: locked.request_id.clone(),
            traceparent: None,
        },
    };
    let prepared = Prepared::new(&new, None, Quota::default())?;
    submission::insert(transaction, &[&prepared]).await?;
    insert_run(transaction, locked.id, placement, new.id).await
}

/// Records which experiment is a run of a point.
pub async fn insert_run(
    transaction: &mut Transaction<'static, Any>,
    sweep: ExperimentId,
    placement: Placement,
    experiment: ExperimentId,
) -> Result<(), StoreError> {
    let text = "INSERT INTO sweep_runs (sweep_id, point, repeat_number, experiment_id) VALUES ($1, $2, $3, $4)";
    sqlx::query(text)
        .bind(sweep.to_string())
        .bind(i64::from(placement.point))
        .bind(i64::from(placement.repeat))
        .bind(experiment.to_string())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Deletes the planned points that were not queued.
pub async fn drop_plans(transaction: &mut Transaction<'static, Any>, sweep: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sweep_plans WHERE sweep_id = $1")
        .bind(sweep)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
