//! The client's address and the service's own URL, directly or as a trusted proxy reports them.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, Uri, header::HOST, uri::Authority};
use ipnet::IpNet;

use super::Peer;
use joulemark_measurement::quoted;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const MAX_PREFIX_BYTES: usize = 200;

/// The proxies whose statements about their clients the admin trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    pub networks: Vec<IpNet>,
    /// Every program that can connect to the Unix socket.
    pub socket: bool,
}

/// The client's address, and the URL at which the client reaches this service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub address: IpAddr,
    /// The other end of the connection is a proxy that the admin trusts.
    pub is_trusted_proxy: bool,
    /// Scheme and host as the client sees them, `https://lab.example`; `None` if no proxy reports them.
    base: Option<String>,
    /// Path prefix that the proxy removed; empty, or `/…` without a trailing slash.
    prefix: String,
    /// Port in the request's `Host` header; `None` without one.
    port_of_host: Option<u16>,
}

/// A header of a trusted proxy that cannot be used: its name, and a text that says what is wrong and what is accepted.
#[derive(Debug, PartialEq, Eq)]
pub struct BadHeader(pub HeaderName, pub String);

impl Origin {
    /// Returns the origin of a client that is not behind a trusted proxy.
    pub fn direct(address: IpAddr) -> Self {
        Self {
            address,
            is_trusted_proxy: false,
            base: None,
            prefix: String::new(),
            port_of_host: None,
        }
    }

    /// Reads the origin from the connection and its headers. Forwarding headers of anybody but a trusted proxy are
    /// ignored.
    pub fn read(peer: Peer, headers: &HeaderMap, trusted: &TrustedProxies) -> Result<Self, BadHeader> {
        if !trusted.has(peer) {
            return Ok(Self {
                port_of_host: port_of_host(headers),
                ..Self::direct(peer.address())
            });
        }
        Ok(Self {
            address: client(peer.address(), headers, trusted)?,
            is_trusted_proxy: true,
            base: base(headers)?,
            prefix: prefix(headers)?,
            port_of_host: port_of_host(headers),
        })
    }

    /// Replaces the start of links with `base`, if the admin configured one.
    pub fn known_as(self, base: Option<&str>) -> Self {
        match base {
            None => self,
            Some(base) => Self {
                base: Some(base.to_owned()),
                prefix: String::new(),
                ..self
            },
        }
    }

    /// Returns whether the client reaches this service over TLS, according to the admin or a trusted proxy.
    pub fn is_https(&self) -> bool {
        self.base.as_deref().is_some_and(|base| base.starts_with("https://"))
    }

    /// Returns the port at which the client reaches this service; `None` for the port that belongs to the scheme.
    pub fn port(&self) -> Option<u16> {
        match &self.base {
            Some(base) => base.parse::<Uri>().ok()?.port_u16(),
            None => self.port_of_host,
        }
    }

    /// Returns the path at which the client reaches this service, with a slash at both ends.
    pub fn root_path(&self) -> String {
        let root = self.link("/");
        let behind_scheme = root.split_once("://").map_or(root.as_str(), |(_, rest)| rest);
        let path = behind_scheme.find('/').map_or("/", |at| &behind_scheme[at..]);
        path.to_owned()
    }

    /// Returns the URL of a path of this service, as the client can use it.
    pub fn link(&self, path: &str) -> String {
        format!("{}{}{path}", self.base.as_deref().unwrap_or_default(), self.prefix)
    }
}

impl TrustedProxies {
    /// Returns whether the peer is a trusted proxy.
    pub fn has(&self, peer: Peer) -> bool {
        match peer {
            Peer::Address(_) => self.contains(peer.address()),
            Peer::Socket => self.socket,
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// Returns the client's address from `X-Forwarded-For`. Each proxy appends the address that it talked to, so the client
/// is the first untrusted address from the right. Entries further left may be forged by the client.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> Result<IpAddr, BadHeader> {
    let mut client = peer;
    let lines: Vec<_> = headers.get_all(FOR).iter().collect();
    for line in lines.into_iter().rev() {
        let text = line.to_str().unwrap_or("bytes that are not text");
        for entry in text.rsplit(',').map(str::trim) {
            client = entry
                .parse::<IpAddr>()
                .map(|address| address.to_canonical())
                .map_err(|_| {
                    BadHeader(
                        FOR,
                        format!(
                            "has {entry}; accepted are IP addresses with commas between them",
                            entry = quoted(&entry)
                        ),
                    )
                })?;
            if !trusted.contains(client) {
                return Ok(client);
            }
        }
    }
    Ok(client)
}

/// Returns the scheme and host that the proxy reports; `None` if it reports no scheme or no host.
fn base(headers: &HeaderMap) -> Result<Option<String>, BadHeader> {
    let Some(proto) = text(headers, &PROTO)? else {
        return Ok(None);
    };
    if !matches!(proto, "http" | "https") {
        return Err(BadHeader(
            PROTO,
            format!("is {proto}; accepted are http and https", proto = quoted(&proto)),
        ));
    }
    let (name, host) = match text(headers, &FORWARDED_HOST)? {
        Some(host) => (FORWARDED_HOST, Some(host)),
        None => (HOST, text(headers, &HOST)?),
    };
    let Some(host) = host else { return Ok(None) };
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    // Parsed as well, so that brackets are balanced: links are built from it.
    if host.is_empty() || !host.bytes().all(good) || host.parse::<Authority>().is_err() {
        return Err(BadHeader(
            name,
            format!("is {host}; accepted is HOST or HOST:PORT", host = quoted(&host)),
        ));
    }
    Ok(Some(format!("{proto}://{host}")))
}

fn port_of_host(headers: &HeaderMap) -> Option<u16> {
    headers.get(HOST)?.to_str().ok()?.parse::<Authority>().ok()?.port_u16()
}

/// Returns the path prefix that the proxy reports, without a trailing slash.
fn prefix(headers: &HeaderMap) -> Result<String, BadHeader> {
    let Some(given) = text(headers, &PREFIX)? else {
        return Ok(String::new());
    };
    let cut = given.trim_end_matches('/');
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let starts_well = cut.is_empty() || (cut.starts_with('/') && !cut.contains("//"));
    let climbs = cut.split('/').any(|part| part == "." || part == "..");
    if cut.len() > MAX_PREFIX_BYTES || !starts_well || climbs || !cut.bytes().all(good) {
        let accepted = format!("accepted is a path such as /joulemark, up to {MAX_PREFIX_BYTES} bytes");
        return Err(BadHeader(
            PREFIX,
            format!("is {given}; {accepted}", given = quoted(&given)),
        ));
    }
    Ok(cut.to_owned())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, BadHeader> {
    let value = headers.get(name).map(|value| value.to_str());
    value
        .transpose()
        .map_err(|_| BadHeader(name.clone(), "is not text".to_owned()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use joulemark_testkit::edits::edited;
    use proptest::prelude::*;

    use super::*;

    const PROXY: &str = "10.0.0.7";

    fn map_of(headers: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn read(peer: &str, headers: &[(&'static str, &str)]) -> Result<Origin, BadHeader> {
        let trusted = TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            socket: false,
        };
        let peer = Peer::Address((peer.parse::<IpAddr>().unwrap(), 4711).into());
        Origin::read(peer, &map_of(headers), &trusted)
    }

    #[test]
    fn headers_of_a_socket_connection_are_trusted_only_if_configured() {
        let said = map_of(&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-prefix", "/energy")]);
        let by_socket = |headers: &HeaderMap, socket| {
            let networks = vec!["127.0.0.0/8".parse().unwrap()];
            Origin::read(Peer::Socket, headers, &TrustedProxies { networks, socket }).unwrap()
        };
        let believed = by_socket(&said, true);
        assert!(believed.is_trusted_proxy);
        assert_eq!(
            (believed.address.to_string().as_str(), believed.link("/v1").as_str()),
            ("192.0.2.1", "/energy/v1")
        );
        assert_eq!(
            by_socket(&said, false),
            Origin::direct(Peer::Socket.address()),
            "a network is not the socket"
        );
        assert_eq!(by_socket(&HeaderMap::new(), true).address, Peer::Socket.address());
    }

    #[test]
    fn headers_of_an_untrusted_client_are_ignored() {
        let forged = [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-prefix", "//evil.example"),
        ];
        let origin = read("192.0.2.9", &forged).unwrap();
        assert_eq!(origin, Origin::direct("192.0.2.9".parse().unwrap()));
        assert_eq!(origin.link("/v1"), "/v1");
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_trusted_proxy() {
        for (lines, expected) in [
            (vec![("x-forwarded-for", "192.0.2.1")], "192.0.2.1"),
            (vec![("x-forwarded-for", "127.0.0.1, 192.0.2.1,10.1.1.1")], "192.0.2.1"),
            (
                vec![
                    ("x-forwarded-for", "6.6.6.6"),
                    ("x-forwarded-for", "192.0.2.1, fd00::1"),
                ],
                "192.0.2.1",
            ),
            (vec![("x-forwarded-for", "10.1.1.1")], "10.1.1.1"),
            (vec![("x-forwarded-for", "not read, 192.0.2.1")], "192.0.2.1"),
            (vec![], PROXY),
        ] {
            assert_eq!(
                read(PROXY, &lines).unwrap().address,
                expected.parse::<IpAddr>().unwrap(),
                "{lines:?}"
            );
        }
        assert_eq!(
            read("::ffff:10.0.0.7", &[("x-forwarded-for", "192.0.2.1")])
                .unwrap()
                .address
                .to_string(),
            "192.0.2.1"
        );
    }

    #[test]
    fn links_have_the_scheme_host_and_prefix_that_the_client_uses() {
        let headers = [
            ("x-forwarded-proto", "https"),
            ("host", "lab.example"),
            ("x-forwarded-prefix", "/energy/"),
        ];
        assert_eq!(
            read(PROXY, &headers).unwrap().link("/v1/x"),
            "https://lab.example/energy/v1/x"
        );
        let behind = [
            ("x-forwarded-proto", "https"),
            ("host", "10.0.0.8:80"),
            ("x-forwarded-host", "lab.example:8443"),
        ];
        assert_eq!(
            read(PROXY, &behind).unwrap().link("/v1/x"),
            "https://lab.example:8443/v1/x"
        );
        assert_eq!(
            read(PROXY, &[("x-forwarded-prefix", "/")]).unwrap().link("/v1/x"),
            "/v1/x"
        );
    }

    #[test]
    fn links_begin_with_the_admins_address_whatever_a_request_says() {
        let said = [
            ("x-forwarded-proto", "https"),
            ("host", "evil.example"),
            ("x-forwarded-prefix", "/evil"),
        ];
        for peer in [PROXY, "192.0.2.9"] {
            let origin = read(peer, &said)
                .unwrap()
                .known_as(Some("https://lab.example/joulemark"));
            assert_eq!(origin.link("/v1/x"), "https://lab.example/joulemark/v1/x");
        }
    }

    #[test]
    fn the_scheme_and_the_path_are_those_that_the_client_uses() {
        let https = [("x-forwarded-proto", "https"), ("host", "lab.example")];
        let prefixed = [https[0], https[1], ("x-forwarded-prefix", "/energy/")];
        for (origin, is_https, root) in [
            (read(PROXY, &https).unwrap(), true, "/"),
            (read(PROXY, &prefixed).unwrap(), true, "/energy/"),
            (read(PROXY, &prefixed[2..]).unwrap(), false, "/energy/"),
            (read("192.0.2.9", &prefixed).unwrap(), false, "/"),
            (
                read(PROXY, &prefixed).unwrap().known_as(Some("http://lab.example/a/b")),
                false,
                "/a/b/",
            ),
            (
                read("192.0.2.9", &[]).unwrap().known_as(Some("https://lab.example")),
                true,
                "/",
            ),
        ] {
            assert_eq!(
                (origin.is_https(), origin.root_path().as_str()),
                (is_https, root),
                "{origin:?}"
            );
        }
    }

    #[test]
    fn headers_of_a_trusted_proxy_are_checked() {
        for (name, value) in [
            ("x-forwarded-for", "192.0.2.1:1234"),
            ("x-forwarded-for", ""),
            ("x-forwarded-proto", "javascript"),
            ("x-forwarded-prefix", "//evil.example"),
            ("x-forwarded-prefix", "/a/../b"),
            ("x-forwarded-prefix", "/a\"b"),
            ("x-forwarded-prefix", "a"),
        ] {
            assert_eq!(read(PROXY, &[(name, value)]).unwrap_err().0, name, "{value}");
        }
        let host = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "lab.example/@evil"),
        ];
        assert_eq!(read(PROXY, &host).unwrap_err().0, "x-forwarded-host");
    }

    /// A fuzz target; CONTRIBUTING.md says how to run it for longer. Each line of the input is the value of a header.
    #[test]
    fn any_forwarded_headers_are_read_or_refused() {
        const SEEDS: [&[u8]; 3] = [
            b"192.0.2.1, 10.0.0.7\nhttps\nlab.example:8443\n/joulemark",
            b"fd00::1,::ffff:10.0.0.7\nhttp\n[::1]:80\n/a-b/c_d/",
            b"10.1.1.1\nhttps\n\n",
        ];
        let trusted = TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            socket: false,
        };
        let peer = Peer::Address((PROXY.parse::<IpAddr>().unwrap(), 4711).into());
        bolero::check!().with_iterations(2_000).for_each(|bytes: &[u8]| {
            for bytes in [bytes.to_vec(), edited(&SEEDS, bytes)] {
                let mut headers = HeaderMap::new();
                let names = [FOR, PROTO, FORWARDED_HOST, PREFIX].into_iter().cycle();
                for (name, value) in names.zip(bytes.split(|byte| *byte == b'\n')) {
                    if let Ok(value) = HeaderValue::from_bytes(value) {
                        headers.append(name, value);
                    }
                }
                match Origin::read(peer, &headers, &trusted) {
                    Ok(origin) => {
                        let link = origin.link("/v1/experiments");
                        let is_link =
                            link.starts_with('/') || link.starts_with("http://") || link.starts_with("https://");
                        assert!(is_link && link.parse::<axum::http::Uri>().is_ok(), "{link:?}");
                        assert!(link.bytes().all(|byte| byte.is_ascii_graphic()), "{link:?}");
                    }
                    Err(BadHeader(_, why)) => assert!(why.contains("accepted") || why.contains("not text"), "{why}"),
                }
            }
        });
    }

    proptest! {
        #[test]
        fn a_link_stays_on_this_service(prefix in "[ -~]{0,40}") {
            if let Ok(origin) = read(PROXY, &[("x-forwarded-prefix", &prefix)]) {
                let link = origin.link("/v1");
                prop_assert!(link.starts_with('/') && !link.starts_with("//") && link.ends_with("/v1"), "{}", link);
            }
        }
    }
}
