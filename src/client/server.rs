use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, RequestBuilder, Response, StatusCode};

use super::{Address, ClientError, Credential, Problem, patience::Patience};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::quoted;

/// A connection that is made takes a fraction of a second, or does not come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than a stream is ever silent (a comment comes every 15 s), and than a database may take for an answer.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// Of a strange answer, in a message.
const EXCERPT_CHARS: usize = 200;

/// Who hears of what goes wrong and is tried again.
type Notice = Box<dyn Fn(&str) + Send + Sync>;

pub struct Setup {
    pub address: Address,
    pub credential: Option<Credential>,
    /// PEM of the authorities to trust in place of the system's.
    pub authorities: Option<Vec<u8>>,
    /// How long to go on when the server is away or busy; none: give up at once.
    pub retry: Duration,
    pub notice: Notice,
}

/// A server to ask. Every request is tried again while that can help; a submission carries a key that keeps it single.
pub struct Server {
    pub(super) http: reqwest::Client,
    pub(super) address: Address,
    retry: Duration,
    notice: Notice,
    /// It has answered: from now on its absence is taken for a passing one.
    was_there: AtomicBool,
}

impl Server {
    /// # Errors
    /// [`ClientError::Setup`] for authorities that cannot be read; nothing is sent yet.
    pub fn new(setup: Setup) -> Result<Self, ClientError> {
        let mut headers = HeaderMap::new();
        headers.extend(setup.credential.map(|credential| (AUTHORIZATION, credential.header())));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("joulemark/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            // A redirected POST would arrive as a GET; and a key goes where its owner said.
            .redirect(reqwest::redirect::Policy::none());
        if setup.address.is_loopback() {
            builder = builder.no_proxy();
        }
        let unusable = |error: reqwest::Error| ClientError::Setup(format!("the certificates cannot be used: {error}"));
        if let Some(pem) = setup.authorities {
            let certificates = Certificate::from_pem_bundle(&pem).map_err(unusable)?;
            if certificates.is_empty() {
                return Err(ClientError::Setup("there is no PEM certificate in it".to_owned()));
            }
            builder = builder.tls_certs_only(certificates);
        } else if !setup.address.is_encrypted() {
            // Reading the system's authorities takes longer than many a request.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self {
            http: builder.build().map_err(unusable)?,
            address: setup.address,
            retry: setup.retry,
            notice: setup.notice,
            was_there: AtomicBool::new(false),
        })
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.retry)
    }

    /// A good answer, its body not read yet.
    pub(super) async fn open(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, ClientError> {
        let mut patience = self.patience();
        loop {
            match self.open_once(request()).await {
                Ok(response) => return Ok(response),
                Err(error) => self.pause_after(error, &mut patience).await?,
            }
        }
    }

    /// A good answer's body: one that breaks off is asked for again.
    pub(super) async fn fetch(&self, request: impl Fn() -> RequestBuilder) -> Result<Vec<u8>, ClientError> {
        let mut patience = self.patience();
        loop {
            let body = async {
                let response = self.open_once(request()).await?;
                let body = response.bytes().await;
                body.map_err(|error| self.without_answer(&error))
            };
            match body.await {
                Ok(body) => return Ok(body.into()),
                Err(error) => self.pause_after(error, &mut patience).await?,
            }
        }
    }

    /// Pauses before the next try, or gives the error back when there should be none.
    pub(super) async fn pause_after(&self, error: ClientError, patience: &mut Patience) -> Result<(), ClientError> {
        let never_there = matches!(error, ClientError::Unreachable { .. }) && !self.was_there.load(Ordering::Relaxed);
        if !error.is_passing() || never_there {
            return Err(error);
        }
        let Some(pause) = patience.pause(Monotonic::now(), error.retry_after(), rand::random()) else {
            return Err(error);
        };
        (self.notice)(&format!("{error}; trying again in {:.1} s", pause.as_secs_f64()));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    pub(super) async fn open_once(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.without_answer(&error))?;
        self.was_there.store(true, Ordering::Relaxed);
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    pub(super) fn without_answer(&self, error: &reqwest::Error) -> ClientError {
        ClientError::without_answer(&self.address.to_string(), error)
    }

    async fn refusal(&self, response: Response) -> ClientError {
        let (status, headers) = (response.status(), response.headers().clone());
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if status.is_redirection() {
            let to = header(LOCATION).unwrap_or("nowhere");
            let what = format!("it answers {status} and points to {to}; is that the address for --server?");
            return ClientError::Foreign {
                server: self.address.to_string(),
                what,
            };
        }
        let is_problem = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/problem+json"));
        let text = response.text().await.unwrap_or_default();
        let problem = serde_json::from_str::<Problem>(&text).ok().filter(|_| is_problem);
        let mut problem = problem.unwrap_or_else(|| not_ours(status, &text));
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

/// An error that a proxy made up, or another program.
fn not_ours(status: StatusCode, text: &str) -> Problem {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let excerpt: String = words.chars().take(EXCERPT_CHARS).collect();
    Problem {
        title: status.to_string(),
        status: status.as_u16(),
        detail: format!(
            "the answer is {status} and not joulemark's own: is a proxy in between, or a prefix path missing in --server? \
             It says: {excerpt}",
            excerpt = quoted(&excerpt)
        ),
        ..Problem::default()
    }
}
