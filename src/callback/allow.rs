use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::Url;
use thiserror::Error;
use tokio::net::lookup_host;

use super::address::is_public;

const PATIENCE: Duration = Duration::from_secs(5);

type Lookup = dyn Fn(String, u16) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync;

/// Whom the admin lets be called back.
#[derive(Clone)]
pub struct Allowed {
    /// Hosts, `*.lab.example` for all below one; their addresses must be public, or in one of the networks.
    pub names: Vec<String>,
    /// Whoever has all of their addresses in one of these, whatever they are called.
    pub networks: Vec<IpNet>,
    /// Without TLS as well.
    pub http: bool,
    lookup: Arc<Lookup>,
}

impl std::fmt::Debug for Allowed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Allowed");
        shown.field("names", &self.names).field("networks", &self.networks);
        shown.field("http", &self.http).finish_non_exhaustive()
    }
}

/// Why somebody is not called. Says nothing of addresses: who may submit need not know the network's names.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("is no whole URL; accepted is one with its scheme and host, such as https://hooks.lab.example/joulemark")]
    NoUrl,
    #[error("has the scheme {0}; accepted is {1}")]
    Scheme(String, &'static str),
    #[error("has a user name or a password, which everybody on the way could read; accepted is a URL without")]
    Credentials,
    #[error("names a host that is not on this server's list, or whose addresses may not be called (callback_allow)")]
    NotListed,
    #[error("names a host that cannot be found")]
    Unknown,
}

impl Allowed {
    pub fn new(names: Vec<String>, networks: Vec<IpNet>, http: bool) -> Self {
        let lookup = |host: String, port: u16| {
            let found = async move { Ok(lookup_host((host, port)).await?.collect()) };
            Box::pin(found) as Pin<Box<dyn Future<Output = _> + Send>>
        };
        Self::with_lookup(names, networks, http, Arc::new(lookup))
    }

    pub(super) fn with_lookup(names: Vec<String>, networks: Vec<IpNet>, http: bool, lookup: Arc<Lookup>) -> Self {
        Self {
            names: names.iter().map(|name| plain(name)).collect(),
            networks,
            http,
            lookup,
        }
    }

    /// The URL, and the addresses that it may be called at now; at least one.
    ///
    /// # Errors
    /// [`Refusal`] when a single one of its host's addresses is not allowed.
    pub async fn admit(&self, text: &str) -> Result<(Url, Vec<IpAddr>), Refusal> {
        let url = self.read(text)?;
        let host = url.host_str().ok_or(Refusal::NotListed)?;
        let is_named = self.is_named(host);
        if !is_named && self.networks.is_empty() {
            return Err(Refusal::NotListed);
        }
        let port = url.port_or_known_default().unwrap_or(0);
        let addresses = self.addresses(host, port).await?;
        let is_good = |address: &IpAddr| {
            let is_in = self.networks.iter().any(|network| network.contains(address));
            is_in || (is_named && is_public(*address))
        };
        if addresses.is_empty() || !addresses.iter().all(is_good) {
            return Err(Refusal::NotListed);
        }
        Ok((url, addresses))
    }

    fn read(&self, text: &str) -> Result<Url, Refusal> {
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

    fn is_named(&self, host: &str) -> bool {
        let host = plain(host);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(above) => host
                .strip_suffix(above)
                .is_some_and(|below| below.len() > 1 && below.ends_with('.')),
            None => *name == host,
        })
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, Refusal> {
        // The parser has made an address of whatever is one, `0x7f.1` included.
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = literal.parse::<IpAddr>() {
            return Ok(vec![address.to_canonical()]);
        }
        let found = tokio::time::timeout(PATIENCE, (self.lookup)(host.to_owned(), port)).await;
        let found = found.map_err(|_| Refusal::Unknown)?.map_err(|_| Refusal::Unknown)?;
        Ok(found.into_iter().map(|address| address.ip().to_canonical()).collect())
    }
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A resolver that answers from a list, one a question.
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

    fn allowed(names: &[&str], networks: &[&str], answer: &[&str]) -> Allowed {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        Allowed::with_lookup(names, networks, false, answering(&[answer]))
    }

    #[tokio::test]
    async fn a_name_on_the_list_is_called_at_public_addresses_alone() {
        let public = allowed(
            &["Hooks.lab.example", "*.ci.example"],
            &[],
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
        ] {
            assert_eq!(public.admit(url).await, Err(Refusal::NotListed), "{url}");
        }
        for answer in [
            &["127.0.0.1"][..],
            &["1.1.1.1", "10.0.0.1"],
            &["::ffff:169.254.169.254"],
            &[],
        ] {
            let inside = allowed(&["hooks.lab.example"], &[], answer);
            assert_eq!(
                inside.admit("https://hooks.lab.example").await,
                Err(Refusal::NotListed),
                "{answer:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_network_on_the_list_is_called_by_whatever_name_and_nothing_beside_it() {
        let lab = allowed(&[], &["10.7.0.0/16", "fd00:7::/32"], &["10.7.1.2"]);
        for url in [
            "https://ci",
            "https://10.7.255.1:9",
            "https://[fd00:7::1]/",
            "https://0x0a070001/",
        ] {
            assert!(lab.admit(url).await.is_ok(), "{url}");
        }
        for url in ["https://10.8.0.1", "https://1.1.1.1", "https://[::1]", "https://0x7f.1"] {
            assert_eq!(lab.admit(url).await, Err(Refusal::NotListed), "{url}");
        }
        let split = allowed(&[], &["10.7.0.0/16"], &["10.7.1.2", "10.8.1.2"]);
        assert_eq!(split.admit("https://ci").await, Err(Refusal::NotListed));
    }

    #[tokio::test]
    async fn only_plain_urls_are_called() {
        let all = allowed(&["a.example"], &["0.0.0.0/0"], &["1.1.1.1"]);
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
        for url in ["", "a.example/x", "https://", "https://a b", "//a.example"] {
            assert_eq!(all.admit(url).await, Err(Refusal::NoUrl), "{url}");
        }
    }
}
