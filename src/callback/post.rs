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

/// Said of every try that no answer came of, for whatever reason: anything more would tell a submitter which names and
/// ports of the network exist.
const NO_ANSWER: &str = "no connection or no answer, or the host may not be called any more (callback_allow); the server's \
                         log says which";
const DELIVERY: &str = "x-joulemark-delivery";
const ATTEMPT: &str = "x-joulemark-attempt";
const SIGNATURE: &str = "x-joulemark-signature";

/// One try at telling somebody.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub url: String,
    /// The same in every try.
    pub id: Uuid,
    /// From 1.
    pub attempt: u32,
    /// JSON, the same in every try.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status; null when there was none.
    pub status: Option<u16>,
    /// Null when it was taken.
    pub error: Option<String>,
    /// Why no answer came; null when one did. For the log alone.
    pub reason: Option<String>,
    /// The receiver wants no more of it.
    pub is_gone: bool,
}

/// Calls back whom it may, and signs.
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
    /// Makes a caller. `timeout` is for a whole try, until the answer's head is there; its body is not read.
    pub fn new(allowed: Allowed, secret: &[u8], timeout: Duration) -> Self {
        Self {
            allowed,
            secret: secret.into(),
            timeout,
        }
    }

    /// Tries once. A try that no answer comes of takes the whole time however soon it failed, and always says the same.
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

    /// Looks the host up anew, connects to no address but those that it has just allowed, and returns the answer's status.
    ///
    /// # Errors
    /// Why there is no answer, in words for the log.
    async fn ask(&self, delivery: &Delivery, now: Timestamp) -> Result<StatusCode, String> {
        let admitted = self.allowed.admit(&delivery.url).await;
        let (url, addresses) = admitted.map_err(|refusal| format!("the URL {refusal}"))?;
        let client = client(addresses).map_err(|error| format!("no HTTP client can be made: {error}"))?;
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
        status if status.is_redirection() => Some(format!("it redirects ({status}), which is not followed")),
        status => Some(format!("it answers {status}")),
    };
    Answer {
        status: Some(status.as_u16()),
        error,
        reason: None,
        is_gone: status == StatusCode::GONE,
    }
}

/// Without the URL, which may hold a secret of its own.
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

/// For one call: no proxy of the environment, no redirect, no name looked up a second time.
fn client(addresses: Vec<IpAddr>) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(concat!("joulemark/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(Checked(addresses)))
        .pool_max_idle_per_host(0)
        .build()
}

/// Knows no addresses but those that were checked.
struct Checked(Vec<IpAddr>);

impl Resolve for Checked {
    fn resolve(&self, _: Name) -> Resolving {
        // Port 0 stands for the URL's own.
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

    /// Answers one connection with `answer`, and tells what it got.
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
    async fn a_call_goes_to_the_address_that_was_checked_and_says_who_it_is() {
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
    async fn a_name_that_points_elsewhere_by_now_is_not_called() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Public when it was submitted, this host when it is called.
        let poster = poster(&[], &[&["1.1.1.1"], &["127.0.0.1"]]);
        poster.allowed.admit(&delivery(port).url).await.unwrap();
        let answer = post(&poster, port).await;
        assert!(answer.status.is_none() && answer.error.unwrap().contains("callback_allow"));
        let connected = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
        assert!(connected.is_err(), "it was called");
    }

    #[tokio::test]
    async fn what_is_no_success_is_a_failure_with_its_reason() {
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
    async fn a_try_without_an_answer_says_the_same_and_takes_as_long_whatever_the_reason() {
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
