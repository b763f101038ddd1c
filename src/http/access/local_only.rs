//! Rules of a server without authentication: it answers only requests from programs of its own host.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, Version, header, request::Parts};

use crate::http::problem::Problem;

/// Headers that proxies and content delivery networks add to a request, and clients do not. Those of [`BEGINNINGS`] are
/// recognized by their first letters.
const ADDED: [&str; 13] = [
    "via",
    "forwarded",
    "x-forwarded",
    "forwarded-for",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "client-ip",
    "x-original-host",
    "x-original-forwarded-for",
    "x-proxyuser-ip",
    "cdn-loop",
];
const BEGINNINGS: [&str; 5] = ["x-forwarded-", "x-envoy-", "x-amzn-", "cf-", "fastly-"];

/// Checks that a request comes from a program of this host. Refuses requests that a proxy forwarded, and requests for
/// another host name, as a web page sends after DNS rebinding. A plain TCP forward cannot be detected.
///
/// # Errors
/// 403, with the header or host that gives it away.
pub fn check_is_local(request: &Parts) -> Result<(), Problem> {
    if let Some(name) = forwarding_header(&request.headers) {
        return Err(Problem::forwarded_without_authentication(&format!(
            "has the header {name}"
        )));
    }
    // A proxy with a minimal configuration speaks HTTP/1.0, and no current client does.
    if request.version < Version::HTTP_11 {
        return Err(Problem::forwarded_without_authentication(
            "uses HTTP/1.0, as proxies do; a health check must use HTTP/1.1",
        ));
    }
    let host = request.headers.get(header::HOST);
    let host = host.map(|host| host.to_str().unwrap_or_default());
    // A target in absolute form takes precedence over the header (RFC 9112, 3.2.2).
    let target = request.uri.authority().map(|authority| authority.as_str());
    match target.into_iter().chain(host).find(|host| !is_loopback(host)) {
        Some(foreign) => Err(Problem::foreign_host(foreign)),
        None => Ok(()),
    }
}

/// Returns the first header that a proxy added; `None` without one.
pub fn forwarding_header(headers: &HeaderMap) -> Option<&HeaderName> {
    let is_added = |name: &&HeaderName| {
        let name = name.as_str();
        ADDED.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    };
    headers.keys().find(is_added)
}

/// Returns whether a `Host` value is `localhost`, a name below it, or a loopback address.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let address = name.parse::<IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn only_loopback_names_belong_to_this_host() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "127.1.2.3",
            "[::1]:8080",
            "jm.localhost",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "192.0.2.1",
            "127.0.0.1.evil.example",
            "",
            "127.0.0.1@evil.example",
            "[2001:db8::1]",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    fn asked(target: &str, version: Version, headers: &[(&str, &str)]) -> Result<(), Problem> {
        let mut request = Request::builder().uri(target).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check_is_local(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_request_of_a_local_program_is_accepted() {
        for (target, host) in [
            ("/v1/audit", "localhost:8080"),
            ("/v1/audit", "127.0.0.1"),
            ("http://127.0.0.1:8080/v1/audit", "127.0.0.1:8080"),
            ("http://localhost/v1/audit", "[::1]"),
        ] {
            assert_eq!(asked(target, Version::HTTP_11, &[("host", host)]), Ok(()), "{target}");
        }
    }

    #[test]
    fn a_request_through_a_proxy_or_for_another_host_is_refused() {
        let local = ("host", "localhost");
        for (name, value) in [
            ("via", "1.1 lab"),
            ("forwarded", "for=192.0.2.1"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-anything", ""),
            ("x-real-ip", "127.0.0.1"),
            ("cf-connecting-ip", "192.0.2.1"),
        ] {
            let problem = asked("/v1/audit", Version::HTTP_11, &[local, (name, value)]).unwrap_err();
            assert!(
                problem.status == 403 && problem.detail.contains(name),
                "{}",
                problem.detail
            );
        }
        for version in [Version::HTTP_10, Version::HTTP_09] {
            let problem = asked("/healthz", version, &[local]).unwrap_err();
            assert!(
                problem.status == 403 && problem.detail.contains("HTTP/1.0"),
                "{}",
                problem.detail
            );
        }
        for (target, headers) in [
            ("http://evil.example/v1/audit", &[local][..]),
            ("http://evil.example:80/", &[("host", "127.0.0.1:8080")]),
            ("http://localhost@evil.example/", &[local]),
            ("http://localhost/", &[("host", "lab.example")]),
            ("/", &[("host", "lab.example")]),
            ("/", &[("host", "")]),
        ] {
            let problem = asked(target, Version::HTTP_11, headers).unwrap_err();
            assert!(
                problem.status == 403 && problem.kind.ends_with("foreign-host"),
                "{target}: {}",
                problem.detail
            );
        }
    }
}
