use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, Version, header, request::Parts};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Sender, error::SendTimeoutError};

use crate::http::access::Caller;
use crate::http::concurrency_limit::HasOwnPlace;
use crate::http::lasting_places::ExportPlace;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::tables::{Column, Format, TableError, Writer};
use joulemark_store::StoreError;

/// Rows as they are read, which may take as long as to write them.
pub type Rows<R> = Box<dyn Iterator<Item = Result<R, StoreError>> + Send>;

/// Rows in memory at a time, as they are written; a report is some ten kilobytes.
const PART_ROWS: usize = 64;
/// Sent at a time.
const PIECE_BYTES: usize = 64 << 10;

/// A file that is about to be written.
pub struct Download {
    pub format: Format,
    /// Without its ending.
    pub file_name: String,
    /// None for who asks for the head alone.
    place: Option<ExportPlace>,
    /// A client that takes nothing for so long holds a place in vain.
    stall_timeout: Duration,
}

impl Download {
    /// Takes a place among the exports.
    ///
    /// # Errors
    /// A [`Problem`] where all are taken, or the client could not tell a whole file from one that breaks off.
    pub fn new(
        format: Format,
        file_name: String,
        state: &AppState,
        (caller, parts): (&Caller, &Parts),
    ) -> Result<Self, Problem> {
        if parts.version <= Version::HTTP_10 && !format.knows_its_end() {
            return Err(Problem::http_version_too_old());
        }
        let place = match parts.method == Method::HEAD {
            true => None,
            false => Some(state.exports.take(caller)?),
        };
        Ok(Self {
            format,
            file_name,
            place,
            stall_timeout: Duration::from_secs(u64::from(state.access.limits.answer_timeout_sec)),
        })
    }

    /// Answers with the table of all rows. What is read is dropped once it is written, and nothing is read any more once
    /// the client is gone.
    ///
    /// A failure after the first byte cannot become a problem any more: the body breaks off, which no client takes for
    /// whole.
    pub fn respond<R: Send + 'static>(
        self,
        columns: Vec<Column<R>>,
        batches: impl Stream<Item = Result<Rows<R>, StoreError>> + Send + 'static,
    ) -> Result<Response, Problem> {
        let body = match self.place {
            // Of no known length, as the file is.
            None => Body::from_stream(stream::empty::<Result<Bytes, BrokenOff>>()),
            Some(place) => {
                let (writer, begin) = Writer::new(self.format, columns).map_err(|error| {
                    tracing::error!(%error, "an export cannot be begun");
                    Problem::internal()
                })?;
                let (outlet, body) = outlet(self.stall_timeout, place);
                outlet.start(writer, begin, Box::pin(batches));
                body
            }
        };
        let mut response = body.into_response();
        response.extensions_mut().insert(HasOwnPlace);
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

/// What was written before a failure has gone out by then.
const FLUSHED_WITHIN: Duration = Duration::from_millis(20);

/// What goes from who writes to who sends. Whole is only what ends in `End`, not what merely stops.
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
    #[error("the client took nothing for {} s", .0.as_secs())]
    Stalled(Duration),
    #[error("whoever wrote it ended before it was whole")]
    Lost,
    #[error("the client is gone")]
    Gone,
}

/// Where whoever writes hands over what is written.
struct Outlet {
    pieces: Sender<Piece>,
    stall_timeout: Duration,
    place: ExportPlace,
}

fn outlet(stall_timeout: Duration, place: ExportPlace) -> (Outlet, Body) {
    let (pieces, receiver) = mpsc::channel(1);
    let sent = stream::unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        let why = match receiver.recv().await {
            Some(Piece::Bytes(bytes)) => return Some((Ok(bytes), Some(receiver))),
            Some(Piece::End) => return None,
            Some(Piece::BrokenOff(why)) => why,
            None => BrokenOff::Lost,
        };
        // The connection ends with the failure, and what was not sent by then is lost: the answer's head, at worst.
        tokio::time::sleep(FLUSHED_WITHIN).await;
        Some((Err(why), None))
    });
    let outlet = Outlet {
        pieces,
        stall_timeout,
        place,
    };
    // A compressor asks once more after the end.
    (outlet, Body::from_stream(sent.fuse()))
}

impl Outlet {
    /// On one thread for the whole export: rows are work, and each further thread would keep the memory of a part of it.
    fn start<R: Send + 'static>(
        self,
        writer: Writer<R>,
        begin: Vec<u8>,
        batches: impl Stream<Item = Result<Rows<R>, StoreError>> + Unpin + Send + 'static,
    ) {
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || runtime.block_on(self.write(writer, begin, batches)));
    }

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
            BrokenOff::Gone | BrokenOff::Stalled(_) => tracing::info!(error = %why, "an export breaks off"),
            _ => tracing::error!(error = %why, "an export breaks off"),
        }
        let _ = self.pass(Piece::BrokenOff(why)).await;
    }

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
                // Given back while the client takes what was made: one that is slow keeps nobody waiting.
                let turn = self.place.turn().await;
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

    async fn send(&self, bytes: Vec<u8>) -> Result<(), BrokenOff> {
        let mut bytes = Bytes::from(bytes);
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
            self.pass(Piece::Bytes(piece)).await?;
        }
        // Also where there is nothing to send: of a client that is gone nothing more is read.
        match self.pieces.is_closed() {
            true => Err(BrokenOff::Gone),
            false => Ok(()),
        }
    }

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
    use crate::http::lasting_places::Exports;
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

    fn place() -> ExportPlace {
        let origin = Origin::direct("127.0.0.1".parse().unwrap());
        Exports::new(1).take(&Caller::anybody(&origin)).unwrap()
    }

    async fn downloaded(batches: Vec<Result<Rows<u64>, StoreError>>) -> Result<String, axum::Error> {
        let (writer, begin) = Writer::new(Format::Csv(Spreadsheet::No), columns()).unwrap();
        let (outlet, body) = outlet(STALL_TIMEOUT, place());
        outlet.start(writer, begin, stream::iter(batches));
        let read = axum::body::to_bytes(body, usize::MAX).await;
        read.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn rows(rows: std::ops::Range<u64>) -> Result<Rows<u64>, StoreError> {
        Ok(Box::new(rows.map(Ok)))
    }

    #[tokio::test]
    async fn a_body_may_be_asked_again_after_its_end() {
        let (outlet, body) = outlet(STALL_TIMEOUT, place());
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
    async fn whoever_writes_stops_when_the_client_is_gone() {
        let (writer, begin) = Writer::new(Format::Csv(Spreadsheet::No), columns()).unwrap();
        let (outlet, body) = outlet(STALL_TIMEOUT, place());
        drop(body);
        let endless = stream::repeat_with(|| rows(0..1000));
        let ended = outlet.write_all(writer, begin, Box::pin(endless)).await;
        assert!(matches!(ended, Err(BrokenOff::Gone)), "{ended:?}");
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_not_waited_for_and_gets_no_whole_file() {
        let (writer, begin) = Writer::new(Format::Csv(Spreadsheet::No), columns()).unwrap();
        let (outlet, body) = outlet(Duration::from_millis(5), place());
        // Ends, though nobody reads: the rows are more than the pieces that may wait.
        outlet
            .write(writer, begin, Box::pin(stream::iter([rows(0..100_000)])))
            .await;
        axum::body::to_bytes(body, usize::MAX).await.unwrap_err();
    }
}
