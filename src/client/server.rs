//! Sends requests to a server, retries them and classifies failures.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, RequestBuilder, Response, StatusCode};

use super::{Address, ClientError, Credential, Problem, retries::Retries};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::quoted;

/// Timeout for a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum silence of a response. An event stream sends a comment every 15 s, and a slow database needs less.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum number of characters quoted from an unexpected response.
const EXCERPT_CHARS: usize = 200;

/// Callback for messages about failures that are retried.
type Notice = Box<dyn Fn(&str) + Send + Sync>;

/// Configuration of the client.
pub struct Setup {
    pub address: Address,
    pub credential: Option<Credential>,
    /// PEM of the certificate authorities to trust instead of the system's.
    pub authorities: Option<Vec<u8>>,
    /// How long to retry while the server is unavailable or busy; zero does not retry.
    pub retry: Duration,
    pub notice: Notice,
}

/// Client of one server. Retries a request while it may still succeed; a submission has an idempotency key.
pub struct Server {
    pub(super) http: reqwest::Client,
    pub(super) address: Address,
    retry: Duration,
    notice: Notice,
    /// Whether the server has responded before; only then an unreachable server is retried.
    has_responded: AtomicBool,
}

impl Server {
    /// Creates a client; sends nothing.
    ///
    /// # Errors
    /// Returns [`ClientError::Setup`] for authorities that cannot be read.
    pub fn new(setup: Setup) -> Result<Self, ClientError> {
        let mut headers = HeaderMap::new();
        headers.extend(setup.credential.map(|credential| (AUTHORIZATION, credential.header())));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("joulemark/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            // A redirected POST would become a GET, and the key must go only to the address that the user gave.
            .redirect(reqwest::redirect::Policy::none());
        if setup.address.is_loopback() {
            builder = builder.no_proxy();
        }
        let unusable = |error: reqwest::Error| ClientError::Setup(format!("the certificates cannot be used: {error}"));
        if let Some(pem) = setup.authorities {
            let certificates = Certificate::from_pem_bundle(&pem).map_err(unusable)?;
            if certificates.is_empty() {
                return Err(ClientError::Setup(
                    "the file given by --cacert contains no PEM certificate".to_owned(),
                ));
            }
            builder = builder.tls_certs_only(certificates);
        } else if !setup.address.is_encrypted() {
            // Reading the system's authorities takes longer than many requests.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self {
            http: builder.build().map_err(unusable)?,
            address: setup.address,
            retry: setup.retry,
            notice: setup.notice,
            has_responded: AtomicBool::new(false),
        })
    }

    /// Returns the address of the server.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the retry state for a new request.
    pub(super) fn retries(&self) -> Retries {
        Retries::new(self.retry)
    }

    /// Sends a request, with retries; returns a successful response whose body is not read yet.
    pub(super) async fn open(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, ClientError> {
        let mut retries = self.retries();
        loop {
            match self.open_once(request()).await {
                Ok(response) => return Ok(response),
                Err(error) => self.pause_after(error, &mut retries).await?,
            }
        }
    }

    /// Sends a request and reads the body, with retries, also when the body is truncated.
    pub(super) async fn fetch(&self, request: impl Fn() -> RequestBuilder) -> Result<Vec<u8>, ClientError> {
        let mut retries = self.retries();
        loop {
            let body = async {
                let response = self.open_once(request()).await?;
                let body = response.bytes().await;
                body.map_err(|error| self.without_answer(&error))
            };
            match body.await {
                Ok(body) => return Ok(body.into()),
                Err(error) => self.pause_after(error, &mut retries).await?,
            }
        }
    }

    /// Pauses before the next retry; returns the error when it must not be retried.
    pub(super) async fn pause_after(&self, error: ClientError, retries: &mut Retries) -> Result<(), ClientError> {
        let never_responded =
            matches!(error, ClientError::Unreachable { .. }) && !self.has_responded.load(Ordering::Relaxed);
        if !error.is_transient() || never_responded {
            return Err(error);
        }
        let Some(pause) = retries.pause(Monotonic::now(), error.retry_after(), rand::random()) else {
            return Err(error);
        };
        (self.notice)(&format!("{error}; retrying in {:.1} s", pause.as_secs_f64()));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Sends a request once; returns a successful response, or the error.
    pub(super) async fn open_once(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.without_answer(&error))?;
        self.has_responded.store(true, Ordering::Relaxed);
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    /// Creates the error of a request that got no response.
    pub(super) fn without_answer(&self, error: &reqwest::Error) -> ClientError {
        ClientError::without_answer(&self.address.to_string(), error)
    }

    async fn refusal(&self, response: Response) -> ClientError {
        let (status, headers) = (response.status(), response.headers().clone());
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if status.is_redirection() {
            let to = header(LOCATION).unwrap_or("an unknown location");
            let what = format!("it responds {status} and redirects to {to}; should --server be that address?");
            return ClientError::Foreign {
                server: self.address.to_string(),
                what,
            };
        }
        let is_problem = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/problem+json"));
        let text = response.text().await.unwrap_or_default();
        let problem = serde_json::from_str::<Problem>(&text).ok().filter(|_| is_problem);
        let mut problem = problem.unwrap_or_else(|| foreign_problem(status, &text));
        problem.retry_after_sec = problem
            .retry_after_sec
            .or(header(RETRY_AFTER).and_then(|sec| sec.parse().ok()));
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT
        {
            ClientError::Unavailable(problem.into())
        } else {
            ClientError::Refused(problem.into())
        }
    }
}

/// Creates the problem for an error response of a proxy or another program.
fn foreign_problem(status: StatusCode, text: &str) -> Problem {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let excerpt: String = words.chars().take(EXCERPT_CHARS).collect();
    Problem {
        title: status.to_string(),
        status: status.as_u16(),
        detail: format!(
            "the response is {status} and not from joulemark: is a proxy in between, or a path prefix missing in --server? \
             It says: {excerpt}",
            excerpt = quoted(&excerpt)
        ),
        ..Problem::default()
    }
}
