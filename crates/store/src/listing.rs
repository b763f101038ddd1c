mod order;
mod statement;

use futures::stream::BoxStream;
use futures::{FutureExt as _, TryStreamExt as _};
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::record::{Record, from_us, id, record, select_records};
use super::stored_report::report;
use super::{Store, StoreError};
use joulemark_experiment::report::Report;
use joulemark_experiment::{ExperimentId, State};

pub use order::{Cursor, ListOrder, NotACursor};
use sqlx::Row as _;
pub(super) use statement::{Parameter, statement};

/// The filters, order and size of a page of experiments. A filter that is `None` or empty matches every experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    pub order: ListOrder,
    /// Only experiments behind this position.
    pub after: Option<Cursor>,
    /// Only experiments older than this one.
    pub before: Option<ExperimentId>,
    /// Only this experiment and newer ones.
    pub from: Option<ExperimentId>,
    /// Only experiments that finished before this time; used when the order is by finish.
    pub finished_before: Option<Timestamp>,
    /// Only experiments that finished at this time or later; used when the order is by finish.
    pub finished_from: Option<Timestamp>,
    /// Maximum number of experiments.
    pub limit: u32,
    pub state: Option<State>,
    pub model_name: Option<String>,
    pub engine: Option<String>,
    pub user_name: Option<String>,
    /// The authenticated name of the submitter.
    pub submitter: Option<String>,
    /// Only experiments that carry all of these labels with these values.
    pub labels: Vec<(String, String)>,
    /// Only experiments of this sweep.
    pub sweep: Option<ExperimentId>,
}

/// A page of experiments.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub records: Vec<Record>,
    /// Whether there are experiments behind this page.
    pub more: bool,
}

/// A page of experiments with their reports, as undecoded rows. Decoding a row takes longer than fetching it, so the
/// caller does it on a thread for blocking work.
pub struct UnreadPage {
    pub rows: Vec<UnreadRow>,
    /// Position behind which the next page begins; `None` on the last page.
    pub next: Option<Cursor>,
}

/// An undecoded row of an experiment and its report.
pub struct UnreadRow(AnyRow);

impl UnreadRow {
    /// Decodes the experiment, and its report when it has one.
    ///
    /// # Errors
    /// Returns an error when the row cannot be decoded.
    pub fn read(&self) -> Result<(Record, Option<Report>), StoreError> {
        let (read, _) = record(&self.0)?;
        let has_report = self.0.try_get::<Option<&str>, _>("experiment_id")?.is_some();
        Ok((read, has_report.then(|| report(&self.0)).transpose()?))
    }

    /// Returns the cursor of this row.
    fn cursor(&self, order: ListOrder) -> Result<Cursor, StoreError> {
        let finished_at_us: Option<i64> = self.0.try_get("finished_at_us")?;
        Ok(Cursor::new(
            id(&self.0, "id")?,
            finished_at_us.map(from_us).transpose()?,
            order,
        ))
    }

    /// Returns the stored size of the spec and the compressed report, in bytes.
    fn bytes(&self) -> Result<usize, StoreError> {
        let spec: &str = self.0.try_get("spec")?;
        let packed: Option<&[u8]> = self.0.try_get("packed")?;
        Ok(spec.len() + packed.map_or(0, <[u8]>::len))
    }
}

impl Store {
    /// Returns a page of experiments. The page ends early, but is not empty, once its documents exceed `max_bytes`.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn list(&self, query: &ListQuery, max_bytes: usize) -> Result<Listed, StoreError> {
        let text = statement(query, select_records!(""), "");
        let bounds = (query.limit, max_bytes);
        self.read_long(move |connection| read_records(connection, text, bounds).boxed())
            .await
    }

    /// Returns a page of experiments with their reports, ended early as by [`Self::list`]. One statement reads the
    /// page, so that all rows are from the same moment.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn unread_page(&self, query: &ListQuery, max_bytes: usize) -> Result<UnreadPage, StoreError> {
        const SELECT: &str = concat!(
            "SELECT e.id, e.spec, e.state, e.attempt, e.warnings, e.failure, e.created_at_us, e.started_at_us, ",
            "e.finished_at_us, e.updated_at_us, e.node_name, e.gpus, e.labels, e.submitter, e.request_id, e.traceparent, ",
            "e.dropped_prompts, ",
            "r.experiment_id, r.report, r.packed FROM "
        );
        let text = statement(query, SELECT, " LEFT JOIN reports r ON r.experiment_id = e.id");
        let (order, bounds) = (query.order, (query.limit, max_bytes));
        self.read_long(move |connection| read_rows(connection, text, order, bounds).boxed())
            .await
    }
}

type Text = (String, Vec<Parameter>);

/// Maximum number of rows, and the number of bytes after which no further row is read.
type Bounds = (u32, usize);

async fn read_records(connection: &mut AnyConnection, text: Text, bounds: Bounds) -> Result<Listed, StoreError> {
    let (limit, max_bytes) = bounds;
    let mut rows = page(connection, text, limit);
    let (mut records, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        if records.len() == limit as usize || bytes > max_bytes {
            return Ok(Listed { records, more: true });
        }
        let (read, length) = record(&row)?;
        records.push(read);
        bytes += length;
    }
    Ok(Listed { records, more: false })
}

async fn read_rows(
    connection: &mut AnyConnection,
    text: Text,
    order: ListOrder,
    (limit, max_bytes): Bounds,
) -> Result<UnreadPage, StoreError> {
    let mut found = page(connection, text, limit);
    let (mut rows, mut bytes) = (Vec::<UnreadRow>::new(), 0);
    while let Some(row) = found.try_next().await? {
        if let Some(last) = rows.last()
            && (rows.len() == limit as usize || bytes > max_bytes)
        {
            let next = Some(last.cursor(order)?);
            return Ok(UnreadPage { rows, next });
        }
        let row = UnreadRow(row);
        bytes += row.bytes()?;
        rows.push(row);
    }
    Ok(UnreadPage { rows, next: None })
}

/// Runs the statement of a list with a limit of one row more than `limit`; the additional row shows that there is
/// another page.
fn page(
    connection: &mut AnyConnection,
    (text, parameters): Text,
    limit: u32,
) -> BoxStream<'_, Result<AnyRow, sqlx::Error>> {
    let mut page = sqlx::query(AssertSqlSafe(text));
    for parameter in parameters {
        page = match parameter {
            Parameter::Text(text) => page.bind(text),
            Parameter::Whole(whole) => page.bind(whole),
        };
    }
    page.bind(i64::from(limit) + 1).fetch(connection)
}
