//! Errors of the API. [`Problem`] is the type that every operation's errors become, and the place where they get a
//! status code. The layers below HTTP return their own error types, which say what happened.
//!
//! - `StoreError` becomes 503 if a retry may help, and 500 otherwise, by [`From`]. A refusal by the store's rules is
//!   not an error but a value (`Submitted`, `CancelAnswer`), which the operation turns into 409, 422, 429 or 503.
//! - `FieldProblem`s of a submission, of its admission or of a question become 422 with a pointer to each field.
//!   `ModelRefusal` and `EngineProblem` belong to the admission and reach a client as `FieldProblem`s.
//! - A query parameter or header that cannot be read becomes 400 in the function that reads it, and is named.
//! - `access` refuses callers with 400, 401, 403 or 429. A limit of the whole server becomes 503.
//! - The `Failure` of a run is not an error of a request: it is stored with the experiment and shown with its state. A
//!   request for results or a time series that do not exist because of it gets it in a 409.
//! - Anything unexpected becomes 500 by [`Problem::internal`]; its cause is only logged.
//!
//! Variants of errors say what to do next: `StoreError::Lost` to stop, `PollError::Retry` to ask again. The command
//! line collects errors with anyhow and prints them.

mod refusals;

use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use joulemark_experiment::{ExperimentId, Failure, FieldProblem, State};
use joulemark_measurement::quoted;
use joulemark_store::StoreError;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// An error in the format of RFC 9457 (`application/problem+json`). All operations return their errors in it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Problem {
    /// Kind of the problem; stable, so that scripts can branch on it.
    #[serde(rename = "type")]
    #[schema(example = "urn:problem-type:joulemark:invalid-experiment")]
    pub kind: String,
    /// Kind of the problem, for people.
    #[schema(example = "The experiment is not valid")]
    pub title: String,
    /// HTTP status code.
    #[schema(example = 422)]
    pub status: u16,
    /// What is wrong in this case, and what is accepted.
    pub detail: String,
    /// The invalid fields, each with a JSON pointer or the name of a query parameter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldProblem>,
    /// State of the experiment, if it is the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub state: Option<State>,
    /// Why the experiment failed, if it is the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub failure: Option<Box<Failure>>,
    /// Seconds after which the request may be repeated, as in the Retry-After header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_after_sec: Option<u32>,
}

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:problem-type:joulemark:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            state: None,
            failure: None,
            retry_after_sec: None,
        }
    }

    /// Returns whether this is the kind, named without its common prefix.
    pub fn is_of_kind(&self, kind: &str) -> bool {
        self.kind.rsplit(':').next() == Some(kind)
    }

    /// Adds the time after which the request may be repeated.
    fn again_after(self, sec: u32) -> Self {
        Self {
            retry_after_sec: Some(sec),
            ..self
        }
    }

    /// Refuses a submission with invalid fields.
    pub fn invalid_experiment(errors: Vec<FieldProblem>) -> Self {
        Self::invalid_fields("invalid-experiment", "The experiment is not valid", errors)
    }

    /// Refuses a question about a model's FLOPs.
    pub fn invalid_question(errors: Vec<FieldProblem>) -> Self {
        Self::invalid_fields("invalid-question", "The question is not valid", errors)
    }

    /// Refuses a comparison of results.
    pub fn invalid_comparison(errors: Vec<FieldProblem>) -> Self {
        Self::invalid_fields("invalid-comparison", "The comparison is not valid", errors)
    }

    /// Refuses a sweep.
    pub fn invalid_sweep(errors: Vec<FieldProblem>) -> Self {
        Self::invalid_fields("invalid-sweep", "The sweep is not valid", errors)
    }

    /// Refuses a change of labels.
    pub fn invalid_labels(errors: Vec<FieldProblem>) -> Self {
        Self::invalid_fields("invalid-labels", "The labels are not valid", errors)
    }

    /// Returns a 422 that names the first field in `detail` and all in `errors`.
    fn invalid_fields(kind: &str, title: &str, errors: Vec<FieldProblem>) -> Self {
        let first = errors
            .first()
            .map(|error| format!("{} {}", plain(&error.pointer), error.detail))
            .unwrap_or_default();
        let more = match errors.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more, see errors)"),
        };
        let detail = format!("{}{more}", first.trim());
        Self {
            errors,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, kind, title, detail)
        }
    }

    /// Refuses a query parameter or a part of the path.
    pub fn invalid_parameter(name: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let errors = vec![FieldProblem::new(name, detail.clone())];
        let title = "A parameter is not valid";
        Self {
            errors,
            ..Self::new(
                StatusCode::BAD_REQUEST,
                "invalid-parameter",
                title,
                format!("{} {detail}", plain(name)),
            )
        }
    }

    /// Refuses a body that cannot be read.
    pub fn malformed_body(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed-body",
            "The body cannot be read",
            detail,
        )
    }

    /// Refuses an idempotency key that was used for another submission.
    pub fn idempotency_key_taken() -> Self {
        let detail = "this Idempotency-Key was used for another experiment within the last 24 hours; accepted is the same \
             experiment, or another key";
        let title = "The idempotency key is taken";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-taken", title, detail)
    }

    /// Refuses a body of another media type.
    pub fn unsupported_media_type(given: &str, accepted: [&str; 2]) -> Self {
        let detail = format!(
            "the body's Content-Type is {given}; accepted are {} (with curl: -H 'Content-Type: application/json')",
            accepted.join(" and ")
        );
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The media type is not supported",
            detail,
        )
    }

    /// Refuses a compressed body.
    pub fn unsupported_encoding(given: &str) -> Self {
        let detail = format!(
            "the body's Content-Encoding is {given}; accepted is an uncompressed body",
            given = quoted(&given)
        );
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-encoding",
            "The body is compressed",
            detail,
        )
    }

    /// Refuses a body above the maximum size.
    pub fn body_too_large(limit: usize) -> Self {
        let detail = format!("the body is larger than {limit} bytes, the limit of this server (max_body_bytes)");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "The body is too large",
            detail,
        )
    }

    /// Reports that an experiment does not exist.
    pub fn no_experiment(id: ExperimentId) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-experiment",
            "No such experiment",
            format!("there is no experiment {id}"),
        )
    }

    /// Reports that a sweep does not exist.
    pub fn no_sweep(id: ExperimentId) -> Self {
        let detail = format!("there is no sweep {id}");
        Self::new(StatusCode::NOT_FOUND, "no-such-sweep", "No such sweep", detail)
    }

    /// Reports that a result has no such figure.
    pub fn no_metric(field: &str) -> Self {
        let detail = format!(
            "a result has no figure {field}; GET /v1/metrics lists all figures",
            field = quoted(&field)
        );
        Self::new(StatusCode::NOT_FOUND, "no-such-metric", "No such metric", detail)
    }

    /// Reports that an experiment has no results, with its state and its failure.
    pub fn not_completed(state: State, failure: Option<Failure>) -> Self {
        let detail = match (&failure, state) {
            (Some(failure), _) => format!("the experiment failed and has no results: {}", failure.message),
            (None, State::Cancelled) => {
                "the experiment was cancelled before a cycle was finished and has no results".to_owned()
            }
            (None, _) => format!("the experiment is {state}; it has results once it is completed"),
        };
        let problem = Self::new(
            StatusCode::CONFLICT,
            "not-completed",
            "The experiment is not completed",
            detail,
        );
        Self {
            state: Some(state),
            failure: failure.map(Box::new),
            ..problem
        }
    }

    /// Reports that an experiment has no time series: it never had devices, or runs on another server.
    pub fn no_timeseries(state: State, failure: Option<Failure>) -> Self {
        let detail = match (&failure, state) {
            (Some(failure), _) => format!("the experiment failed and has no time series: {}", failure.message),
            (None, State::Queued) => {
                "the experiment is queued; its time series begins when it gets its devices".to_owned()
            }
            (None, State::Cancelled) => "the experiment was cancelled before it got its devices".to_owned(),
            (None, State::Completed) => "the experiment was run by a version that stored no time series".to_owned(),
            (None, _) => {
                format!("the experiment is {state} on another server; its time series is available once it is finished")
            }
        };
        let problem = Self::new(
            StatusCode::CONFLICT,
            "no-timeseries",
            "The experiment has no time series",
            detail,
        );
        Self {
            state: Some(state),
            failure: failure.map(Box::new),
            ..problem
        }
    }

    /// Reports that retention has deleted a time series.
    pub fn timeseries_dropped(at: jiff::Timestamp) -> Self {
        let detail = format!(
            "the experiment's time series was deleted at {at} by this server's retention (retention_days, \
             retention_bytes); its results are kept"
        );
        Self::new(
            StatusCode::GONE,
            "time-series-dropped",
            "The time series was deleted",
            detail,
        )
    }

    /// Refuses to cancel a finished experiment or sweep.
    pub fn already_finished(state: State) -> Self {
        let detail = format!("it is {state}; only an unfinished experiment or sweep can be cancelled");
        let problem = Self::new(
            StatusCode::CONFLICT,
            "already-finished",
            "It is finished already",
            detail,
        );
        Self {
            state: Some(state),
            ..problem
        }
    }

    /// Reports that the service cannot answer at present.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "The service cannot answer now",
            detail,
        )
        .again_after(5)
    }

    /// Reports an internal error, whose cause is only logged.
    pub fn internal() -> Self {
        let detail = "the server failed on this request; its log has the details under the request's x-request-id";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server failed",
            detail,
        )
    }
}

/// Returns a name from a request without control characters, for a sentence; `errors` has it unchanged.
fn plain(name: &str) -> String {
    name.replace(char::is_control, "\u{fffd}")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after_sec.map(HeaderValue::from);
        let challenge = match self.kind.rsplit(':').next() {
            Some("invalid-key") => "Bearer realm=\"joulemark\", error=\"invalid_token\"",
            _ => "Bearer realm=\"joulemark\"",
        };
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        if let Some(sec) = retry_after {
            headers.insert(header::RETRY_AFTER, sec);
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the database failed");
        if error.is_disk_full() {
            Self::unavailable("the database's disk is full; nothing was changed, try again when there is room")
        } else if let StoreError::FileGone(_) = error {
            Self::unavailable(
                "the database's file was moved away or replaced while the server ran; nothing was changed: put the file \
                 back, or restart the server",
            )
        } else if error.is_statement_timeout() {
            Self::unavailable(
                "the database query exceeded this server's time limit (query_timeout_sec); ask for less, with other \
                 filters or a smaller page",
            )
        } else if error.is_retryable() {
            Self::unavailable("the database cannot be reached; nothing was changed, try again")
        } else {
            Self::internal()
        }
    }
}

/// Answers a request for a path that does not exist.
pub async fn no_such_route(uri: Uri) -> Problem {
    let detail = format!(
        "there is nothing at {}; the API is described at /openapi.json",
        uri.path()
    );
    Problem::new(StatusCode::NOT_FOUND, "no-such-route", "No such route", detail)
}

/// Answers a request with a method that the path does not support.
pub async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "{} does not support {method}; the Allow header lists the supported methods",
        uri.path()
    );
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no-such-method",
        "The method is not supported",
        detail,
    )
}
