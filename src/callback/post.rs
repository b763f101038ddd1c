//! Makes one try of a callback. Leaves retries to the scheduler.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, StatusCode, header, redirect};
use tokio::time::Instant;
use uuid::Uuid;

use super::allow::Allowed;
use super::signature::signature;

/// Error for every try without an answer, whatever the reason: details would tell a submitter which names and ports
/// exist in the network.
const NO_ANSWER: &str = "no connection or no answer, or the host may no longer be called (callback_allow); see the \
                         server's log";
const DELIVERY: &str = "x-joulemark-delivery";
const ATTEMPT: &str = "x-joulemark-attempt";
const SIGNATURE: &str = "x-joulemark-signature";

/// One try of a callback.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub url: String,
    /// Id of the callback, the same in every try.
    pub id: Uuid,
    /// Number of the try, from 1.
    pub attempt: u32,
    /// JSON, the same in every try.
    pub body: Vec<u8>,
}

/// Outcome of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status; `None` when no answer came.
    pub status: Option<u16>,
    /// Error for the submitter; `None` when the call succeeded.
    pub error: Option<String>,
    /// Reason why no answer came, for the log only; `None` when one came.
    pub reason: Option<String>,
    /// Whether the receiver answered 410 Gone and must not be called again.
    pub is_gone: bool,
}

/// HTTP client for callbacks, which checks each URL and signs each body.
#[derive(Clone)]
pub struct Poster {
    pub allowed: Allowed,
    secret: Arc<[u8]>,
    timeout: Duration,
}

impl std::fmt::Debug for Poster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Poster")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

impl Poster {
    /// Creates a client. `timeout` limits a whole try up to the head of the answer, whose body is not read.
    pub fn new(allowed: Allowed, secret: &[u8], timeout: Duration) -> Self {
        Self {
            allowed,
            secret: secret.into(),
            timeout,
        }
    }

    /// Makes one try. A try without an answer always takes the whole timeout and returns the same error, so that
    /// neither reveals the reason.
    pub async fn post(&self, delivery: &Delivery, now: Timestamp) -> Answer {
        let ends_at = Instant::now() + self.timeout;
        let reason = match tokio::time::timeout_at(ends_at, self.ask(delivery, now)).await {
            Ok(Ok(status)) => return of_status(status),
            Ok(Err(reason)) => reason,
            Err(_) => format!("no answer within {} s", self.timeout.as_secs()),
        };
        tokio::time::sleep_until(ends_at).await;
        Answer {
            status: None,
            error: Some(NO_ANSWER.to_owned()),
            reason: Some(reason),
            is_gone: false,
        }
    }

    /// Resolves the host again, connects only to the addresses that were just checked, and returns the status of the
    /// answer.
    ///
    /// # Errors
    /// Returns the reason why no answer came, for the log.
    async fn ask(&self, delivery: &Delivery, now: Timestamp) -> Result<StatusCode, String> {
        let admitted = self.allowed.admit(&delivery.url).await;
        let (url, addresses) = admitted.map_err(|refusal| format!("the URL {refusal}"))?;
        let client = client(addresses).map_err(|error| format!("the HTTP client cannot be created: {error}"))?;
        let request = client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(DELIVERY, delivery.id.to_string())
            .header(ATTEMPT, delivery.attempt)
            .header(SIGNATURE, signature(&self.secret, now.as_second(), &delivery.body))
            .body(delivery.body.clone());
        let response = request.send().await.map_err(|error| reason(&error))?;
        Ok(response.status())
    }
}

fn of_status(status: StatusCode) -> Answer {
    let error = match status {
        status if status.is_success() => None,
        status if status.is_redirection() => Some(format!("it redirects ({status}), and redirects are not followed")),
        status => Some(format!("it answers {status}")),
    };
    Answer {
        status: Some(status.as_u16()),
        error,
        reason: None,
        is_gone: status == StatusCode::GONE,
    }
}

/// Returns the reason in words, without the URL, which may contain a secret.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let what = if error.is_connect() {
        "no connection"
    } else {
        "no answer"
    };
    format!("{what}: {innermost}")
}

/// Creates a client for one call, without proxies from the environment, redirects, or a second name resolution.
fn client(addresses: Vec<IpAddr>) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(concat!("joulemark/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(Checked(addresses)))
        .pool_max_idle_per_host(0)
        .build()
}

/// Resolver that returns only the checked addresses.
struct Checked(Vec<IpAddr>);

impl Resolve for Checked {
    fn resolve(&self, _: Name) -> Resolving {
        // With port 0 the port of the URL is used.
        let addresses: Vec<_> = self.0.iter().map(|address| SocketAddr::new(*address, 0)).collect();
        Box::pin(std::future::ready(Ok(Box::new(addresses.into_iter()) as Addrs)))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::allow::tests::{answering, entries};
    use super::*;

    /// Answers one connection with `answer`. Returns its port, and what it receives.
    async fn receiver(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = String::new();
            while !text.ends_with("{\"a\":1}") {
                let mut part = [0; 1024];
                let length = stream.read(&mut part).await.unwrap();
                text.push_str(std::str::from_utf8(&part[..length]).unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            text
        });
        (port, got)
    }

    /// Longer than a call to this host takes.
    const TIMEOUT: Duration = Duration::from_millis(1500);

    fn poster(networks: &[&str], answers: &[&[&str]]) -> Poster {
        let listed = entries(&[&["hooks.example:*"], networks].concat());
        let allowed = Allowed::with_lookup(listed, true, answering(answers));
        Poster::new(allowed, b"a secret of sixteen", TIMEOUT)
    }

    fn delivery(port: u16) -> Delivery {
        Delivery {
            url: format!("http://hooks.example:{port}/x?token=hidden"),
            id: Uuid::nil(),
            attempt: 2,
            body: b"{\"a\":1}".to_vec(),
        }
    }

    async fn post(poster: &Poster, port: u16) -> Answer {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        poster.post(&delivery(port), now).await
    }

    #[tokio::test]
    async fn a_call_goes_to_the_checked_address_with_headers_and_signature() {
        let (port, got) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
        let answer = post(&poster(&["127.0.0.0/8"], &[&["127.0.0.1"]]), port).await;
        let taken = Answer {
            status: Some(204),
            error: None,
            reason: None,
            is_gone: false,
        };
        assert_eq!(answer, taken);
        let got = got.await.unwrap();
        let expected = signature(b"a secret of sixteen", 1_700_000_000, b"{\"a\":1}");
        for part in [
            "POST /x?token=hidden HTTP/1.1\r\n".to_owned(),
            format!("host: hooks.example:{port}\r\n"),
            "x-joulemark-delivery: 00000000-0000-0000-0000-000000000000\r\n".to_owned(),
            "x-joulemark-attempt: 2\r\n".to_owned(),
            format!("x-joulemark-signature: {expected}\r\n"),
            "content-type: application/json\r\n".to_owned(),
            "user-agent: joulemark/".to_owned(),
        ] {
            assert!(
                got.to_ascii_lowercase().contains(&part.to_ascii_lowercase()),
                "{part} in {got}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_another_address_at_the_call_is_not_called() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // A public address at the submission, this host at the call.
        let poster = poster(&[], &[&["1.1.1.1"], &["127.0.0.1"]]);
        poster.allowed.admit(&delivery(port).url).await.unwrap();
        let answer = post(&poster, port).await;
        assert!(answer.status.is_none() && answer.error.unwrap().contains("callback_allow"));
        let connected = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
        assert!(connected.is_err(), "it was called");
    }

    #[tokio::test]
    async fn every_answer_but_success_is_a_failure_with_its_reason() {
        let poster = poster(&["127.0.0.0/8"], &[&["127.0.0.1"]]);
        for (answer, status, expected) in [
            (
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
                Some(302),
                "not followed",
            ),
            ("HTTP/1.1 500 Oops\r\n\r\n", Some(500), "answers 500"),
            ("HTTP/1.1 410 Gone\r\n\r\n", Some(410), "answers 410"),
            ("no HTTP at all\r\n\r\n", None, "no answer"),
        ] {
            let (port, got) = receiver(answer).await;
            let answer = post(&poster, port).await;
            got.await.unwrap();
            assert_eq!((answer.status, answer.is_gone), (status, status == Some(410)));
            let error = answer.error.unwrap();
            assert!(error.contains(expected) && !error.contains("hidden"), "{error}");
        }
        let refused = post(&poster, 1).await;
        assert!(refused.error.unwrap().contains("no connection"));
    }

    #[tokio::test]
    async fn a_try_without_an_answer_returns_the_same_error_after_the_same_time() {
        let (not_http, _got) = receiver("no HTTP at all\r\n\r\n").await;
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = poster(&["127.0.0.0/8"], &[&["127.0.0.1"]]);
        let (inside, unknown) = (poster(&[], &[&["10.0.0.1"]]), poster(&[], &[&[]]));
        let tries = [
            (&here, 1),
            (&here, not_http),
            (&here, silent.local_addr().unwrap().port()),
            (&inside, 443),
            (&unknown, 443),
        ];
        let start = Instant::now();
        let reasons = tries.map(|(poster, port)| async move {
            let answer = post(poster, port).await;
            assert!(start.elapsed() >= TIMEOUT, "{answer:?} after {:?}", start.elapsed());
            assert_eq!((answer.status, answer.error.as_deref()), (None, Some(NO_ANSWER)));
            answer.reason.expect("the log says why")
        });
        let reasons = futures::future::join_all(reasons).await;
        let different: std::collections::BTreeSet<_> = reasons.iter().collect();
        assert_eq!(different.len(), reasons.len(), "{reasons:?}");
    }
}
