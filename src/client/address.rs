//! The address of a server.

use std::{fmt, net::IpAddr, str::FromStr};

use reqwest::Url;

/// Base URL of a server: `http://HOST[:PORT][/PREFIX]` or https.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// Returns the URL of a path below the prefix, with each segment encoded.
    pub fn at(&self, segments: &[&str], query: &[(String, String)]) -> Url {
        let mut url = self.0.clone();
        // A URL with a host always has a path to add to.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Returns whether the connection uses TLS.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns whether the server is on this host, so that a proxy from the environment must not be used.
    pub fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let accepted = "accepted is http://HOST[:PORT][/PREFIX] or https://…";
        let url: Url = text
            .parse()
            .map_err(|_| format!("it is not an absolute URL; {accepted}"))?;
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
            return Err(format!("it is not an http or https URL with a host; {accepted}"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("it has a query or a fragment; {accepted}"));
        }
        Ok(Self(url))
    }
}

/// Omits user name and password, since addresses are shown and logged.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(without_password(self.0.clone()).trim_end_matches('/'))
    }
}

fn without_password(mut url: Url) -> String {
    // Neither call fails for a URL with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_kept_with_and_without_a_trailing_slash() {
        for (base, expected) in [
            ("http://box:1", "http://box:1/v1/experiments/a%2Fb?label=x%3Dy%26z"),
            ("http://box:1/", "http://box:1/v1/experiments/a%2Fb?label=x%3Dy%26z"),
            ("https://lab/jm", "https://lab/jm/v1/experiments/a%2Fb?label=x%3Dy%26z"),
            (
                "https://lab/a/jm/",
                "https://lab/a/jm/v1/experiments/a%2Fb?label=x%3Dy%26z",
            ),
        ] {
            let address: Address = base.parse().unwrap();
            let query = [("label".to_owned(), "x=y&z".to_owned())];
            assert_eq!(address.at(&["v1", "experiments", "a/b"], &query).as_str(), expected);
        }
    }

    #[test]
    fn an_invalid_address_is_rejected_with_the_accepted_form() {
        for text in [
            "",
            "gpubox",
            "gpubox:8080",
            "ftp://gpubox",
            "http://",
            "http://a/?b",
            "http://a/#b",
        ] {
            let refused = text.parse::<Address>().unwrap_err();
            assert!(refused.contains("accepted is http://HOST"), "{text}: {refused}");
        }
    }

    #[test]
    fn a_password_is_not_shown_and_loopback_is_recognized() {
        let address: Address = "https://ada:secret@lab/jm/".parse().unwrap();
        assert_eq!(
            (format!("{address}"), format!("{address:?}").contains("secret")),
            ("https://lab/jm".into(), false)
        );
        for (text, here) in [
            ("http://localhost:1", true),
            ("http://[::1]:1", true),
            ("http://127.9.0.1", true),
            ("http://lab", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().is_loopback(), here, "{text}");
        }
    }
}
