//! The session cookie. Its name depends on how the service is reached, so that a cookie set over plain HTTP is never
//! accepted over TLS. Two cookies of one name are refused: another page of the host set one of them.

use axum::http::{HeaderMap, HeaderValue, header};
use jiff::SignedDuration;

use super::Origin;
use crate::http::problem::Problem;
use joulemark_experiment::access::SessionToken;

/// Over TLS at the root of the host: browsers accept it only from that host, over TLS, and for all paths.
const OF_HOST: &str = "__Host-joulemark";
/// Over TLS below a path prefix. `__Host-` requires `Path=/`, which would send the session to other services of the
/// host.
const BELOW_PREFIX: &str = "__Secure-joulemark";
/// Over plain HTTP, followed by `-PORT` unless the port is that of the scheme: browsers send cookies to all ports of a
/// host, and two servers on two ports would end each other's sessions.
const PLAIN: &str = "joulemark";

/// The session cookie of one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCookie {
    name: String,
    path: String,
    is_secure: bool,
}

impl SessionCookie {
    /// Returns the session cookie for the scheme and path at which the client reaches the service.
    pub fn of(origin: &Origin) -> Self {
        let (path, is_secure) = (origin.root_path(), origin.is_https());
        let name = match (is_secure, path.as_str()) {
            (true, "/") => OF_HOST.to_owned(),
            (true, _) => BELOW_PREFIX.to_owned(),
            (false, _) => origin
                .port()
                .map_or_else(|| PLAIN.to_owned(), |port| format!("{PLAIN}-{port}")),
        };
        Self { name, path, is_secure }
    }

    /// Returns whether browsers keep the cookie only over HTTPS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Returns the session in a request's cookie; `None` without the cookie.
    ///
    /// # Errors
    /// Returns 400 if the cookie occurs twice: another page set one of them, and it is unknown which.
    pub fn read(&self, headers: &HeaderMap) -> Result<Option<GivenSession>, Problem> {
        let lines = headers.get_all(header::COOKIE).iter();
        // Another program's cookie on the same host may hold any bytes.
        let texts: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        let pairs = texts.iter().flat_map(|text| text.split(';')).map(str::trim);
        let mut values = pairs.filter_map(|pair| pair.strip_prefix(&self.name)?.strip_prefix('='));
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Ok(Some(
                SessionToken::parse(value).map_or(GivenSession::Unknown, GivenSession::Session),
            )),
            (Some(_), Some(_)) => Err(Problem::bad_header(
                &header::COOKIE,
                &format!("has {} twice; accepted is one: delete this site's cookies", self.name),
            )),
        }
    }

    /// Returns the `Set-Cookie` header that sets the session.
    pub fn set(&self, token: &SessionToken, lifetime: SignedDuration) -> Result<HeaderValue, Problem> {
        self.header(&token.reveal(), lifetime.as_secs().max(1))
    }

    /// Returns the `Set-Cookie` header that deletes the session.
    pub fn removal(&self) -> Result<HeaderValue, Problem> {
        self.header("", 0)
    }

    /// Returns a `Set-Cookie` header. With `SameSite=Lax` the cookie is sent when a link on another site is followed,
    /// but not with another site's `POST`.
    fn header(&self, value: &str, max_age_sec: i64) -> Result<HeaderValue, Problem> {
        let Self { name, path, is_secure } = self;
        let secure = if *is_secure { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path={path}; Max-Age={max_age_sec}; HttpOnly; SameSite=Lax{secure}");
        let mut header = HeaderValue::try_from(text).map_err(|_| Problem::internal())?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// The content of a request's session cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenSession {
    Session(SessionToken),
    /// A text that is not a session token of any server.
    Unknown,
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::super::{Peer, TrustedProxies};
    use super::*;

    fn origin(headers: &[(&'static str, &'static str)]) -> Origin {
        let map = headers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let trusted = TrustedProxies {
            networks: Vec::new(),
            socket: true,
        };
        Origin::read(Peer::Socket, &map, &trusted).unwrap()
    }

    const TLS: [(&str, &str); 2] = [("x-forwarded-proto", "https"), ("host", "lab.example")];

    fn cookies(lines: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for line in lines {
            map.append(header::COOKIE, HeaderValue::from_str(line).unwrap());
        }
        map
    }

    #[test]
    fn the_cookie_is_as_restricted_as_its_origin_allows() {
        let token = SessionToken::generate().unwrap();
        let prefix = ("x-forwarded-prefix", "/energy");
        let plain = ("x-forwarded-proto", "http");
        let always = "Max-Age=43200; HttpOnly; SameSite=Lax";
        let value = token.reveal();
        for (origin, expected) in [
            (
                origin(&TLS),
                format!("__Host-joulemark={value}; Path=/; {always}; Secure"),
            ),
            (
                origin(&[TLS[0], TLS[1], prefix]),
                format!("__Secure-joulemark={value}; Path=/energy/; {always}; Secure"),
            ),
            (
                origin(&[plain, TLS[1], prefix]),
                format!("joulemark={value}; Path=/energy/; {always}"),
            ),
            (origin(&[]), format!("joulemark={value}; Path=/; {always}")),
            (
                origin(&[("host", "lab.example:8080")]),
                format!("joulemark-8080={value}; Path=/; {always}"),
            ),
            (
                origin(&[("host", "lab.example:8080")]).known_as(Some("http://lab.example:81")),
                format!("joulemark-81={value}; Path=/; {always}"),
            ),
            (
                origin(&[plain, ("host", "[::1]:8080")]),
                format!("joulemark-8080={value}; Path=/; {always}"),
            ),
            (
                origin(&[plain, TLS[1]]).known_as(Some("https://lab.example:8443")),
                format!("__Host-joulemark={value}; Path=/; {always}; Secure"),
            ),
            (
                origin(&[]).known_as(Some("https://lab.example/a/b")),
                format!("__Secure-joulemark={value}; Path=/a/b/; {always}; Secure"),
            ),
        ] {
            let header = SessionCookie::of(&origin)
                .set(&token, SignedDuration::from_hours(12))
                .unwrap();
            assert_eq!(header.to_str().unwrap(), expected);
            assert!(header.is_sensitive());
        }
        let removal = SessionCookie::of(&origin(&TLS)).removal().unwrap();
        assert_eq!(
            removal.to_str().unwrap(),
            "__Host-joulemark=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"
        );
    }

    #[test]
    fn only_the_cookie_of_the_same_origin_is_read() {
        let token = SessionToken::generate().unwrap();
        let value = token.reveal();
        let found = |origin: &Origin, lines: &[&str]| SessionCookie::of(origin).read(&cookies(lines)).unwrap();
        let own = Some(GivenSession::Session(token));
        let named = |name: &str| format!("{name}={value}");
        let (tls, plain) = (origin(&TLS), origin(&[]));
        for line in [
            named(OF_HOST),
            format!("a=b; {}; c", named(OF_HOST)),
            format!("{};joulemark=tossed", named(OF_HOST)),
        ] {
            assert_eq!(found(&tls, &[&line]), own, "{line}");
        }
        assert_eq!(found(&tls, &["a=b", &named(OF_HOST)]), own);
        assert_eq!(found(&plain, &[&named(PLAIN)]), own);
        for name in [PLAIN, BELOW_PREFIX, "__host-joulemark", "x__Host-joulemark"] {
            assert_eq!(found(&tls, &[&named(name)]), None, "{name}");
        }
        assert_eq!(found(&plain, &[&named(OF_HOST)]), None);
        for value in ["", "x", &format!("\"{value}\""), &value.to_uppercase()] {
            assert_eq!(
                found(&plain, &[&format!("joulemark={value}")]),
                Some(GivenSession::Unknown)
            );
        }
    }

    #[test]
    fn the_cookie_of_a_server_on_another_port_is_not_read() {
        let token = SessionToken::generate().unwrap();
        let on = |host: &'static str| SessionCookie::of(&origin(&[("host", host)]));
        let both = format!("joulemark-8080={}; joulemark-8081=x; joulemark=y", token.reveal());
        let found = on("lab.example:8080").read(&cookies(&[&both])).unwrap();
        assert_eq!(found, Some(GivenSession::Session(token)));
        assert_eq!(on("lab.example:8082").read(&cookies(&[&both])).unwrap(), None);
    }

    #[test]
    fn two_of_one_name_are_refused() {
        let one = SessionToken::generate().unwrap().reveal();
        let twice = [
            format!("joulemark={one}; joulemark={one}"),
            format!("joulemark=; joulemark={one}"),
        ];
        for lines in [vec![&*twice[0]], vec![&*twice[1]], vec!["joulemark=a", "joulemark=b"]] {
            let problem = SessionCookie::of(&origin(&[])).read(&cookies(&lines)).unwrap_err();
            assert!(
                problem.is_of_kind("bad-header") && problem.detail.contains("cookie"),
                "{problem:?}"
            );
            assert!(!problem.detail.contains(&one), "{problem:?}");
        }
    }
}
