use axum::http::{HeaderName, StatusCode};

use super::Problem;
use joulemark_experiment::access::Role;

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
        let detail = "the experiment is another's; its submitter and admins may cancel it";
        Self::new(
            StatusCode::FORBIDDEN,
            "not-yours",
            "The experiment is another's",
            detail,
        )
    }

    /// `sign` is what the request has that says so, after "it".
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
            "the request is for the host {host:?}, and this server has no authentication (--auth none): it answers as \
             localhost or a loopback address only"
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
        let detail = format!("nothing of the body came for {limit_sec} s, the limit of this server (body_timeout_sec)");
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-too-slow",
            "The body comes too slowly",
            detail,
        )
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

    pub fn too_many_at_once(limit: usize) -> Self {
        Self::unavailable(format!(
            "{limit} requests are being answered, the limit of this server (max_concurrent_requests)"
        ))
    }

    pub fn took_too_long(limit_sec: u64) -> Self {
        Self::unavailable(format!("the request took longer than {limit_sec} s; try again"))
    }

    pub fn too_many_streams(limit: usize) -> Self {
        Self::unavailable(format!(
            "{limit} streams and waiting requests are open, the limit of this server (max_streams)"
        ))
    }

    pub fn too_many_exports(limit: usize) -> Self {
        Self::unavailable(format!(
            "{limit} exports are being made, the limit of this server (max_concurrent_exports)"
        ))
    }

    pub fn not_acceptable(given: &str, accepted: &str) -> Self {
        let detail = format!("the Accept header is {given:?}; accepted are {accepted}, or the parameter format");
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
