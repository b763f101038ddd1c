//! Checks callback URLs against the admin's list, and the addresses of their hosts.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use thiserror::Error;
use tokio::net::lookup_host;

use super::address::is_public;
use super::entry::{Entry, ListedHost, plain};

const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

type Lookup = dyn Fn(String, u16) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync;

/// The admin's list of hosts that callbacks may go to.
#[derive(Clone)]
pub struct Allowed {
    /// Host names, whose addresses must be public or in a listed network, and networks, whose addresses may also occur
    /// in a URL.
    entries: Vec<Entry>,
    /// Whether URLs without TLS are allowed.
    pub http: bool,
    lookup: Arc<Lookup>,
}

impl std::fmt::Debug for Allowed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Allowed");
        shown
            .field("entries", &self.entries)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

/// Reason why a URL is not called.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("is not a complete URL; accepted is one with scheme and host, such as https://hooks.lab.example/joulemark")]
    NoUrl,
    #[error("has the scheme {0}; accepted is {1}")]
    Scheme(String, &'static str),
    #[error("has a user name or a password, which would be sent along; accepted is a URL without them")]
    Credentials,
    #[error("names a host or a port that is not on this server's list (callback_allow)")]
    NotListed,
    /// The name cannot be resolved. Known only at the call, and only logged.
    #[error("names a host that cannot be resolved")]
    Unknown,
    /// An address is not allowed. Known only at the call, and only logged.
    #[error("names a host with addresses that may not be called: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Inside(Vec<IpAddr>),
}

impl Allowed {
    /// Creates a list whose host names are resolved by the operating system.
    pub fn new(entries: Vec<Entry>, http: bool) -> Self {
        let lookup = |host: String, port: u16| {
            let found = async move { Ok(lookup_host((host, port)).await?.collect()) };
            Box::pin(found) as Pin<Box<dyn Future<Output = _> + Send>>
        };
        Self::with_lookup(entries, http, Arc::new(lookup))
    }

    /// Creates a list with the given resolver.
    pub(super) fn with_lookup(entries: Vec<Entry>, http: bool, lookup: Arc<Lookup>) -> Self {
        Self { entries, http, lookup }
    }

    /// Checks a URL against the list. Resolves no name, so that neither the answer nor its timing tells a submitter
    /// which names exist.
    ///
    /// # Errors
    /// Returns a [`Refusal`] when it is not a valid URL or is not on the list.
    pub fn accept(&self, text: &str) -> Result<Url, Refusal> {
        let url = self.read(text)?;
        let host = url.host_str().ok_or(Refusal::NotListed)?;
        let port = url.port_or_known_default().ok_or(Refusal::NotListed)?;
        let address = literal(host);
        let is_listed = self.entries.iter().any(|entry| {
            let is_host = match (&entry.host, address) {
                (ListedHost::Network(network), Some(address)) => network.contains(&address),
                (ListedHost::Name(name), None) => is_named(name, host),
                _ => false,
            };
            is_host && entry.port.fits(url.scheme(), port)
        });
        if is_listed { Ok(url) } else { Err(Refusal::NotListed) }
    }

    /// Checks a URL and resolves its host. Returns the URL with at least one address that it may be called at now.
    ///
    /// # Errors
    /// Returns a [`Refusal`] when any of the host's addresses is not allowed.
    pub async fn admit(&self, text: &str) -> Result<(Url, Vec<IpAddr>), Refusal> {
        let url = self.accept(text)?;
        let host = url.host_str().ok_or(Refusal::NotListed)?;
        if let Some(address) = literal(host) {
            return Ok((url, vec![address]));
        }
        let port = url.port_or_known_default().ok_or(Refusal::NotListed)?;
        let addresses = self.look_up(host, port).await?;
        let is_in = |entry: &Entry, address: &IpAddr| matches!(&entry.host, ListedHost::Network(network) if network.contains(address));
        let is_good = |address: &IpAddr| is_public(*address) || self.entries.iter().any(|entry| is_in(entry, address));
        match addresses.is_empty() {
            true => Err(Refusal::Unknown),
            false if addresses.iter().all(is_good) => Ok((url, addresses)),
            false => Err(Refusal::Inside(addresses)),
        }
    }

    fn read(&self, text: &str) -> Result<Url, Refusal> {
        // The parser reads a backslash as a slash and drops line breaks, so other programs would see another host.
        let is_odd = |character: char| character == '\\' || character.is_whitespace() || character.is_control();
        if text.contains(is_odd) {
            return Err(Refusal::NoUrl);
        }
        let url = Url::parse(text).map_err(|_| Refusal::NoUrl)?;
        match (url.scheme(), self.http) {
            ("https", _) | ("http", true) => {}
            (scheme, true) => return Err(Refusal::Scheme(scheme.to_owned(), "http or https")),
            (scheme, false) => return Err(Refusal::Scheme(scheme.to_owned(), "https (callback_http is off)")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        Ok(url)
    }

    async fn look_up(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, Refusal> {
        let found = tokio::time::timeout(LOOKUP_TIMEOUT, (self.lookup)(host.to_owned(), port)).await;
        let found = found.map_err(|_| Refusal::Unknown)?.map_err(|_| Refusal::Unknown)?;
        Ok(found.into_iter().map(|address| address.ip().to_canonical()).collect())
    }
}

/// Returns the address when the host is an address. The parser has already normalized unusual forms such as `0x7f.1`.
fn literal(host: &str) -> Option<IpAddr> {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.ok().map(|address| address.to_canonical())
}

fn is_named(name: &str, host: &str) -> bool {
    let host = plain(host);
    match name.strip_prefix("*.") {
        Some(above) => host
            .strip_suffix(above)
            .is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        None => *name == host,
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Returns a resolver that gives the answers of a list in turn.
    pub fn answering(answers: &[&[&str]]) -> Arc<Lookup> {
        let answers: Vec<Vec<IpAddr>> = answers
            .iter()
            .map(|addresses| addresses.iter().map(|address| address.parse().unwrap()).collect())
            .collect();
        let asked = std::sync::atomic::AtomicUsize::new(0);
        Arc::new(move |_, port| {
            let turn = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let addresses = answers[turn.min(answers.len() - 1)].clone();
            let found = addresses
                .into_iter()
                .map(|address| SocketAddr::new(address, port))
                .collect();
            Box::pin(async move { Ok(found) })
        })
    }

    pub fn entries(texts: &[&str]) -> Vec<Entry> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn allowed(listed: &[&str], answer: &[&str]) -> Allowed {
        Allowed::with_lookup(entries(listed), false, answering(&[answer]))
    }

    #[tokio::test]
    async fn a_listed_name_is_called_only_at_public_addresses() {
        let public = allowed(
            &["Hooks.lab.example", "hooks.lab.example:8443", "*.ci.example"],
            &["1.1.1.1", "2606:4700::1"],
        );
        for url in [
            "https://hooks.lab.example/x?y#z",
            "https://HOOKS.lab.example.:8443",
            "https://a.b.ci.example",
        ] {
            assert_eq!(public.admit(url).await.unwrap().1.len(), 2, "{url}");
        }
        for url in [
            "https://lab.example",
            "https://ci.example",
            "https://evilci.example",
            "https://hooks.lab.example.evil.example",
            "https://1.1.1.1",
            "https://hooks.lab.example:22",
            "https://a.b.ci.example:8443",
        ] {
            assert_eq!(public.admit(url).await, Err(Refusal::NotListed), "{url}");
        }
        for answer in [
            &["127.0.0.1"][..],
            &["1.1.1.1", "10.0.0.1"],
            &["::ffff:169.254.169.254"],
            &[],
        ] {
            let inside = allowed(&["hooks.lab.example"], answer);
            let refused = inside.admit("https://hooks.lab.example").await.unwrap_err();
            assert!(
                matches!(refused, Refusal::Inside(_) | Refusal::Unknown),
                "{answer:?}: {refused}"
            );
        }
    }

    #[tokio::test]
    async fn a_listed_network_is_called_by_its_addresses_and_by_listed_names() {
        let lab = allowed(&["10.7.0.0/16:*", "fd00:7::/32", "ci:8443"], &["10.7.1.2"]);
        for url in [
            "https://ci:8443",
            "https://10.7.255.1:9",
            "https://[fd00:7::1]/",
            "https://0x0a070001/",
        ] {
            assert!(lab.admit(url).await.is_ok(), "{url}");
        }
        for url in [
            "https://10.8.0.1",
            "https://1.1.1.1",
            "https://[::1]",
            "https://0x7f.1",
            "https://[fd00:7::1]:9",
            "https://ci",
        ] {
            assert_eq!(lab.admit(url).await, Err(Refusal::NotListed), "{url}");
        }
        let split = allowed(&["ci", "10.7.0.0/16"], &["10.7.1.2", "10.8.1.2"]);
        assert!(matches!(split.admit("https://ci").await, Err(Refusal::Inside(_))));
    }

    /// The answer to a submitter depends only on the list, not on the network.
    #[test]
    fn at_submission_no_name_is_resolved_and_every_refusal_is_the_same() {
        let never: Arc<Lookup> = Arc::new(|_, _| panic!("a name is resolved"));
        let list = entries(&["hooks.example", "inside.lab:8443", "10.7.0.0/16"]);
        let allowed = Allowed::with_lookup(list, false, never);
        for url in [
            "https://hooks.example/x",
            "https://inside.lab:8443/",
            "https://10.7.0.1/",
        ] {
            assert!(allowed.accept(url).is_ok(), "{url}");
        }
        for url in [
            "https://no-such-host.invalid/",
            "https://localhost/",
            "https://inside.lab/",
            "https://hooks.example:22/",
            "https://10.7.0.1:22/",
            "https://10.8.0.1/",
            "https://127.0.0.1:1/",
        ] {
            assert_eq!(allowed.accept(url), Err(Refusal::NotListed), "{url}");
        }
    }

    #[tokio::test]
    async fn only_plain_https_urls_are_called() {
        let all = allowed(&["a.example:*", "0.0.0.0/0:*"], &["1.1.1.1"]);
        for (url, refusal) in [
            (
                "http://a.example",
                Refusal::Scheme("http".to_owned(), "https (callback_http is off)"),
            ),
            (
                "file:///etc/passwd",
                Refusal::Scheme("file".to_owned(), "https (callback_http is off)"),
            ),
            ("https://user@a.example", Refusal::Credentials),
            ("https://:secret@a.example", Refusal::Credentials),
        ] {
            assert_eq!(all.admit(url).await, Err(refusal), "{url}");
        }
        for url in [
            "",
            "a.example/x",
            "https://",
            "https://a b",
            "//a.example",
            "https://a.example\\@evil.example/",
            "https://a.exam\nple/",
            " https://a.example/",
        ] {
            assert_eq!(all.admit(url).await, Err(Refusal::NoUrl), "{url}");
        }
    }
}
