//! Who is refused before their body was read finds the connection closed: what is left of the body stands in the way of
//! the next request. That has to be said in the answer, or a proxy sends another client's request on it, which is lost.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderValue, header},
    response::Response,
};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tower::ServiceExt as _;

/// A request's body that says whether it was read to its end.
struct Watched {
    body: Incoming,
    is_read: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
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

/// The router's answer, with `Connection: close` where the body was not read.
pub async fn answer(router: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    let is_read = Arc::new(AtomicBool::new(request.body().is_end_stream()));
    let watching = is_read.clone();
    let request = request.map(|body| {
        Body::new(Watched {
            body,
            is_read: watching,
        })
    });
    let mut response = router.oneshot(request).await?;
    if !is_read.load(Ordering::Relaxed) {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}
