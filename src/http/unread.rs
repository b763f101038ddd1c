//! Detects requests that are answered before their body was read. Such a connection cannot be reused, since the rest of
//! the body is in the way. The answer says so by `Connection: close`: a proxy would otherwise send another client's
//! request on it, which would be lost. `lingering` then lets the client send the rest, since a proxy treats a failed
//! write as a failed request.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{
    BoxError, Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderValue, header},
    response::Response,
};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tower::ServiceExt as _;

use super::lingering::LingerFlag;
use super::paced::PacedBody;

/// A request's body that records whether it was read to its end.
struct Watched {
    body: PacedBody<Incoming>,
    is_read: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.is_read.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns the router's answer to a request whose body may pause for `longest_pause`. If the body was not read, the
/// answer has `Connection: close` and the flag is set.
pub async fn answer(
    router: Router,
    request: Request<Incoming>,
    longest_pause: Duration,
    linger: LingerFlag,
) -> Result<Response, Infallible> {
    let is_read = Arc::new(AtomicBool::new(request.body().is_end_stream()));
    let watching = is_read.clone();
    let request = request.map(|body| {
        Body::new(Watched {
            body: PacedBody::new(body, longest_pause),
            is_read: watching,
        })
    });
    let mut response = router.oneshot(request).await?;
    if !is_read.load(Ordering::Relaxed) {
        linger.raise();
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}
