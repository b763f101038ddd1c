//! The streaming of an export's file.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, Version, header, request::Parts};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Sender, error::SendTimeoutError};

use crate::http::access::Caller;
use crate::http::concurrency_limit::HasOwnLimit;
use crate::http::long_lived::ExportPermit;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::tables::{Column, Format, TableError, Writer};
use joulemark_store::StoreError;

/// Rows that are read while they are written.
pub type Rows<R> = Box<dyn Iterator<Item = Result<R, StoreError>> + Send>;

/// Number of rows in memory at a time; a report takes some ten kilobytes.
const PART_ROWS: usize = 64;
/// Maximum number of bytes sent at a time.
const PIECE_BYTES: usize = 64 << 10;

/// A file that is about to be streamed.
pub struct Download {
    pub format: Format,
    /// Name of the file without its extension.
    pub file_name: String,
    /// Permit of the export; `None` for a `HEAD` request.
    permit: Option<ExportPermit>,
    /// Time after which a client that takes no data loses its export.
    stall_timeout: Duration,
}

impl Download {
    /// Takes a permit for an export.
    ///
    /// # Errors
    /// Returns a [`Problem`] if the limit on exports is reached, or if the client could not detect an incomplete file.
    pub fn new(
        format: Format,
        file_name: String,
        state: &AppState,
        (caller, parts): (&Caller, &Parts),
    ) -> Result<Self, Problem> {
        if parts.version <= Version::HTTP_10 && !format.knows_its_end() {
            return Err(Problem::http_version_too_old());
        }
        let permit = match parts.method == Method::HEAD {
            true => None,
            false => Some(state.exports.take(caller)?),
        };
        Ok(Self {
            format,
            file_name,
            permit,
            stall_timeout: Duration::from_secs(u64::from(state.access.limits.answer_timeout_sec)),
        })
    }

    /// Answers with the table of all rows. Rows are dropped once they are written, and reading stops when the client
    /// disconnects.
    ///
    /// A failure after the first byte cannot become a problem any more: the body breaks off, which clients report as
    /// incomplete.
    pub fn respond<R: Send + 'static>(
        self,
        columns: Vec<Column<R>>,
        batches: impl Stream<Item = Result<Rows<R>, StoreError>> + Send + 'static,
    ) -> Result<Response, Problem> {
        let body = match self.permit {
            // Of unknown length, as the file is.
            None => Body::from_stream(stream::empty::<Result<Bytes, BrokenOff>>()),
            Some(permit) => {
                let (writer, begin) = Writer::new(self.format, columns).map_err(|error| {
                    tracing::error!(%error, "an export cannot be begun");
                    Problem::internal()
                })?;
                let (outlet, body) = outlet(self.stall_timeout, permit);
                outlet.start(writer, begin, Box::pin(batches));
                body
            }
        };
        let mut response = body.into_response();
        response.extensions_mut().insert(HasOwnLimit);
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static(self.format.content_type());
        headers.insert(header::CONTENT_TYPE, content_type);
        let disposition = format!("attachment; filename=\"{}.{}\"", self.file_name, self.format.name());
        headers.extend(
            HeaderValue::try_from(disposition)
                .ok()
                .map(|value| (header::CONTENT_DISPOSITION, value)),
        );
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        headers.insert(
            header::VARY,
            HeaderValue::from_static("authorization, cookie, accept, accept-encoding"),
        );
        Ok(response)
    }
}

/// Time in which everything written before a failure is sent.
const FLUSHED_WITHIN: Duration = Duration::from_millis(20);

/// A message from the writer to the sender. The file is complete only if it ends with `End`.
enum Piece {
    Bytes(Bytes),
    End,
    BrokenOff(BrokenOff),
}

#[derive(Debug, thiserror::Error)]
enum BrokenOff {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("the client took no data for {} s", .0.as_secs())]
    Stalled(Duration),
    #[error("the writer stopped before the file was complete")]
    Lost,
    #[error("the client disconnected")]
    Gone,
}

/// The writer's end of the channel to the client.
struct Outlet {
    pieces: Sender<Piece>,
    stall_timeout: Duration,
    permit: ExportPermit,
}

/// Returns the writer's end, and the body that streams what is written to it.
fn outlet(stall_timeout: Duration, permit: ExportPermit) -> (Outlet, Body) {
    let (pieces, receiver) = mpsc::channel(1);
    let sent = stream::unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        let why = match receiver.recv().await {
            Some(Piece::Bytes(bytes)) => return Some((Ok(bytes), Some(receiver))),
            Some(Piece::End) => return None,
            Some(Piece::BrokenOff(why)) => why,
            None => BrokenOff::Lost,
        };
        // The connection ends with the failure, and data not sent by then is lost, in the worst case the response's
        // head.
        tokio::time::sleep(FLUSHED_WITHIN).await;
        Some((Err(why), None))
    });
    let outlet = Outlet {
        pieces,
        stall_timeout,
        permit,
    };
    // A compressor polls once more after the end.
    (outlet, Body::from_stream(sent.fuse()))
}

impl Outlet {
    /// Writes the table on one thread for the whole export: making rows is blocking work, and each further thread would
    /// keep memory for part of it.
    fn start<R: Send + 'static>(
        self,
        writer: Writer<R>,
        begin: Vec<u8>,
        batches: impl Stream<Item = Result<Rows<R>, StoreError>> + Unpin + Send + 'static,
    ) {
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || runtime.block_on(self.write(writer, begin, batches)));
    }

    /// Writes the table, and reports a failure to the client and to the log.
    async fn write<R: Send + 'static>(
        self,
        writer: Writer<R>,
        begin: Vec<u8>,
        batches: impl Stream<Item = Result<Rows<R>, StoreError>> + Unpin,
    ) {
        let Err(why) = self.write_all(writer, begin, batches).await else {
            return;
        };
        match &why {
            BrokenOff::Gone | BrokenOff::Stalled(_) => tracing::info!(error = %why, "an export is incomplete"),
            _ => tracing::error!(error = %why, "an export is incomplete"),
        }
        let _ = self.pass(Piece::BrokenOff(why)).await;
    }

    /// Writes all rows and the end of the file.
    async fn write_all<R: Send + 'static>(
        &self,
        mut writer: Writer<R>,
        begin: Vec<u8>,
        mut batches: impl Stream<Item = Result<Rows<R>, StoreError>> + Unpin,
    ) -> Result<(), BrokenOff> {
        self.send(begin).await?;
        while let Some(batch) = batches.next().await {
            let mut rows = batch?;
            loop {
                // Released while the client takes the rows, so that a slow client does not block other exports.
                let turn = self.permit.turn().await;
                let read = rows.by_ref().take(PART_ROWS).collect::<Result<Vec<_>, _>>()?;
                let written = writer.rows(&read)?;
                drop(turn);
                self.send(written).await?;
                if read.len() < PART_ROWS {
                    break;
                }
            }
        }
        let end = writer.end()?;
        self.send(end).await?;
        self.pass(Piece::End).await
    }

    /// Sends bytes to the client in pieces.
    async fn send(&self, bytes: Vec<u8>) -> Result<(), BrokenOff> {
        let mut bytes = Bytes::from(bytes);
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
            self.pass(Piece::Bytes(piece)).await?;
        }
        // Checked even if there is nothing to send, so that reading stops when the client has disconnected.
        match self.pieces.is_closed() {
            true => Err(BrokenOff::Gone),
            false => Ok(()),
        }
    }

    /// Hands a message to the sender.
    async fn pass(&self, piece: Piece) -> Result<(), BrokenOff> {
        let sent = self.pieces.send_timeout(piece, self.stall_timeout).await;
        sent.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => BrokenOff::Stalled(self.stall_timeout),
            SendTimeoutError::Closed(_) => BrokenOff::Gone,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::access::Origin;
    use crate::http::long_lived::Exports;
    use crate::tables::{Spreadsheet, Values};
    use joulemark_experiment::ExperimentId;

    fn columns() -> Vec<Column<u64>> {
        vec![Column {
            name: "n".into(),
            about: "".into(),
            values: Values::Count(Box::new(|n| Some(*n))),
        }]
    }

    const STALL_TIMEOUT: Duration = Duration::from_secs(60);

    fn permit() -> ExportPermit {
        let origin = Origin::direct("127.0.0.1".parse().unwrap());
        Exports::new(1).take(&Caller::anybody(&origin)).unwrap()
    }

    async fn downloaded(batches: Vec<Result<Rows<u64>, StoreError>>) -> Result<String, axum::Error> {
        let (writer, begin) = Writer::new(Format::Csv(Spreadsheet::No), columns()).unwrap();
        let (outlet, body) = outlet(STALL_TIMEOUT, permit());
        outlet.start(writer, begin, stream::iter(batches));
        let read = axum::body::to_bytes(body, usize::MAX).await;
        read.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn rows(rows: std::ops::Range<u64>) -> Result<Rows<u64>, StoreError> {
        Ok(Box::new(rows.map(Ok)))
    }

    #[tokio::test]
    async fn a_body_may_be_polled_after_its_end() {
        let (outlet, body) = outlet(STALL_TIMEOUT, permit());
        outlet.pieces.send(Piece::End).await.unwrap();
        let mut read = body.into_data_stream();
        assert!(read.next().await.is_none() && read.next().await.is_none());
    }

    #[tokio::test]
    async fn every_row_of_every_batch_is_there_in_order() {
        for ends in [vec![0], vec![3], vec![256, 256, 600], vec![100, 1500]] {
            let starts = [0].into_iter().chain(ends.iter().copied());
            let batches = starts.zip(&ends).map(|(start, end)| rows(start..*end)).collect();
            let text = downloaded(batches).await.unwrap();
            let expected = (0..ends[ends.len() - 1])
                .map(|n| format!("{n}\r\n"))
                .collect::<String>();
            assert_eq!(text, format!("n\r\n{expected}"), "{ends:?}");
        }
    }

    #[tokio::test]
    async fn a_failure_in_a_batch_or_a_row_breaks_the_body_off() {
        let missing = || StoreError::NotFound(ExperimentId::generate());
        downloaded(vec![rows(0..3), Err(missing())]).await.unwrap_err();
        let bad_row: Rows<u64> = Box::new([Ok(1), Err(missing())].into_iter());
        downloaded(vec![Ok(bad_row)]).await.unwrap_err();
        let panics: Rows<u64> = Box::new(std::iter::once_with(|| panic!("in the middle")));
        downloaded(vec![rows(0..3), Ok(panics)]).await.unwrap_err();
    }

    #[tokio::test]
    async fn the_writer_stops_when_the_client_disconnects() {
        let (writer, begin) = Writer::new(Format::Csv(Spreadsheet::No), columns()).unwrap();
        let (outlet, body) = outlet(STALL_TIMEOUT, permit());
        drop(body);
        let endless = stream::repeat_with(|| rows(0..1000));
        let ended = outlet.write_all(writer, begin, Box::pin(endless)).await;
        assert!(matches!(ended, Err(BrokenOff::Gone)), "{ended:?}");
    }

    #[tokio::test]
    async fn a_stalled_client_loses_its_export() {
        let (writer, begin) = Writer::new(Format::Csv(Spreadsheet::No), columns()).unwrap();
        let (outlet, body) = outlet(Duration::from_millis(5), permit());
        // It ends although nobody reads: there are more rows than fit into the channel.
        outlet
            .write(writer, begin, Box::pin(stream::iter([rows(0..100_000)])))
            .await;
        axum::body::to_bytes(body, usize::MAX).await.unwrap_err();
    }
}
