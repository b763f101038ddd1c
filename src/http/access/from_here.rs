//! A server without authentication is for this host's own programs: what of a request says that it comes from elsewhere.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, Version, header, request::Parts};

use crate::http::problem::Problem;

/// What proxies and content networks add to a request, and no client of its own accord. `x-forwarded-…` and what begins
/// like the others of [`BEGINNINGS`] stand beside these.
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

/// Refuses what came through a proxy, which would open the service to others, and what was asked under another name: so
/// does a web page whose name was made to point here. Nothing in a request tells a plain forward of TCP.
///
/// # Errors
/// 403, with what the request has that says so.
pub fn only_from_here(request: &Parts) -> Result<(), Problem> {
    if let Some(name) = forwarding_header(&request.headers) {
        return Err(Problem::forwarded_without_authentication(&format!(
            "has the header {name}"
        )));
    }
    // A proxy that was set up with nothing but where to pass requests to speaks it, and no client of today does.
    if request.version < Version::HTTP_11 {
        return Err(Problem::forwarded_without_authentication(
            "is of HTTP/1.0, as proxies send it; a health check must ask by HTTP/1.1",
        ));
    }
    let host = request.headers.get(header::HOST);
    let host = host.map(|host| host.to_str().unwrap_or_default());
    // A target that is a whole URL goes before the header (RFC 9112, 3.2.2).
    let target = request.uri.authority().map(|authority| authority.as_str());
    match target.into_iter().chain(host).find(|host| !is_loopback(host)) {
        Some(foreign) => Err(Problem::foreign_host(foreign)),
        None => Ok(()),
    }
}

/// Returns the first header that a proxy added.
pub fn forwarding_header(headers: &HeaderMap) -> Option<&HeaderName> {
    let is_added = |name: &&HeaderName| {
        let name = name.as_str();
        ADDED.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    };
    headers.keys().find(is_added)
}

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
    fn only_names_of_this_host_are_its_own() {
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
        only_from_here(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn what_a_program_of_this_host_sends_is_answered() {
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
    fn what_came_through_a_proxy_or_is_for_another_is_refused() {
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
