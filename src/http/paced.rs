//! Timeouts for the other end of a connection, for request bodies and for answers. It may pause for a limited time and
//! must keep a minimum rate, so that occasional bytes do not hold a connection open.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use hyper::body::{Body, Buf as _, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use joulemark_measurement::clock::Monotonic;

/// Minimum average rate, apart from the pauses. Even the slowest connections in use reach it.
pub const MIN_BYTES_PER_SEC: u32 = 4096;

/// Time that the other end has left. Waiting uses it up, and transferred bytes add to it, up to the maximum.
#[derive(Debug)]
struct PauseBudget {
    max: Duration,
    left: Duration,
    wait: Option<(Monotonic, Pin<Box<Sleep>>)>,
}

impl PauseBudget {
    fn new(max: Duration) -> Self {
        Self {
            max,
            left: max,
            wait: None,
        }
    }

    /// Waits for the other end; ready when its time is used up.
    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let left = self.left;
        let (_, sleep) = self
            .wait
            .get_or_insert_with(|| (Monotonic::now(), Box::pin(tokio::time::sleep(left))));
        sleep.as_mut().poll(context)
    }

    /// Records the transfer of bytes.
    fn moved(&mut self, bytes: usize) {
        if let Some((since, _)) = self.wait.take() {
            let waited = Duration::from_secs_f64(Monotonic::now().sec_since(since).max(0.0));
            self.left = self.left.saturating_sub(waited);
        }
        let earned = Duration::from_secs_f64(bytes as f64 / f64::from(MIN_BYTES_PER_SEC));
        self.left = (self.left + earned).min(self.max);
    }
}

/// Error: the other end was too slow.
#[derive(Debug)]
pub struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the other end is too slow")
    }
}

impl std::error::Error for TooSlow {}

/// A body that fails with [`TooSlow`] if it does not arrive in time.
pub struct PacedBody<B> {
    body: B,
    budget: PauseBudget,
}

impl<B> PacedBody<B> {
    pub fn new(body: B, longest_pause: Duration) -> Self {
        Self {
            body,
            budget: PauseBudget::new(longest_pause),
        }
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin> Body for PacedBody<B> {
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, BoxError>>> {
        let Self { body, budget } = &mut *self;
        match Pin::new(body).poll_frame(context) {
            Poll::Ready(frame) => {
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                budget.moved(data.map_or(0, |data| data.remaining()));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                ready!(budget.poll_over(context));
                Poll::Ready(Some(Err(Box::new(TooSlow))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose writes fail with [`TooSlow`] if the other end does not read in time.
#[derive(Debug)]
pub struct PacedWrites<S> {
    stream: S,
    budget: PauseBudget,
}

impl<S> PacedWrites<S> {
    pub fn new(stream: S, longest_pause: Duration) -> Self {
        Self {
            stream,
            budget: PauseBudget::new(longest_pause),
        }
    }

    /// Records a write, or fails if the other end's time is used up.
    fn noted(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(written) => {
                self.budget.moved(written.as_ref().map_or(0, |bytes| *bytes));
                Poll::Ready(written)
            }
            Poll::Pending => {
                ready!(self.budget.poll_over(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, TooSlow)))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedWrites<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedWrites<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noted(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.noted(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Bytes, to_bytes};
    use futures::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    /// Returns a body of `bytes` bytes, sent `at_a_time`, with a pause before each part.
    fn dripping(bytes: usize, at_a_time: usize, pause: Duration) -> axum::body::Body {
        let parts = futures::stream::iter(0..bytes.div_ceil(at_a_time)).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, io::Error>(Bytes::from(vec![b'x'; at_a_time]))
        });
        axum::body::Body::from_stream(parts.boxed())
    }

    fn is_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
        error.is::<TooSlow>() || error.source().is_some_and(is_too_slow)
    }

    async fn read(body: axum::body::Body) -> Result<usize, axum::Error> {
        let paced = axum::body::Body::new(PacedBody::new(body, SHORT));
        to_bytes(paced, usize::MAX).await.map(|bytes| bytes.len())
    }

    #[tokio::test]
    async fn a_body_that_keeps_the_rate_is_read_and_one_that_drips_is_not() {
        let quick = dripping(40 * 4096, 4096, Duration::from_millis(5));
        assert_eq!(
            read(quick).await.unwrap(),
            40 * 4096,
            "in more time than one pause may take"
        );
        let dripped = read(dripping(1000, 1, Duration::from_millis(5))).await;
        assert!(is_too_slow(&dripped.unwrap_err()));
        let stopped = read(dripping(2, 1, Duration::from_secs(3600))).await;
        assert!(is_too_slow(&stopped.unwrap_err()));
    }

    #[tokio::test]
    async fn writes_fail_for_a_client_that_does_not_read_and_succeed_otherwise() {
        let (mut client, server) = tokio::io::duplex(16);
        let mut server = PacedWrites::new(server, SHORT);
        let reading = tokio::spawn(async move {
            let mut part = [0; 4096];
            client.read_exact(&mut part).await.unwrap();
            client
        });
        server.write_all(&[b'x'; 4096]).await.unwrap();
        let _client = reading.await.unwrap();
        let error = server.write_all(&[b'x'; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn writes_fail_for_a_client_that_reads_too_slowly() {
        let (mut client, server) = tokio::io::duplex(1);
        let mut server = PacedWrites::new(server, SHORT);
        let _reading = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if client.read_u8().await.is_err() {
                    return;
                }
            }
        });
        server.write_all(&[b'x'; 4096]).await.unwrap_err();
    }
}
