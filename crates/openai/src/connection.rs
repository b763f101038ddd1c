use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use joulemark_measurement::clock::Monotonic;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// When bytes were last read from a socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastRead(Arc<AtomicU64>);

impl LastRead {
    pub(crate) fn get(&self) -> Monotonic {
        Monotonic(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, at: Monotonic) {
        self.0.store(at.0, Ordering::Relaxed);
    }
}

/// A socket that notes when bytes came out of it, before anything is made of them.
#[derive(Debug)]
pub(crate) struct Stamped<S> {
    socket: S,
    last_read: LastRead,
}

impl<S> Stamped<S> {
    pub(crate) fn new(socket: S) -> (Self, LastRead) {
        let last_read = LastRead::default();
        let stamped = Self {
            socket,
            last_read: last_read.clone(),
        };
        (stamped, last_read)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stamped<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(context, into);
        if polled.is_ready() && into.filled().len() > before {
            self.last_read.set(Monotonic::now());
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stamped<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
