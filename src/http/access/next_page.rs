//! The page to return to after signing in: always a page of this service.

use std::fmt;

use axum::http::{Method, header, request::Parts};
use axum::response::{IntoResponse as _, Redirect, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::person::is_of_a_person;
use super::scope::{SIGN_IN, SIGN_OUT, is_page};

const MAX_BYTES: usize = 2000;
/// Path of the submission form, which takes a while to fill in.
const FORM: &str = "/submit";

/// The path and query of a page of this service, relative to the service's root and without a leading slash, as in
/// `experiments?state=queued`; empty for the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NextPage(String);

impl NextPage {
    /// Reads the page that a request names; `None` for anything that could lead to another site. Accepts less than a
    /// URL may contain: the paths of pages have neither escapes nor colons.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        let of_query = |byte: u8| byte.is_ascii_graphic() && !b"\\#\"<>".contains(&byte);
        let is_plain = path.bytes().all(of_path) && query.bytes().all(of_query);
        let mut segments = path.split('/');
        let is_own = path.is_empty() || segments.all(|segment| !matches!(segment, "" | "." | ".."));
        let absolute = format!("/{path}");
        let leads_on = is_page(&absolute) && absolute != SIGN_IN && absolute != SIGN_OUT;
        let good = text.len() <= MAX_BYTES && is_plain && is_own && leads_on;
        good.then(|| Self(text.to_owned()))
    }

    /// Returns the link to the page from a page at depth one, such as the sign-in page. It begins with `./`, so that no
    /// part is read as a host or a scheme, and works below any prefix of a proxy.
    pub fn link(&self) -> String {
        format!("./{}", self.0)
    }
}

impl fmt::Display for NextPage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Returns a redirect to the sign-in page for a person; `None` for a program, and for a request with an API key.
pub fn to_sign_in(request: &Parts) -> Option<Response> {
    let path = request.uri.path();
    if !is_of_a_person(path, &request.headers) || request.headers.contains_key(header::AUTHORIZATION) {
        return None;
    }
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    // A form is not sent again after signing in, but the person returns to the page of the form.
    let is_of_form = path == FORM;
    let target = if is_of_form { FORM } else { target };
    let next = target
        .strip_prefix('/')
        .filter(|_| reads || is_of_form)
        .and_then(NextPage::parse);
    let query = match next {
        Some(NextPage(next)) if !next.is_empty() => format!("?next={}", utf8_percent_encode(&next, NON_ALPHANUMERIC)),
        _ => String::new(),
    };
    // Relative, as all links are: only the proxy knows its own prefix.
    let up = "../".repeat(path.get(1..).unwrap_or_default().matches('/').count());
    let page = SIGN_IN.trim_start_matches('/');
    Some(Redirect::to(&format!("{up}{page}{query}")).into_response())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn a_page_of_this_service_is_accepted_with_its_query() {
        for good in [
            "",
            "?state=queued",
            "experiments",
            "experiments?state=queued&label=team%3Dx&from=2026-01-01T00:00:00Z",
            "experiments/01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11",
            "compare?ids=a,b/3",
        ] {
            let next = NextPage::parse(good).unwrap_or_else(|| panic!("{good}"));
            assert_eq!(next.link(), format!("./{good}"));
        }
    }

    #[test]
    fn a_target_outside_this_service_is_refused() {
        for bad in [
            "//evil.example",
            "/evil",
            "/\\evil.example",
            "\\evil.example",
            "\\\\evil.example",
            "https:evil.example",
            "https://evil.example",
            "HTTPS://evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "experiments\r\nSet-Cookie: x=1",
            "experiments%0d%0aSet-Cookie:x=1",
            "%2f%2fevil.example",
            "%5cevil.example",
            "..",
            "../other",
            "a/../../other",
            "%2e%2e/other",
            ".%2e/other",
            "./x",
            "a//b",
            "a/",
            " //evil.example",
            "\t//evil.example",
            "experiments?x=\r\n",
            "experiments?x=a b",
            "experiments#x",
            "experiments?x=\\",
            "exp\u{e9}riments",
            "evil.example:80",
            "user@evil.example",
            "v1/experiments",
            "metrics",
            "docs",
            "sign-in",
            "sign-in?next=experiments",
            "sign-out",
        ] {
            assert_eq!(NextPage::parse(bad), None, "{bad:?}");
        }
        assert_eq!(NextPage::parse(&"a".repeat(MAX_BYTES + 1)), None);
    }

    fn sent_to(method: &str, target: &str, headers: &[(&str, &str)]) -> Option<String> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = to_sign_in(&request.body(()).unwrap().into_parts().0)?;
        assert_eq!(response.status(), 303);
        Some(response.headers()[header::LOCATION].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_person_is_sent_to_sign_in_from_any_depth_and_a_program_is_not() {
        let person = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        for (target, expected) in [
            ("/", "sign-in"),
            ("/experiments", "sign-in?next=experiments"),
            (
                "/experiments?state=queued&user=a%20b",
                "sign-in?next=experiments%3Fstate%3Dqueued%26user%3Da%2520b",
            ),
            ("/experiments/x1", "../sign-in?next=experiments%2Fx1"),
            ("/a/b/c", "../../sign-in?next=a%2Fb%2Fc"),
            ("//evil.example", "../sign-in"),
            ("/%2e%2e/x", "../sign-in"),
        ] {
            for method in ["GET", "HEAD"] {
                assert_eq!(
                    sent_to(method, target, &[person]).as_deref(),
                    Some(expected),
                    "{target}"
                );
            }
        }
        // The session ended while the form was filled in: the form is not sent again.
        assert_eq!(
            sent_to("POST", "/submit", &[person]).as_deref(),
            Some("sign-in?next=submit")
        );
        assert_eq!(
            sent_to("POST", "/experiments/x/cancel", &[person]).as_deref(),
            Some("../../sign-in")
        );
        assert_eq!(sent_to("GET", "/experiments", &[("accept", "*/*")]), None);
        assert_eq!(sent_to("GET", "/experiments", &[]), None);
        assert_eq!(
            sent_to("GET", "/experiments", &[person, ("authorization", "Bearer x")]),
            None
        );
        for target in ["/v1/experiments", "/v1", "/metrics"] {
            assert_eq!(sent_to("GET", target, &[person]), None, "{target}");
        }
    }
}
