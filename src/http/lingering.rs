//! Lingering close (RFC 9112, 9.6) of connections whose client may still be sending a body. `unread` decides which
//! connections these are.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A flag of a connection: its client may still be sending after the last answer.
#[derive(Clone, Debug, Default)]
pub struct LingerFlag(Arc<AtomicBool>);

impl LingerFlag {
    /// Sets the flag.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether the flag is set.
    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream that closes in two steps if its flag is set: first for writing, then it reads and discards until the client
/// closes or the time limit is over. If it closed at once, the client's next write would fail. A proxy (Caddy, nginx)
/// would then answer 502 although the answer is there, and over TCP the answer itself can be lost.
pub struct Lingering<S> {
    stream: S,
    flag: LingerFlag,
    time_limit: Duration,
    /// End of the discarding; set once the stream is closed for writing.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    /// Wraps a stream, with its flag not set.
    pub fn new(stream: S, time_limit: Duration) -> Self {
        Self {
            stream,
            flag: LingerFlag::default(),
            time_limit,
            deadline: None,
        }
    }

    /// Returns the flag of this stream.
    pub fn flag(&self) -> LingerFlag {
        self.flag.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            stream,
            flag,
            time_limit,
            deadline,
        } = &mut *self;
        let deadline = match deadline {
            Some(deadline) => deadline,
            None => {
                ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
                if !flag.is_raised() {
                    return Poll::Ready(Ok(()));
                }
                deadline.insert(Box::pin(tokio::time::sleep(*time_limit)))
            }
        };
        let mut bytes = [0; 8192];
        while deadline.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            // A read error means that the client is gone.
            let is_read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer)).is_ok();
            if !is_read || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::task::JoinHandle;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Returns a client's end, and the task that closes the server's end with its flag set.
    fn lingering(time_limit: Duration) -> (DuplexStream, JoinHandle<io::Result<()>>) {
        let (client, server) = tokio::io::duplex(16);
        let mut server = Lingering::new(server, time_limit);
        server.flag().raise();
        (client, tokio::spawn(async move { server.shutdown().await }))
    }

    #[tokio::test]
    async fn a_client_that_is_still_sending_sees_the_end_and_can_send_the_rest() {
        let (mut client, closed) = lingering(HOUR);
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        client.write_all(&[b'x'; 100_000]).await.unwrap();
        assert!(!closed.is_finished());
        drop(client);
        closed.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_never_closes_is_left_when_the_time_is_over() {
        let (mut client, closed) = lingering(Duration::from_millis(20));
        client.write_all(b"x").await.unwrap();
        closed.await.unwrap().unwrap();
        let error = client.write_all(&[b'x'; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn without_the_flag_a_connection_is_closed_at_once() {
        let (_client, server) = tokio::io::duplex(16);
        Lingering::new(server, HOUR).shutdown().await.unwrap();
    }
}
