use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use thiserror::Error;

const DEFAULT_PORT: u16 = 80;

/// The address of a server, such as `http://127.0.0.1:8000`. A path before `/v1` is preserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    authority: String,
    base: String,
}

/// The reason why a text is not the address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EndpointError {
    #[error("is not an address; accepted is http://HOST:PORT, with a path before /v1 where the server has one")]
    NoAddress,
    #[error(
        "begins with https, but engines are reached without encryption, on this host; accepted is http://HOST:PORT"
    )]
    Encrypted,
    #[error("has a user name or password; put the key into api_key_file")]
    Credentials,
    #[error("has a query; accepted is http://HOST:PORT, with a path before /v1 where the server has one")]
    Query,
}

impl Endpoint {
    /// Returns the name or address of the host; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port; 80 where the address has none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the value of a request's `Host` header.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the request target for a path such as `/v1/models`.
    pub(crate) fn target(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| EndpointError::NoAddress)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(EndpointError::Encrypted),
            _ => return Err(EndpointError::NoAddress),
        }
        let authority = uri.authority().ok_or(EndpointError::NoAddress)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::Credentials);
        }
        if uri.query().is_some() {
            return Err(EndpointError::Query);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || text.contains('#') {
            return Err(EndpointError::NoAddress);
        }
        let path = uri.path().trim_end_matches('/');
        Ok(Self {
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(DEFAULT_PORT),
            authority: authority.as_str().to_owned(),
            base: path.strip_suffix("/v1").unwrap_or(path).to_owned(),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}{}", self.authority, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_before_v1_is_preserved() {
        let cases = [
            ("http://127.0.0.1:8000", "127.0.0.1", 8000, "/v1/models"),
            ("http://127.0.0.1:8000/", "127.0.0.1", 8000, "/v1/models"),
            ("http://localhost/v1/", "localhost", 80, "/v1/models"),
            ("http://[::1]:9/lab/v1", "::1", 9, "/lab/v1/models"),
        ];
        for (text, host, port, target) in cases {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!((endpoint.host(), endpoint.port()), (host, port), "{text}");
            assert_eq!(endpoint.target("/v1/models"), target, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_an_address_is_rejected() {
        let cases = [
            ("127.0.0.1:8000", EndpointError::NoAddress),
            ("ftp://h", EndpointError::NoAddress),
            ("http://", EndpointError::NoAddress),
            ("http://h#part", EndpointError::NoAddress),
            ("https://h", EndpointError::Encrypted),
            ("http://me:word@h", EndpointError::Credentials),
            ("http://h/v1?key=1", EndpointError::Query),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
        }
    }
}
