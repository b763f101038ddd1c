use std::fmt;
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
use tokio::task::JoinHandle;

use crate::answer::{Answer, Reading};
use crate::chunk;
use crate::connection::{LastRead, Stamped};
use crate::endpoint::Endpoint;
use crate::failure::{Failure, FailureReason};
use crate::request::Request;

/// The most of an answer that is no stream of tokens: a list of models, a refusal, a page of metrics.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// A key for a server. It is never printed.
#[derive(Clone)]
pub struct Secret(HeaderValue);

impl Secret {
    /// Returns the key as `Authorization: Bearer` says it, or `None` where a header cannot hold it.
    pub fn bearer(key: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// Returns a key that is a header's value already.
    pub fn from_header(value: HeaderValue) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Sends requests to one server, each on a connection of its own: none is met that the server has just closed, so that
/// nothing is sent twice. Follows no redirect, uses no proxy and obeys no proxy variable.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    key: Option<Secret>,
}

/// An open connection, closed when it is dropped.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    last_read: LastRead,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    pub fn new(endpoint: Endpoint, key: Option<Secret>) -> Self {
        Self { endpoint, key }
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request and reads its answer. `progress` is told the tokens so far whenever some came.
    ///
    /// # Errors
    /// [`Failure`], also where the answer is not complete within `timeout`. Nothing is sent again.
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

    /// Reads a page such as `/v1/models`: its status, its headers and its text.
    ///
    /// # Errors
    /// [`Failure`], where there is no whole page within `timeout`.
    pub async fn page(&self, path: &str, timeout: Duration) -> Result<(StatusCode, HeaderMap, String), Failure> {
        let read = async {
            let mut connection = self.connect().await?;
            let response = self.send(&mut connection, Method::GET, path, Bytes::new()).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let text = page_text(response).await?;
            Ok((status, headers, text))
        };
        let read = tokio::time::timeout(timeout, read).await;
        read.unwrap_or(Err(Failure {
            reason: FailureReason::TimedOut,
            detail: Some(format!("{path} within {} s", timeout.as_secs())),
        }))
    }

    async fn ask_without_end(&self, request: &Request, mut progress: impl FnMut(u32)) -> Result<Answer, Failure> {
        let body = Bytes::from(request.body());
        let mut connection = self.connect().await?;
        let sent_at = Monotonic::now();
        let sent = self.send(&mut connection, Method::POST, request.prompt.path(), body);
        let response = sent.await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_streamed = kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"));
        let has_end = has_own_end(&response);
        let mut reading = Reading::new(sent_at, is_streamed);
        let mut body = response.into_body();
        let mut told = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return reading.finish(false) };
            let Ok(bytes) = frame.into_data() else { continue };
            reading.feed(&bytes, connection.last_read.get())?;
            if reading.is_done() {
                return reading.finish(true);
            }
            let tokens = reading.tokens_so_far();
            if tokens > told {
                told = tokens;
                progress(tokens);
            }
        }
        reading.finish(has_end)
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let failed = |detail: String| Failure::new(FailureReason::NotConnected, detail);
        let (host, port) = (self.endpoint.host(), self.endpoint.port());
        let socket = TcpStream::connect((host, port)).await.map_err(|error| failed(error.to_string()))?;
        // A request is one write: nothing is gained by waiting for more.
        socket.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
        let (stamped, last_read) = Stamped::new(socket);
        let shaken = http1::handshake(TokioIo::new(stamped)).await;
        let (sender, driver) = shaken.map_err(|error| failed(error.to_string()))?;
        let driver = tokio::spawn(async move {
            // What ends a connection early is met by who reads from it.
            let _ = driver.await;
        });
        Ok(Connection {
            sender,
            last_read,
            driver,
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
        *request.uri_mut() = target.map_err(|_| Failure::new(FailureReason::NotConnected, "the path is no target"))?;
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(self.endpoint.authority());
        headers.insert(HOST, host.map_err(|_| Failure::new(FailureReason::NotConnected, "the host is no name"))?);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
        }
        if let Some(Secret(value)) = &self.key {
            headers.insert(AUTHORIZATION, value.clone());
        }
        *request.method_mut() = method;
        let sent = connection.sender.send_request(request).await;
        sent.map_err(|error| Failure::new(FailureReason::EndedEarly, error.to_string()))
    }
}

/// Tells whether an answer says where it ends, so that its end is not mistaken for a connection that broke.
fn has_own_end(response: &Response<Incoming>) -> bool {
    let is_chunked = response.version() == Version::HTTP_11 && response.headers().contains_key("transfer-encoding");
    is_chunked || response.body().size_hint().exact().is_some()
}

async fn refusal(response: Response<Incoming>) -> Failure {
    let status = response.status();
    let reason = match status {
        StatusCode::TOO_MANY_REQUESTS => FailureReason::TooManyRequests,
        StatusCode::SERVICE_UNAVAILABLE => FailureReason::Unavailable,
        _ => FailureReason::Status,
    };
    let text = page_text(response).await.unwrap_or_default();
    let words = serde_json::from_str::<serde_json::Value>(&text).map_or(text, |body| {
        chunk::error_text(body.get("error").filter(|error| !error.is_null()).unwrap_or(&body))
    });
    Failure::new(reason, format!("{} {}", status.as_u16(), shortened(&words)).trim_end())
}

/// Returns the beginning of what a server says, on one line.
fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 500;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(MAX_CHARS).collect()
}

async fn page_text(response: Response<Incoming>) -> Result<String, Failure> {
    let body = Limited::new(response.into_body(), MAX_PAGE_BYTES).collect().await;
    let body = body.map_err(|error| Failure::new(FailureReason::EndedEarly, error.to_string()))?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}
