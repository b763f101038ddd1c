//! Problems of requests that are refused because of their sender, their headers, or a limit.

use axum::http::{HeaderName, StatusCode};
use jiff::Timestamp;

use super::Problem;
use crate::allowance::{Account, Weekly};
use crate::http::paced::MIN_BYTES_PER_SEC;
use joulemark_experiment::FieldProblem;
use joulemark_experiment::access::Role;
use joulemark_measurement::quoted;
use joulemark_store::NoneLeft;

/// Seconds to wait if it is unknown when there is room again.
const LONG_WAIT_SEC: i64 = 3600;

/// Constructors of these problems.
impl Problem {
    /// Refuses a request without an API key.
    pub fn unauthenticated(why: &str) -> Self {
        let detail = format!(
            "{why}; accepted is the header \"Authorization: Bearer KEY\" with a key that the admin creates with \
             `joulemark key create`"
        );
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "An API key is needed",
            detail,
        )
    }

    /// Refuses an API key that is unknown, expired or revoked.
    pub fn invalid_key(why: &str) -> Self {
        let detail = format!("{why}; the admin creates keys with `joulemark key create`");
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid-key",
            "The API key is not valid",
            detail,
        )
    }

    /// Refuses a session that is unknown, or that ended by expiry, with its key or by signing out.
    pub fn session_ended(why: &str) -> Self {
        let detail =
            format!("{why}; sign in again on the page sign-in, or send an API key in the Authorization header");
        let title = "The session is not valid";
        Self::new(StatusCode::UNAUTHORIZED, "session-ended", title, detail)
    }

    /// Refuses a request of a session that changes something without the session's CSRF token.
    pub fn csrf_token(is_missing: bool) -> Self {
        let what = if is_missing {
            "is missing"
        } else {
            "belongs to another session"
        };
        let detail = format!(
            "the request changes something under a session, and its CSRF token {what}; accepted is the token from the \
             session's own pages, in the form field csrf or the header x-csrf-token. Reload the page; programs send an \
             API key in the Authorization header instead and need no token"
        );
        let title = "The CSRF token is missing or wrong";
        Self::new(StatusCode::FORBIDDEN, "csrf-token", title, detail)
    }

    /// Refuses a caller whose role is too low.
    pub fn role_too_low(has: Role, needs: Role) -> Self {
        let detail = format!("this needs the role {needs}; the caller has the role {has}");
        Self::new(
            StatusCode::FORBIDDEN,
            "role-too-low",
            "The caller may not do this",
            detail,
        )
    }

    /// Refuses the change of an experiment or a sweep of another user.
    pub fn not_yours() -> Self {
        let detail = "the experiment or sweep has another submitter; only its submitter and admins may change it";
        Self::new(StatusCode::FORBIDDEN, "not-yours", "It belongs to another user", detail)
    }

    /// Refuses a request that came through a proxy. `sign` names what shows that, as a continuation of "it".
    pub fn forwarded_without_authentication(sign: &str) -> Self {
        let detail = format!(
            "the request came through a proxy (it {sign}), and this server has no authentication (--auth none): it answers \
             programs on its own host only. Run it with --auth keys and --trusted-proxy behind a proxy"
        );
        let title = "A server without authentication cannot be used through a proxy";
        Self::new(StatusCode::FORBIDDEN, "forwarded-without-authentication", title, detail)
    }

    /// Refuses a request for another host name on a server without authentication.
    pub fn foreign_host(host: &str) -> Self {
        let detail = format!(
            "the request is for the host {host}, and this server has no authentication (--auth none): it answers as \
             localhost or a loopback address only",
            host = quoted(&host)
        );
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign-host",
            "The host name is not accepted",
            detail,
        )
    }

    /// Refuses a request that a page of another site made.
    pub fn cross_site() -> Self {
        let detail = "a page of another site made the request; the admin can allow its origin with --cors-origin";
        Self::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "Pages of other sites may not do this",
            detail,
        )
    }

    /// Refuses a header; `what` says what is wrong and what is accepted.
    pub fn bad_header(name: &HeaderName, what: &str) -> Self {
        let title = "A header is not valid";
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-header",
            title,
            format!("the header {name} {what}"),
        )
    }

    /// Refuses a path and query that are too long.
    pub fn uri_too_long(limit: usize) -> Self {
        let detail =
            format!("the path and query are longer than {limit} bytes, the limit of this server (max_uri_bytes)");
        Self::new(
            StatusCode::URI_TOO_LONG,
            "uri-too-long",
            "The path and query are too long",
            detail,
        )
    }

    /// Refuses headers that are too large.
    pub fn headers_too_large(limit: usize) -> Self {
        let detail = format!("the headers are larger than {limit} bytes, the limit of this server (max_header_bytes)");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::new(status, "headers-too-large", "The headers are too large", detail)
    }

    /// Refuses a body that arrives too slowly.
    pub fn body_too_slow(limit_sec: u32) -> Self {
        Self::slow_body(format!(
            "the body arrives too slowly: accepted are at least {MIN_BYTES_PER_SEC} bytes per second on average, and pauses of \
             {limit_sec} s in total, the limit of this server (body_timeout_sec)"
        ))
    }

    /// Refuses a body that is incomplete at the deadline.
    pub fn body_too_late(limit_sec: u64) -> Self {
        Self::slow_body(format!(
            "the body was incomplete after {limit_sec} s, the limit of this server (request_timeout_sec)"
        ))
    }

    fn slow_body(detail: String) -> Self {
        let status = StatusCode::REQUEST_TIMEOUT;
        Self::new(status, "body-too-slow", "The body arrives too slowly", detail)
    }

    /// Refuses a caller who holds the maximum share of a limited resource.
    fn share_used_up(held: &str, option: &str) -> Self {
        let detail = format!("the caller has {held}, the maximum share of one caller in {option} (max_share_percent)");
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "share",
            "The caller's share is used up",
            detail,
        );
        problem.again_after(5)
    }

    /// Refuses a request above the rate limit.
    pub fn too_many_requests(per_minute: u32, retry_after_sec: u32) -> Self {
        let detail = format!("the caller has made {per_minute} requests in a minute (rate_limit_per_minute)");
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limit", "Too many requests", detail);
        problem.again_after(retry_after_sec)
    }

    /// Refuses a submission above the limit on unfinished experiments.
    pub fn quota_used_up(limit: u64) -> Self {
        let detail = format!(
            "the caller has {limit} unfinished experiments, the limit of this server (max_unfinished_per_user); there is \
             room when one of them finishes or is cancelled"
        );
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "quota", "The quota is used up", detail);
        problem.again_after(60)
    }

    /// Refuses a submitter whose usage of the last seven days has reached a limit.
    pub fn week_used_up(of: Weekly, name: &str, account: &Account, now: Timestamp) -> Self {
        let (kind, title, unit, option) = match of {
            Weekly::DeviceHours => (
                "device-hours-used-up",
                "The device-hours are used up",
                "device-hours",
                "max_device_hours_per_week",
            ),
            Weekly::Joules => (
                "joules-used-up",
                "The joules are used up",
                "joules",
                "max_joules_per_week",
            ),
        };
        let (when, retry_after_sec) = match account.room_again_at {
            Some(at) => (format!("at {at:.0}"), at.duration_since(now).as_secs()),
            None => (
                "seven days after the running experiments have ended".to_owned(),
                LONG_WAIT_SEC,
            ),
        };
        let detail = format!(
            "experiments of {} used {:.2} {unit} in the last seven days; allowed are {} ({option}); there is room again \
             {when}",
            quoted(name),
            account.used,
            account.allowed.unwrap_or(0)
        );
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, kind, title, detail);
        problem.again_after(u32::try_from(retry_after_sec.max(1)).unwrap_or(u32::MAX))
    }

    /// Refuses a priority above the maximum of the caller's role.
    pub fn priority_too_high(asked: i32, max: i32, role: Role) -> Self {
        let detail = format!(
            "is {asked}; accepted for the role {role} is at most {max} (max_priority_submitter); only admins may exceed it"
        );
        let title = "The caller may not ask for this priority";
        Self {
            errors: vec![FieldProblem::new("/priority", detail.clone())],
            ..Self::new(
                StatusCode::FORBIDDEN,
                "priority-too-high",
                title,
                format!("/priority {detail}"),
            )
        }
    }

    /// Refuses a submission above the limit on stored bytes.
    pub fn too_much_stored(used_bytes: u64, limit: u64) -> Self {
        let detail = format!(
            "the caller's experiments take {used_bytes} bytes, mostly prompts; with this one they would take more than \
             {limit}, the limit of this server (max_stored_bytes_per_user). There is room when the server deletes the \
             prompts of finished ones (prompt_retention_days). Prompts of a built-in set and prompts made from a seed are \
             accepted, since they take almost no space"
        );
        let title = "The caller's storage is used up";
        Self::new(StatusCode::FORBIDDEN, "storage-quota", title, detail)
    }

    /// Refuses a submission to a full queue.
    pub fn queue_full(limit: u64) -> Self {
        let detail = format!("{limit} experiments are queued, the limit of this server (max_queued)");
        let problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "queue-full",
            "The queue is full",
            detail,
        );
        problem.again_after(60)
    }

    /// Refuses a request above the limit on concurrent requests.
    pub fn too_many_at_once(none_left: NoneLeft) -> Self {
        match none_left {
            NoneLeft::OfCaller(share) => Self::share_used_up(
                &format!("{share} requests under way (each MiB of a body or an answer counts as one more)"),
                "max_concurrent_requests",
            ),
            NoneLeft::OfAll(limit) => Self::unavailable(format!(
                "{limit} requests are under way, the limit of this server (max_concurrent_requests)"
            )),
        }
    }

    /// Refuses a connection above the share of one address.
    pub fn too_many_connections(share: u32) -> Self {
        Self::share_used_up(&format!("{share} connections open from one address"), "max_connections")
    }

    /// Refuses a request whose answer did not begin before the deadline.
    pub fn took_too_long(limit_sec: u64) -> Self {
        Self::unavailable(format!("the request took longer than {limit_sec} s; try again"))
    }

    /// Refuses a stream or a waiting request above the limit.
    pub fn too_many_streams(none_left: NoneLeft) -> Self {
        match none_left {
            NoneLeft::OfCaller(share) => {
                Self::share_used_up(&format!("{share} open streams and waiting requests"), "max_streams")
            }
            NoneLeft::OfAll(limit) => Self::unavailable(format!(
                "{limit} streams and waiting requests are open, the limit of this server (max_streams)"
            )),
        }
    }

    /// Refuses an export above the limit.
    pub fn too_many_exports(none_left: NoneLeft) -> Self {
        let whose = match none_left {
            NoneLeft::OfCaller(share) => format!("the caller has {share} open exports, the maximum of one caller"),
            NoneLeft::OfAll(open) => format!("{open} exports are open, the maximum"),
        };
        Self::unavailable(format!("{whose} on this server (max_concurrent_exports)"))
    }

    /// Refuses an `Accept` header that matches no format.
    pub fn not_acceptable(given: &str, accepted: &str) -> Self {
        let detail = format!(
            "the Accept header is {given}; accepted are {accepted}, or use the parameter format",
            given = quoted(&given)
        );
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "not-acceptable",
            "The format is not available",
            detail,
        )
    }

    /// Refuses an `Accept-Encoding` header that matches no encoding.
    pub fn encoding_not_acceptable() -> Self {
        let detail =
            "the Accept-Encoding header excludes all available encodings; accepted are gzip, zstd and identity";
        let title = "The encoding is not available";
        Self::new(StatusCode::NOT_ACCEPTABLE, "encoding-not-acceptable", title, detail)
    }

    /// Refuses HTTP/1.0 for a format that does not mark its end.
    pub fn http_version_too_old() -> Self {
        let detail = "this format needs HTTP/1.1 or later, in which an incomplete body can be detected; accepted by \
             HTTP/1.0 is format=parquet (in nginx: proxy_http_version 1.1)";
        let title = "The HTTP version is too old";
        Self::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "http-version-too-old",
            title,
            detail,
        )
    }

    /// Reports that retention has deleted the requests of an experiment.
    pub fn requests_dropped(at: jiff::Timestamp) -> Self {
        let detail = format!(
            "the experiment's requests were deleted at {at} by this server's retention (retention_days, \
             retention_bytes); its results are kept"
        );
        Self::new(
            StatusCode::GONE,
            "requests-dropped",
            "The requests were deleted",
            detail,
        )
    }
}
