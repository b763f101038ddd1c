use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use joulemark_measurement::clock::Monotonic;
use tokio::net::TcpStream;

use crate::answer::{Answer, End, Reading};
use crate::chunk;
use crate::connection::{LastRead, Stamped};
use crate::endpoint::Endpoint;
use crate::failure::{Failure, FailureReason};
use crate::request::Request;

/// Maximum size of a page other than a stream of tokens, in bytes: a list of models, an error, metrics.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// A key for a server. Its debug output does not contain it.
#[derive(Clone)]
pub struct Secret(HeaderValue);

impl Secret {
    /// Creates a key for the header `Authorization: Bearer`; returns `None` where a header cannot contain it.
    pub fn bearer(key: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// Creates a key from the complete value of the header.
    pub fn from_header(value: HeaderValue) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// A client of one server. Each request uses a new connection, so that no request meets a connection that the server
/// has just closed and none is sent twice. The client follows no redirects and ignores proxy settings of the
/// environment.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    key: Option<Secret>,
}

/// The future that moves bytes between a connection's socket and hyper's requests and answers.
type Driver = Pin<Box<http1::Connection<TokioIo<Stamped>, Full<Bytes>>>>;

/// An open connection, closed when it is dropped.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    last_read: LastRead,
    /// `None` after the connection has ended.
    driver: Option<Driver>,
}

/// Waits for `wanted` and drives the connection in the same task: no further bytes are read between a piece and the
/// reading of its time, and no other task has to be woken.
async fn drive<T>(driver: &mut Option<Driver>, wanted: impl Future<Output = T>) -> T {
    let mut wanted = pin!(wanted);
    poll_fn(|context| {
        if let Poll::Ready(output) = wanted.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        // The reader of the connection sees the error that ended it.
        let has_ended = driver
            .as_mut()
            .is_some_and(|driver| driver.as_mut().poll(context).is_ready());
        if has_ended {
            *driver = None;
        }
        wanted.as_mut().poll(context)
    })
    .await
}

impl Client {
    /// Creates a client that sends `key` with each request.
    pub fn new(endpoint: Endpoint, key: Option<Secret>) -> Self {
        Self { endpoint, key }
    }

    /// Returns the address of the server.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request and reads its answer. Calls `progress` with the number of tokens so far whenever there are new
    /// ones.
    ///
    /// # Errors
    /// Returns a [`Failure`], also where the answer is incomplete after `timeout`. Nothing is retried.
    pub async fn ask(
        &self,
        request: &Request,
        timeout: Duration,
        progress: impl FnMut(u32),
    ) -> Result<Answer, Failure> {
        let asked = tokio::time::timeout(timeout, self.ask_without_end(request, progress)).await;
        asked.unwrap_or(Err(Failure {
            reason: FailureReason::TimedOut,
            detail: None,
        }))
    }

    /// Reads a page such as `/v1/models` and returns its status, headers and text.
    ///
    /// # Errors
    /// Returns a [`Failure`], also where the page is incomplete after `timeout`.
    pub async fn page(&self, path: &str, timeout: Duration) -> Result<(StatusCode, HeaderMap, String), Failure> {
        self.whole(Method::GET, path, Bytes::new(), timeout).await
    }

    /// Posts JSON to a path such as `/tokenize` and returns the status, headers and text of the answer.
    ///
    /// # Errors
    /// Returns a [`Failure`], also where the page is incomplete after `timeout`.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
        timeout: Duration,
    ) -> Result<(StatusCode, HeaderMap, String), Failure> {
        self.whole(Method::POST, path, Bytes::from(body.to_string()), timeout)
            .await
    }

    async fn whole(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(StatusCode, HeaderMap, String), Failure> {
        let read = async {
            let mut connection = self.connect().await?;
            let response = self.send(&mut connection, method, path, body).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let text = page_text(&mut connection, response).await?;
            Ok((status, headers, text))
        };
        let read = tokio::time::timeout(timeout, read).await;
        read.unwrap_or(Err(Failure {
            reason: FailureReason::TimedOut,
            detail: Some(format!("{path} within {} s", timeout.as_secs_f64())),
        }))
    }

    async fn ask_without_end(&self, request: &Request, mut progress: impl FnMut(u32)) -> Result<Answer, Failure> {
        let body = Bytes::from(request.body());
        let mut connection = self.connect().await?;
        let sent_at = Monotonic::now();
        let sent = self.send(&mut connection, Method::POST, request.prompt.path(), body);
        let response = sent.await?;
        if !response.status().is_success() {
            return Err(refusal(&mut connection, response).await);
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_streamed = kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"));
        let end = own_end(&response);
        let mut reading = Reading::new(sent_at, is_streamed);
        let mut body = response.into_body();
        let mut reported = 0;
        while let Some(frame) = drive(&mut connection.driver, body.frame()).await {
            let Ok(frame) = frame else {
                return reading.finish(End::Broken);
            };
            let Ok(bytes) = frame.into_data() else { continue };
            reading.feed(&bytes, connection.last_read.get())?;
            if reading.is_done() {
                return reading.finish(End::Told);
            }
            let tokens = reading.tokens_so_far();
            if tokens > reported {
                reported = tokens;
                progress(tokens);
            }
        }
        reading.finish(end)
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let failed = |detail: String| Failure::new(FailureReason::NotConnected, detail);
        let (host, port) = (self.endpoint.host(), self.endpoint.port());
        let socket = TcpStream::connect((host, port))
            .await
            .map_err(|error| failed(error.to_string()))?;
        // A request is a single write, so that Nagle's algorithm would only delay it.
        socket.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
        let (stamped, last_read) = Stamped::new(socket);
        let handshake = http1::handshake(TokioIo::new(stamped)).await;
        let (sender, driver) = handshake.map_err(|error| failed(error.to_string()))?;
        Ok(Connection {
            sender,
            last_read,
            driver: Some(Box::pin(driver)),
        })
    }

    async fn send(
        &self,
        connection: &mut Connection,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = hyper::Request::new(Full::new(body));
        let target = self.endpoint.target(path).parse();
        *request.uri_mut() =
            target.map_err(|_| Failure::new(FailureReason::NotConnected, "the path is not a request target"))?;
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(self.endpoint.authority());
        headers.insert(
            HOST,
            host.map_err(|_| Failure::new(FailureReason::NotConnected, "the host cannot be sent in a header"))?,
        );
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
        }
        if let Some(Secret(value)) = &self.key {
            headers.insert(AUTHORIZATION, value.clone());
        }
        *request.method_mut() = method;
        let sent = connection.sender.send_request(request);
        let sent = drive(&mut connection.driver, sent).await;
        sent.map_err(|error| Failure::new(FailureReason::EndedEarly, error.to_string()))
    }
}

/// Returns what the end of an answer's bytes means: without an announced end, the rest may be missing.
fn own_end(response: &Response<Incoming>) -> End {
    let is_chunked = response.version() == Version::HTTP_11 && response.headers().contains_key("transfer-encoding");
    match is_chunked || response.body().size_hint().exact().is_some() {
        true => End::Told,
        false => End::Closed,
    }
}

async fn refusal(connection: &mut Connection, response: Response<Incoming>) -> Failure {
    let status = response.status();
    let reason = match status {
        StatusCode::TOO_MANY_REQUESTS => FailureReason::TooManyRequests,
        StatusCode::SERVICE_UNAVAILABLE => FailureReason::Unavailable,
        _ => FailureReason::Status,
    };
    let text = page_text(connection, response).await.unwrap_or_default();
    Failure::new(reason, status_text(status, &text))
}

/// Returns the status and the error text of its page, on one line.
pub(crate) fn status_text(status: StatusCode, page: &str) -> String {
    const MAX_CHARS: usize = 500;
    let words = serde_json::from_str::<serde_json::Value>(page).map_or_else(
        |_| page.to_owned(),
        |body| chunk::error_text(body.get("error").filter(|error| !error.is_null()).unwrap_or(&body)),
    );
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().take(MAX_CHARS).collect();
    format!("{} {words}", status.as_u16()).trim_end().to_owned()
}

async fn page_text(connection: &mut Connection, response: Response<Incoming>) -> Result<String, Failure> {
    let body = Limited::new(response.into_body(), MAX_PAGE_BYTES).collect();
    let body = drive(&mut connection.driver, body).await;
    let body = body.map_err(|error| Failure::new(FailureReason::EndedEarly, error.to_string()))?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}
