//! Parses the entries of the admin's list of callback hosts.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use joulemark_measurement::quoted;
use thiserror::Error;

/// One entry of the admin's list: a host and the ports at which it may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub host: ListedHost,
    pub port: ListedPort,
}

/// Host of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListedHost {
    /// In lower case; `*.lab.example` matches all names below `lab.example`.
    Name(String),
    Network(IpNet),
}

/// Ports of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedPort {
    /// The scheme's default: 443, or 80 without TLS.
    OfScheme,
    Any,
    Only(u16),
}

/// Error for a text that is not a valid entry.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{}; accepted are a host name, *.NAME for all names below it, an address, or a network such as 10.7.0.0/16, each \
     followed by :PORT (443 without it) or :* for all ports; an IPv6 address or network with a port must be in \
     brackets",
    quoted(.0)
)]
pub struct NotAnEntry(String);

impl FromStr for Entry {
    type Err = NotAnEntry;

    fn from_str(text: &str) -> Result<Self, NotAnEntry> {
        let (host, port) = match network(text) {
            // Its colons do not separate a port.
            Some(_) => (text, None),
            None => match text.rsplit_once(':') {
                Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
                _ => (text, None),
            },
        };
        let port = match port {
            None => Some(ListedPort::OfScheme),
            Some("*") => Some(ListedPort::Any),
            Some(number) => number.parse().ok().filter(|number| *number > 0).map(ListedPort::Only),
        };
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match bracketed {
            Some(inner) => network(inner).filter(|_| inner.contains(':')).map(ListedHost::Network),
            None => named(host),
        };
        match (host, port) {
            (Some(host), Some(port)) => Ok(Self { host, port }),
            _ => Err(NotAnEntry(text.to_owned())),
        }
    }
}

impl ListedPort {
    /// Returns whether a URL of this scheme may have this port.
    pub fn fits(self, scheme: &str, port: u16) -> bool {
        match self {
            Self::OfScheme => port == if scheme == "http" { 80 } else { 443 },
            Self::Any => true,
            Self::Only(only) => port == only,
        }
    }
}

fn named(host: &str) -> Option<ListedHost> {
    let found = network(host).map(ListedHost::Network);
    found.or_else(|| is_name(host).then(|| ListedHost::Name(plain(host))))
}

/// Returns a host name in the form for comparison: lower case, without a final dot.
pub fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok();
    network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn is_name(entry: &str) -> bool {
    let name = entry.strip_prefix("*.").unwrap_or(entry).trim_end_matches('.');
    let good = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    name.split('.').all(good) && !name.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Entry {
        text.parse().unwrap()
    }

    #[test]
    fn names_and_networks_are_read_with_and_without_a_port() {
        let name = |name: &str| ListedHost::Name(name.to_owned());
        let network = |text: &str| ListedHost::Network(text.parse().unwrap());
        for (text, host, port) in [
            ("CI.lab.", name("ci.lab"), ListedPort::OfScheme),
            ("ci.lab:8443", name("ci.lab"), ListedPort::Only(8443)),
            ("*.hooks.example:*", name("*.hooks.example"), ListedPort::Any),
            ("10.7.0.0/16", network("10.7.0.0/16"), ListedPort::OfScheme),
            ("10.7.0.0/16:81", network("10.7.0.0/16"), ListedPort::Only(81)),
            ("127.0.0.1:*", network("127.0.0.1/32"), ListedPort::Any),
            ("::1", network("::1/128"), ListedPort::OfScheme),
            ("fd00::/8", network("fd00::/8"), ListedPort::OfScheme),
            ("[::1]:9000", network("::1/128"), ListedPort::Only(9000)),
            ("[fd00::/8]:*", network("fd00::/8"), ListedPort::Any),
            ("[fd00::/8]", network("fd00::/8"), ListedPort::OfScheme),
        ] {
            assert_eq!(read(text), Entry { host, port }, "{text}");
        }
    }

    #[test]
    fn an_invalid_host_or_port_is_rejected() {
        for text in [
            "",
            "*",
            "*:443",
            "https://ci",
            "10.0.0.0/40",
            "10.0.0",
            "ci:0",
            "ci:65536",
            "ci:",
            "ci:x",
            "ci:-1",
            "a b",
            "[ci]:1",
            "[10.0.0.1]:1",
            "ci/path",
            ":443",
            "user@ci",
        ] {
            let message = text.parse::<Entry>().unwrap_err().to_string();
            assert!(
                message.contains("accepted are") && message.contains(":PORT"),
                "{text}: {message}"
            );
        }
    }

    #[test]
    fn without_a_port_only_the_default_port_of_the_scheme_is_allowed() {
        assert!(ListedPort::OfScheme.fits("https", 443) && ListedPort::OfScheme.fits("http", 80));
        for (scheme, port) in [("https", 80), ("http", 443), ("https", 22), ("http", 8080)] {
            assert!(!ListedPort::OfScheme.fits(scheme, port), "{scheme} {port}");
        }
    }
}
