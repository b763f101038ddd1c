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

/// Experiments read from the database at a time.
const PAGE_ROWS: u32 = 256;
/// Of their documents, which may hold megabytes of prompts each.
const PAGE_BYTES: usize = 8 << 20;

/// Returns the experiment's row as the caller may see it.
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

/// Returns a row for each cycle of a completed experiment, and none for any other.
pub fn cycles((record, report): (&Record, Option<Report>)) -> Vec<CycleRow> {
    let Some(mut report) = report else { return Vec::new() };
    complete_report(&mut report);
    let row = |cycle| CycleRow::new(record.id, &record.spec, cycle);
    report.cycles.into_iter().map(row).collect()
}

/// At most `most` of those that a list would show, page after page from where the last one ended, each as `of` makes a row
/// of it. The first page is read at once, so that what is wrong with the database is still answered as a problem.
pub async fn experiments<R: 'static>(
    store: Store,
    query: ListQuery,
    most: Option<u64>,
    of: impl Fn((Record, Option<Report>)) -> R + Clone + Send + 'static,
) -> Result<impl Stream<Item = Result<Rows<R>, StoreError>> + Send, StoreError> {
    let left = most.unwrap_or(u64::MAX);
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

/// Returns the rows of every cycle of the experiments, in their order; none of those that are not completed.
pub fn cycles_of_each(rows: Rows<Vec<CycleRow>>) -> Rows<CycleRow> {
    Box::new(rows.flat_map(|rows| match rows {
        Ok(rows) => rows.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }))
}

/// Returns what `of` reads of each experiment, one after the other; nothing of those that have none, or have it no more.
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

async fn page(store: &Store, query: &ListQuery, left: u64) -> Result<UnreadPage, StoreError> {
    let limit = u32::try_from(left).map_or(PAGE_ROWS, |left| left.min(PAGE_ROWS));
    let query = ListQuery { limit, ..query.clone() };
    store.unread_page(&query, PAGE_BYTES).await
}

fn of_cycle(id: ExperimentId, cycle: RankCycle) -> impl Iterator<Item = RequestRow> {
    let (rank, number) = (cycle.rank, cycle.cycle);
    cycle.requests.into_iter().map(move |request| RequestRow {
        id,
        cycle: number,
        rank,
        request,
    })
}

/// By cycle and rank; one of these is in memory at a time.
pub fn requests(
    store: &Store,
    id: ExperimentId,
) -> impl Stream<Item = Result<Rows<RequestRow>, StoreError>> + Send + use<> {
    store.rank_cycles(id).map_ok(move |cycle| {
        let rows: Rows<RequestRow> = Box::new(of_cycle(id, cycle).map(Ok));
        rows
    })
}

/// As [`requests`], and without what the tokens are where `withheld`.
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
