//! Rows of the export tables, read from the database page by page.

use std::sync::Arc;

use futures::{Stream, TryStreamExt as _, stream};

use super::download::Rows;
use crate::http::access::Caller;
use crate::http::experiments::view::{shown_failure, without_token_ids};
use crate::tables::{CycleRow, ExperimentRow, RequestRow, SampleRow, TokenRow, tokens};
use joulemark_analysis::complete_report;
use joulemark_experiment::ExperimentId;
use joulemark_experiment::report::Report;
use joulemark_measurement::{DeviceSeries, RankCycle};
use joulemark_store::{ListQuery, Record, Store, StoreError, UnreadPage};

/// Maximum number of experiments read from the database at a time.
const PAGE_ROWS: u32 = 256;
/// Maximum size of their documents; each may hold megabytes of prompts.
const PAGE_BYTES: usize = 8 << 20;

/// Returns the row of an experiment, as the caller may see it.
pub fn experiment((record, mut report): (Record, Option<Report>), caller: &Caller) -> ExperimentRow {
    report.as_mut().map(complete_report);
    let failure = shown_failure(&record, caller);
    ExperimentRow {
        id: record.id,
        state: record.state,
        attempt: record.attempt,
        node_name: record.node_name,
        submitter: record.submitter,
        created_at: record.created_at,
        started_at: record.started_at,
        finished_at: record.finished_at,
        failure,
        warnings: record.warnings,
        dropped_prompts: record.dropped_prompts.map(|dropped| dropped.count),
        spec: record.spec,
        report,
    }
}

/// Returns one row per cycle of a completed experiment; empty for any other.
pub fn cycles((record, report): (&Record, Option<Report>)) -> Vec<CycleRow> {
    let Some(mut report) = report else { return Vec::new() };
    complete_report(&mut report);
    let row = |cycle| CycleRow::new(record.id, &record.spec, cycle);
    report.cycles.into_iter().map(row).collect()
}

/// Returns at most `max_experiments` of the experiments that a list would show, each turned into a row by `of`. Pages
/// follow each other without gaps. The first page is read at once, so that an error of the database can still be
/// answered as a problem.
pub async fn experiments<R: 'static>(
    store: Store,
    query: ListQuery,
    max_experiments: Option<u64>,
    of: impl Fn((Record, Option<Report>)) -> R + Clone + Send + 'static,
) -> Result<impl Stream<Item = Result<Rows<R>, StoreError>> + Send, StoreError> {
    let left = max_experiments.unwrap_or(u64::MAX);
    let first = page(&store, &query, left).await?;
    let state = (query, left, Some(first));
    Ok(stream::try_unfold(state, move |(query, left, ready)| {
        let (store, of) = (store.clone(), of.clone());
        async move {
            let page = match ready {
                Some(page) => page,
                None if left == 0 || query.after.is_none() => return Ok(None),
                None => page(&store, &query, left).await?,
            };
            let left = left.saturating_sub(page.rows.len() as u64);
            let query = ListQuery {
                after: page.next,
                ..query
            };
            let read = page.rows.into_iter().map(move |row| row.read().map(&of));
            let rows: Rows<R> = Box::new(read);
            Ok(Some((rows, (query, left, None))))
        }
    }))
}

/// Returns the rows of all cycles of the experiments, in order.
pub fn cycles_of_each(rows: Rows<Vec<CycleRow>>) -> Rows<CycleRow> {
    Box::new(rows.flat_map(|rows| match rows {
        Ok(rows) => rows.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }))
}

/// Returns the rows that `of` reads for each experiment, one experiment after the other.
pub fn of_each<R: 'static, S>(
    records: impl Stream<Item = Result<Rows<Record>, StoreError>> + Send,
    of: impl Fn(Record) -> S + Clone + Send,
) -> impl Stream<Item = Result<Rows<R>, StoreError>> + Send
where
    S: Stream<Item = Result<Rows<R>, StoreError>> + Send,
{
    let of_page = move |rows: Rows<Record>| stream::iter(rows).map_ok(of.clone()).try_flatten();
    records.map_ok(of_page).try_flatten()
}

/// Reads the next page of experiments.
async fn page(store: &Store, query: &ListQuery, left: u64) -> Result<UnreadPage, StoreError> {
    let limit = u32::try_from(left).map_or(PAGE_ROWS, |left| left.min(PAGE_ROWS));
    let query = ListQuery { limit, ..query.clone() };
    store.unread_page(&query, PAGE_BYTES).await
}

/// Returns the request rows of a rank in a cycle.
fn of_cycle(id: ExperimentId, cycle: RankCycle) -> impl Iterator<Item = RequestRow> {
    let (rank, number) = (cycle.rank, cycle.cycle);
    cycle.requests.into_iter().map(move |request| RequestRow {
        id,
        cycle: number,
        rank,
        request,
    })
}

/// Returns the request rows of an experiment, by cycle and rank; one cycle of a rank is in memory at a time.
pub fn requests(
    store: &Store,
    id: ExperimentId,
) -> impl Stream<Item = Result<Rows<RequestRow>, StoreError>> + Send + use<> {
    store.rank_cycles(id).map_ok(move |cycle| {
        let rows: Rows<RequestRow> = Box::new(of_cycle(id, cycle).map(Ok));
        rows
    })
}

/// Returns the token rows of an experiment, as [`requests`] does; without token ids if `withheld`.
pub fn output_tokens(
    store: &Store,
    id: ExperimentId,
    withheld: bool,
) -> impl Stream<Item = Result<Rows<TokenRow>, StoreError>> + Send + use<> {
    store.rank_cycles(id).map_ok(move |mut cycle| {
        if withheld {
            cycle.requests = without_token_ids(cycle.requests);
        }
        let rows = of_cycle(id, cycle).flat_map(|request| tokens(&request).collect::<Vec<_>>());
        let rows: Rows<TokenRow> = Box::new(rows.map(Ok));
        rows
    })
}

/// Returns one row per sample of a device.
pub fn samples(id: ExperimentId, series: DeviceSeries) -> Rows<SampleRow> {
    let points = series.points;
    let device = Arc::new(DeviceSeries {
        points: Vec::new(),
        ..series
    });
    let rows = points.into_iter().map(move |point| {
        let device = device.clone();
        Ok(SampleRow { id, device, point })
    });
    Box::new(rows)
}
