use std::pin::pin;
use std::task::Poll;

/// Waits for requests that begin together: all are sent before `held` is dropped and the engine continues.
pub async fn begin_together<F: Future>(held: impl Send, requests: F) -> F::Output {
    let mut requests = pin!(requests);
    let sent = futures::poll!(requests.as_mut());
    drop(held);
    match sent {
        Poll::Ready(ended) => ended,
        Poll::Pending => requests.await,
    }
}
