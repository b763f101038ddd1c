//! A socket that records when bytes were read from it, and how long the kernel had held them, before they are parsed.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::arrival::{self, Received};

/// The value that stands for an unknown lag.
const NO_LAG: u64 = u64::MAX;

/// The time at which bytes were read from a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadTime {
    pub(crate) at: Monotonic,
    /// How long they had been in the socket; `None` where the kernel does not report arrival times.
    pub(crate) lag: Option<Duration>,
}

/// The time of the last read from a socket, shared with the parser of the bytes.
#[derive(Clone, Debug)]
pub(crate) struct LastRead(Arc<(AtomicU64, AtomicU64)>);

impl LastRead {
    fn new() -> Self {
        Self(Arc::new((AtomicU64::new(0), AtomicU64::new(NO_LAG))))
    }

    pub(crate) fn get(&self) -> ReadTime {
        let (at, lag) = &*self.0;
        let lag = Some(lag.load(Ordering::Relaxed)).filter(|lag| *lag != NO_LAG);
        ReadTime {
            at: Monotonic(at.load(Ordering::Relaxed)),
            lag: lag.map(Duration::from_nanos),
        }
    }

    fn set(&self, at: Monotonic, lag: Option<Duration>) {
        let lag = lag.and_then(|lag| u64::try_from(lag.as_nanos()).ok()).unwrap_or(NO_LAG);
        self.0.0.store(at.0, Ordering::Relaxed);
        self.0.1.store(lag, Ordering::Relaxed);
    }
}

/// A socket that records the time of each read.
#[derive(Debug)]
pub(crate) struct Stamped {
    socket: TcpStream,
    last_read: LastRead,
}

impl Stamped {
    pub(crate) fn new(socket: TcpStream) -> (Self, LastRead) {
        // Without the kernel's times only lags are unknown.
        let _ = arrival::ask_for_times(&socket);
        let last_read = LastRead::new();
        let stamped = Self {
            socket,
            last_read: last_read.clone(),
        };
        (stamped, last_read)
    }
}

/// Receives once; returns `None` where no bytes are available. A read that does not fill the buffer has emptied the
/// socket: the runtime is told so, which saves the call that would find out.
fn receive(socket: &TcpStream, into: &mut ReadBuf<'_>) -> io::Result<Option<Received>> {
    let room = into.remaining();
    let mut received = None;
    let tried = socket.try_io(Interest::READABLE, || {
        let piece = received.insert(arrival::receive(socket, into)?);
        match piece.bytes > 0 && piece.bytes < room {
            true => Err(ErrorKind::WouldBlock.into()),
            false => Ok(()),
        }
    });
    match (received, tried) {
        (Some(received), _) => Ok(Some(received)),
        (None, Err(error)) if error.kind() != ErrorKind::WouldBlock => Err(error),
        (None, _) => Ok(None),
    }
}

impl AsyncRead for Stamped {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.socket.poll_read_ready(context))?;
            match receive(&self.socket, into) {
                Ok(None) => {}
                Ok(Some(received)) => {
                    if received.bytes > 0 {
                        self.last_read.set(Monotonic::now(), received.lag);
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Stamped {
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
