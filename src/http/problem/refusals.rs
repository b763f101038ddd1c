use axum::http::{HeaderName, StatusCode};
use jiff::Timestamp;

use super::Problem;
use crate::allowance::{Account, Weekly};
use crate::http::paced::LEAST_BYTES_PER_SEC;
use joulemark_experiment::FieldProblem;
use joulemark_experiment::access::Role;
use joulemark_measurement::quoted;
use joulemark_store::NoneLeft;

/// Seconds to wait where nobody knows when there is room again.
const LONG_WAIT_SEC: i64 = 3600;

/// Requests that are refused for who sent them, for their headers, or for how many there are.
impl Problem {
    pub fn unauthenticated(why: &str) -> Self {
        let detail = format!(
            "{why}; accepted is the header \"Authorization: Bearer KEY\" with a key that the admin makes by \
             `joulemark key create`"
        );
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "An API key is needed",
            detail,
        )
    }

    pub fn invalid_key(why: &str) -> Self {
        let detail = format!("{why}; the admin makes keys by `joulemark key create`");
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid-key",
            "The API key is not valid",
            detail,
        )
    }

    /// Refuses a session that is none of this server's, or has ended with its time, its key or by signing out.
    pub fn session_ended(why: &str) -> Self {
        let detail =
            format!("{why}; sign in again on the page sign-in, or send an API key in the Authorization header");
        let title = "The session is not valid";
        Self::new(StatusCode::UNAUTHORIZED, "session-ended", title, detail)
    }

    /// Refuses what changes something and came with a session, but from no page of that session as far as it shows.
    pub fn csrf_token(is_missing: bool) -> Self {
        let what = if is_missing {
            "is missing"
        } else {
            "is another session's"
        };
        let detail = format!(
            "the request came with a session's cookie and changes something, and its CSRF token {what}; accepted is the \
             token of the session's own pages, in a form's field csrf or the header x-csrf-token. Load the page anew; \
             programs send an API key in the Authorization header instead, and need none"
        );
        let title = "The CSRF token is missing or wrong";
        Self::new(StatusCode::FORBIDDEN, "csrf-token", title, detail)
    }

    pub fn role_too_low(has: Role, needs: Role) -> Self {
        let detail = format!("this needs the role {needs}, the caller's is {has}");
        Self::new(
            StatusCode::FORBIDDEN,
            "role-too-low",
            "The caller may not do this",
            detail,
        )
    }

    pub fn not_yours() -> Self {
        let detail = "the experiment is another's; its submitter and admins may change it";
        Self::new(
            StatusCode::FORBIDDEN,
            "not-yours",
            "The experiment is another's",
            detail,
        )
    }

    /// Refuses what came through a proxy. `sign` is what the request has that says so, after "it".
    pub fn forwarded_without_authentication(sign: &str) -> Self {
        let detail = format!(
            "the request came through a proxy (it {sign}), and this server has no authentication (--auth none): it answers \
             programs of its own host only. Behind a proxy run it with --auth keys and --trusted-proxy"
        );
        let title = "Nothing is served through a proxy without authentication";
        Self::new(StatusCode::FORBIDDEN, "forwarded-without-authentication", title, detail)
    }

    pub fn foreign_host(host: &str) -> Self {
        let detail = format!(
            "the request is for the host {host}, and this server has no authentication (--auth none): it answers as \
             localhost or a loopback address only",
            host = quoted(&host)
        );
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign-host",
            "The host is not this one",
            detail,
        )
    }

    pub fn cross_site() -> Self {
        let detail = "the request was made by a page of another site; the admin can name its origin with --cors-origin";
        Self::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "Other sites' pages may not do this",
            detail,
        )
    }

    pub fn bad_header(name: &HeaderName, what: &str) -> Self {
        let title = "A header is not valid";
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-header",
            title,
            format!("the header {name} {what}"),
        )
    }

    pub fn uri_too_long(limit: usize) -> Self {
        let detail =
            format!("the request's target is longer than {limit} bytes, the limit of this server (max_uri_bytes)");
        Self::new(
            StatusCode::URI_TOO_LONG,
            "uri-too-long",
            "The target is too long",
            detail,
        )
    }

    pub fn headers_too_large(limit: usize) -> Self {
        let detail = format!("the headers are larger than {limit} bytes, the limit of this server (max_header_bytes)");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::new(status, "headers-too-large", "The headers are too large", detail)
    }

    pub fn body_too_slow(limit_sec: u32) -> Self {
        Self::slow_body(format!(
            "the body pauses or comes at less than {LEAST_BYTES_PER_SEC} bytes a second; accepted are pauses of \
             {limit_sec} s together, the limit of this server (body_timeout_sec)"
        ))
    }

    pub fn body_too_late(limit_sec: u64) -> Self {
        Self::slow_body(format!(
            "the body was not whole after {limit_sec} s, the limit of this server (request_timeout_sec)"
        ))
    }

    fn slow_body(detail: String) -> Self {
        let status = StatusCode::REQUEST_TIMEOUT;
        Self::new(status, "body-too-slow", "The body comes too slowly", detail)
    }

    /// Refuses a caller who has as much as one may of something that runs out.
    fn share_used_up(held: &str, option: &str) -> Self {
        let detail = format!("the caller has {held}, a caller's share of this server's {option} (max_share_percent)");
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "share",
            "The caller's share is used up",
            detail,
        );
        problem.again_after(5)
    }

    pub fn too_many_requests(per_minute: u32, retry_after_sec: u32) -> Self {
        let detail = format!("the caller has made {per_minute} requests in a minute (rate_limit_per_minute)");
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limit", "Too many requests", detail);
        problem.again_after(retry_after_sec)
    }

    pub fn quota_used_up(limit: u64) -> Self {
        let detail = format!(
            "{limit} experiments of the caller wait or run, which is the limit of this server (max_unfinished_per_user); \
             there is room once one of them is finished or cancelled"
        );
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "quota", "The quota is used up", detail);
        problem.again_after(60)
    }

    /// Refuses a submitter who has had what they may have in seven days.
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
            None => ("seven days after what runs now has ended".to_owned(), LONG_WAIT_SEC),
        };
        let detail = format!(
            "experiments of {} took {:.2} {unit} in the last seven days; allowed are {} ({option}); there is room \
             again {when}",
            quoted(name),
            account.used,
            account.allowed.unwrap_or(0)
        );
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, kind, title, detail);
        problem.again_after(u32::try_from(retry_after_sec.max(1)).unwrap_or(u32::MAX))
    }

    pub fn priority_too_high(asked: i32, most: i32, role: Role) -> Self {
        let detail = format!(
            "is {asked}; accepted of the role {role} is at most {most} (max_priority_submitter), and only admins go above it"
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

    pub fn too_much_stored(used_bytes: u64, limit: u64) -> Self {
        let detail = format!(
            "the caller's experiments take {used_bytes} bytes, prompts above all; with this one they would take more than \
             {limit}, the limit of this server (max_stored_bytes_per_user). There is room once the server drops the \
             prompts of finished ones (prompt_retention_days); accepted without are prompts of a built-in set, and those \
             made from a seed"
        );
        let title = "The caller's storage is used up";
        Self::new(StatusCode::FORBIDDEN, "storage-quota", title, detail)
    }

    pub fn queue_full(limit: u64) -> Self {
        let detail = format!("{limit} experiments wait already, the limit of this server (max_queued)");
        let problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "queue-full",
            "The queue is full",
            detail,
        );
        problem.again_after(60)
    }

    pub fn too_many_at_once(none_left: NoneLeft) -> Self {
        match none_left {
            NoneLeft::OfCaller(share) => Self::share_used_up(
                &format!("{share} requests, or their bodies and answers in MiB, under way"),
                "max_concurrent_requests",
            ),
            NoneLeft::OfAll(limit) => Self::unavailable(format!(
                "{limit} requests are being answered, the limit of this server (max_concurrent_requests)"
            )),
        }
    }

    /// Refuses more connections from one address than its share.
    pub fn too_many_connections(share: u32) -> Self {
        Self::share_used_up(&format!("{share} connections open from one address"), "max_connections")
    }

    pub fn took_too_long(limit_sec: u64) -> Self {
        Self::unavailable(format!("the request took longer than {limit_sec} s; try again"))
    }

    pub fn too_many_streams(none_left: NoneLeft) -> Self {
        match none_left {
            NoneLeft::OfCaller(share) => {
                Self::share_used_up(&format!("{share} streams and waiting requests open"), "max_streams")
            }
            NoneLeft::OfAll(limit) => Self::unavailable(format!(
                "{limit} streams and waiting requests are open, the limit of this server (max_streams)"
            )),
        }
    }

    pub fn too_many_exports(none_left: NoneLeft) -> Self {
        let whose = match none_left {
            NoneLeft::OfCaller(share) => format!("{share} exports of the caller are"),
            NoneLeft::OfAll(open) => format!("{open} exports are"),
        };
        Self::unavailable(format!(
            "{whose} open, as many as this server lets be (max_concurrent_exports)"
        ))
    }

    pub fn not_acceptable(given: &str, accepted: &str) -> Self {
        let detail = format!(
            "the Accept header is {given}; accepted are {accepted}, or the parameter format",
            given = quoted(&given)
        );
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "not-acceptable",
            "There is no such format",
            detail,
        )
    }

    pub fn encoding_not_acceptable() -> Self {
        let detail = "the Accept-Encoding header refuses all that there is; accepted are gzip, zstd and identity";
        let title = "There is no such encoding";
        Self::new(StatusCode::NOT_ACCEPTABLE, "encoding-not-acceptable", title, detail)
    }

    pub fn http_version_too_old() -> Self {
        let detail = "this format needs HTTP/1.1 or later, where a body that breaks off is not taken for whole; accepted by \
             HTTP/1.0 is format=parquet (in nginx: proxy_http_version 1.1)";
        let title = "The HTTP version is too old";
        Self::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "http-version-too-old",
            title,
            detail,
        )
    }

    pub fn requests_dropped(at: jiff::Timestamp) -> Self {
        let detail = format!(
            "the experiment's requests were dropped at {at}, as this server is set to (retention_days, \
             retention_bytes); its results are kept"
        );
        Self::new(StatusCode::GONE, "requests-dropped", "The requests are gone", detail)
    }
}
