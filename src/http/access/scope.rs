//! The one rule that gives each operation the role it requires.

use axum::http::Method;

use joulemark_experiment::access::Role;

/// The access that an operation requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Open to everybody: health checks, and the documentation of the API.
    Public,
    Needs(Role),
}

const PUBLIC: [&str; 4] = ["/healthz", "/readyz", "/openapi.json", "/docs"];
/// Files that are part of the program, the same for everybody.
const PUBLIC_FOLDERS: [&str; 2] = ["/docs/", "/assets/"];
/// Path of the sign-in page.
pub const SIGN_IN: &str = "/sign-in";
/// Path that ends a session, whatever the role.
pub const SIGN_OUT: &str = "/sign-out";
/// Paths for programs, with everything below them. All other paths are pages for people.
const FOR_PROGRAMS: [&str; 7] = [
    "/v1",
    "/metrics",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/docs",
    "/assets",
];
/// Operations that change nothing although they use `POST`.
const ASKED_BY_POST: [&str; 2] = ["/v1/flops", "/v1/compare"];
const FOR_ADMINS: [&str; 1] = ["/v1/audit"];
/// Pages whose form only submitters may send.
const FOR_SUBMITTERS: [&str; 1] = ["/submit"];

/// The metrics, which the networks that the admin lists in `metrics_from` may read without a key.
const METRICS: &str = "/metrics";

/// Returns whether a listed network may make this request without a key: a read of the metrics.
pub fn is_open_to_listed_networks(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && path == METRICS
}

/// Returns whether a path belongs to the pages for people, including paths that do not exist.
pub fn is_page(path: &str) -> bool {
    let is_below = |folder: &&str| {
        path.strip_prefix(*folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    !FOR_PROGRAMS.iter().any(is_below)
}

/// Returns the role that a request requires. The rule covers all paths, including unknown ones, so that a new operation
/// is safe by default: reading requires a reader, anything else a submitter.
pub fn scope_of(method: &Method, path: &str) -> Scope {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let posts = *method == Method::POST;
    let is_public = PUBLIC.contains(&path) || PUBLIC_FOLDERS.iter().any(|folder| path.starts_with(folder));
    if (reads && is_public) || ((reads || posts) && path == SIGN_IN) {
        Scope::Public
    } else if FOR_ADMINS.contains(&path) {
        Scope::Needs(Role::Admin)
    } else if FOR_SUBMITTERS.contains(&path) {
        Scope::Needs(Role::Submitter)
    } else if reads || (posts && (ASKED_BY_POST.contains(&path) || path == SIGN_OUT)) {
        Scope::Needs(Role::Reader)
    } else {
        Scope::Needs(Role::Submitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_paths_are_public_and_only_for_reading() {
        for path in PUBLIC {
            assert_eq!(scope_of(&Method::GET, path), Scope::Public);
            assert_eq!(scope_of(&Method::POST, path), Scope::Needs(Role::Submitter));
        }
        for file in ["/docs/index.html", "/assets/joulemark.css"] {
            assert_eq!(scope_of(&Method::GET, file), Scope::Public);
            assert_eq!(scope_of(&Method::PUT, file), Scope::Needs(Role::Submitter));
        }
        for path in [
            "/",
            "/healthz/",
            "//healthz",
            "/healthz/../v1/experiments",
            "/HEALTHZ",
            "/docsx",
            "/assets",
            "/assetsx",
            "/sign-in/",
            "/sign-inx",
            "/v1/experiments",
        ] {
            assert_eq!(scope_of(&Method::GET, path), Scope::Needs(Role::Reader), "{path}");
        }
    }

    #[test]
    fn changes_need_more_than_a_reader() {
        for method in [
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ] {
            assert_eq!(scope_of(&method, "/v1/experiments"), Scope::Needs(Role::Submitter));
        }
        for path in ASKED_BY_POST {
            assert_eq!(scope_of(&Method::POST, path), Scope::Needs(Role::Reader));
            assert_eq!(scope_of(&Method::PUT, path), Scope::Needs(Role::Submitter));
        }
        assert_eq!(scope_of(&Method::GET, "/v1/audit"), Scope::Needs(Role::Admin));
        for method in [Method::GET, Method::POST] {
            assert_eq!(scope_of(&method, "/submit"), Scope::Needs(Role::Submitter));
        }
    }

    #[test]
    fn everybody_may_sign_in_and_every_role_may_sign_out() {
        for method in [Method::GET, Method::HEAD, Method::POST] {
            assert_eq!(scope_of(&method, SIGN_IN), Scope::Public);
        }
        for method in [Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(scope_of(&method, SIGN_IN), Scope::Needs(Role::Submitter));
        }
        assert_eq!(scope_of(&Method::POST, SIGN_OUT), Scope::Needs(Role::Reader));
        assert_eq!(scope_of(&Method::DELETE, SIGN_OUT), Scope::Needs(Role::Submitter));
    }

    #[test]
    fn paths_for_programs_are_not_pages() {
        for path in [
            "/v1",
            "/v1/",
            "/v1/experiments",
            "/metrics",
            "/docs/",
            "/openapi.json",
            "/assets/joulemark.js",
        ] {
            assert!(!is_page(path), "{path}");
        }
        for path in ["/", "/experiments", "/v1x", "/v2", "/sign-in", "/metricsx", "//v1", ""] {
            assert!(is_page(path), "{path}");
        }
    }

    #[test]
    fn metrics_are_open_to_readers_and_listed_networks() {
        assert_eq!(scope_of(&Method::GET, METRICS), Scope::Needs(Role::Reader));
        assert!(is_open_to_listed_networks(&Method::GET, METRICS));
        assert!(!is_open_to_listed_networks(&Method::POST, METRICS));
        for path in ["/metrics/", "//metrics", "/v1/experiments", "/metrics/../v1/audit"] {
            assert!(!is_open_to_listed_networks(&Method::GET, path), "{path}");
        }
    }
}
