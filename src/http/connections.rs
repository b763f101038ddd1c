//! Connections, each held to the limits on headers and time before a request is there that a route could refuse.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, extract::Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use super::access::Peer;
use super::lingering::Lingering;
use super::listener::{Listener, Stream};
use super::unread::answer;
use crate::config::Limits;

/// Room for the request line and for what is refused with an answer, not with a closed connection.
const SPARE_HEADER_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 128;
/// After an error that another connection's end can cure, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stopping`, then answers what is under way and returns.
pub async fn serve(listener: Listener, router: Router, limits: Limits, stopping: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.max_connections as usize));
    // As patient with a body that nobody reads as with one that is read.
    let linger_limit = Duration::from_secs(u64::from(limits.body_timeout_sec));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(u64::from(limits.header_timeout_sec)))
        .max_header_size(limits.max_header_bytes + limits.max_uri_bytes + SPARE_HEADER_BYTES)
        .max_headers(MAX_HEADERS);
    loop {
        // Who finds no place waits in the kernel's queue.
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let stream = Lingering::new(stream, linger_limit);
                let connection = handle(http.clone(), stream, peer, router.clone(), stopping.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "connections cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Every connection's end gives its place back.
    let _ = places.acquire_many(limits.max_connections).await;
}

async fn handle(
    http: http1::Builder,
    stream: Lingering<Stream>,
    peer: Peer,
    router: Router,
    stopping: CancellationToken,
) {
    let linger = stream.flag();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        answer(router.clone(), request, linger.clone())
    });
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended badly");
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
