//! Accepts connections and enforces the limits that apply before a request is parsed: on connections, headers and time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, extract::Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use super::access::{Access, Peer, of_address};
use super::lingering::Lingering;
use super::listener::{Listener, Stream};
use super::paced::PacedWrites;
use super::problem::Problem;
use super::unread::answer;
use joulemark_store::{NoneLeft, Share, Shares};

/// Room for the request line, and for requests slightly above the limits, which are answered with an error instead of a
/// closed connection.
const SPARE_HEADER_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 128;
/// Pause after an error that the end of another connection can resolve, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Serves until `stopping` is cancelled, then completes the requests under way and returns.
pub async fn serve(listener: Listener, router: Router, access: Arc<Access>, stopping: CancellationToken) {
    let limits = &access.limits;
    let shares = Shares::new(limits.max_connections, access.share_percent());
    let pace = Pace {
        request: Duration::from_secs(u64::from(limits.body_timeout_sec)),
        answer: Duration::from_secs(u64::from(limits.answer_timeout_sec)),
    };
    let permits = Arc::new(Semaphore::new(limits.max_connections as usize));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(u64::from(limits.header_timeout_sec)))
        .max_header_size(limits.max_header_bytes + limits.max_uri_bytes + SPARE_HEADER_BYTES)
        .max_headers(MAX_HEADERS);
    loop {
        // Further clients wait in the kernel's queue.
        let next = async {
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let share = match hold_for_address(&shares, &access, peer) {
                    Ok(share) => share,
                    Err(NoneLeft::OfCaller(count) | NoneLeft::OfAll(count)) => {
                        tokio::spawn(refuse(stream, Problem::too_many_connections(count)));
                        continue;
                    }
                };
                let connection = handle(http.clone(), (stream, peer), pace, router.clone(), stopping.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(share);
                    drop(permit);
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
    // All permits are available again once every connection has ended.
    let _ = permits.acquire_many(limits.max_connections).await;
}

/// Maximum pauses of a connection while a request is received and while an answer is sent.
#[derive(Clone, Copy)]
struct Pace {
    request: Duration,
    answer: Duration,
}

/// Takes one of the connections that an address may have; `None` for a trusted proxy, which connects for many clients.
fn hold_for_address(shares: &Shares, access: &Access, peer: Peer) -> Result<Option<Share>, NoneLeft> {
    match access.trusted_proxies.has(peer) {
        true => Ok(None),
        false => shares.try_hold(&of_address(peer.address()), 1).map(Some),
    }
}

/// Answers a refused connection with the problem, if the client reads it within [`REFUSAL_TIME`].
async fn refuse(mut stream: Stream, problem: Problem) {
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/problem+json\r\nRetry-After: {}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        problem.retry_after_sec.unwrap_or_default(),
        body.len()
    );
    let _ = tokio::time::timeout(REFUSAL_TIME, stream.write_all(answer.as_bytes())).await;
}

/// Serves one connection until it ends, or until the requests under way are complete after `stopping`.
async fn handle(
    http: http1::Builder,
    (stream, peer): (Stream, Peer),
    pace: Pace,
    router: Router,
    stopping: CancellationToken,
) {
    // An unread body gets the same timeout as one that is read.
    let stream = Lingering::new(PacedWrites::new(stream, pace.answer), pace.request);
    let linger = stream.flag();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        answer(router.clone(), request, pace.request, linger.clone())
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

/// Returns whether an error concerns only one connection, so that accepting can go on.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
