//! Which error goes where. [`Problem`] is the one type that every operation's errors become, and `http` the only place
//! that knows status codes; everything below it returns an error of its own, which says what happened.
//!
//! - `StoreError` becomes 503 where another try may help, and 500 otherwise, by [`From`]. What the store refuses by its
//!   rules is no error but a value (`Submitted`, `CancelAnswer`), which the operation turns into 409, 422, 429 or 503.
//! - `FieldProblem`s, of a submission's text, of its admission or of a question, become 422 with a pointer to each field.
//!   `ModelRefusal` and `EngineProblem` are the admission's own, and reach a client as the `FieldProblem` of a field.
//! - A query or header that cannot be read becomes 400 where it is read: it names the parameter.
//! - Who may do what is refused by `access`: 400, 401, 403, 429. A limit of the server itself becomes 503.
//! - A run's `Failure` is no error of a request: it is stored with the experiment and shown as its state. Who asks for
//!   results or a time series that there are none of gets it within a 409.
//! - Whatever should not happen becomes 500 by [`Problem::internal`]: its reason is for the log alone.
//!
//! A variant says what comes next: `StoreError::Lost` to stop, `PollError::Retry` to ask again. The command line gathers
//! errors with anyhow and shows them.

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

/// An error as RFC 9457 describes it (`application/problem+json`). This is the one type that every operation's errors
/// become; nothing below HTTP knows a status code.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem it is, stable for scripts to branch on.
    #[serde(rename = "type")]
    #[schema(example = "urn:problem-type:joulemark:invalid-experiment")]
    pub kind: String,
    /// The kind of problem, for people.
    #[schema(example = "The experiment is not valid")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What is wrong this time, and what is accepted.
    pub detail: String,
    /// Each bad field with a JSON pointer (or the name of a query parameter).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldProblem>,
    /// The experiment's state, where that is what stands in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub state: Option<State>,
    /// Why the experiment failed, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub failure: Option<Box<Failure>>,
    /// Seconds after which the same may be asked again; the Retry-After header says it as well.
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

    /// Tells whether this is its kind, without the part that all kinds have.
    pub fn is_of_kind(&self, kind: &str) -> bool {
        self.kind.rsplit(':').next() == Some(kind)
    }

    fn again_after(self, sec: u32) -> Self {
        Self {
            retry_after_sec: Some(sec),
            ..self
        }
    }

    pub fn invalid_experiment(errors: Vec<FieldProblem>) -> Self {
        Self::invalid_fields("invalid-experiment", "The experiment is not valid", errors)
    }

    /// A question after a model's FLOPs.
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

    /// A query parameter or a part of the path that cannot be read.
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

    pub fn malformed_body(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed-body",
            "The body cannot be read",
            detail,
        )
    }

    pub fn idempotency_key_taken() -> Self {
        let detail = "this Idempotency-Key came with another experiment within the last 24 hours; accepted is the same \
             experiment, or another key";
        let title = "The idempotency key is taken";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-taken", title, detail)
    }

    pub fn unsupported_media_type(given: &str, accepted: [&str; 2]) -> Self {
        let detail = format!(
            "the body's Content-Type is {given}; accepted are {} (with curl: -H 'Content-Type: application/json')",
            accepted.join(" and ")
        );
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The body's type is unknown",
            detail,
        )
    }

    pub fn unsupported_encoding(given: &str) -> Self {
        let detail = format!(
            "the body's Content-Encoding is {given}; accepted is a body that is not packed",
            given = quoted(&given)
        );
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-encoding",
            "The body is packed",
            detail,
        )
    }

    pub fn body_too_large(limit: usize) -> Self {
        let detail = format!("the body is larger than {limit} bytes, the limit of this server (max_body_bytes)");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "The body is too large",
            detail,
        )
    }

    pub fn no_experiment(id: ExperimentId) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-experiment",
            "No such experiment",
            format!("there is no experiment {id}"),
        )
    }

    pub fn no_sweep(id: ExperimentId) -> Self {
        let detail = format!("there is no sweep {id}");
        Self::new(StatusCode::NOT_FOUND, "no-such-sweep", "No such sweep", detail)
    }

    pub fn no_metric(field: &str) -> Self {
        let detail = format!(
            "a result has no figure {field}; GET /v1/metrics lists those that it has",
            field = quoted(&field)
        );
        Self::new(StatusCode::NOT_FOUND, "no-such-metric", "No such metric", detail)
    }

    pub fn not_completed(state: State, failure: Option<Failure>) -> Self {
        let detail = match (&failure, state) {
            (Some(failure), _) => format!("the experiment failed, it has no results: {}", failure.message),
            (None, State::Cancelled) => {
                "the experiment was cancelled before a cycle was finished, it has no results".to_owned()
            }
            (None, _) => format!("the experiment is {state}; results are there once it is completed"),
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

    /// There is no series of an experiment that never had its devices, or has them on another server.
    pub fn no_timeseries(state: State, failure: Option<Failure>) -> Self {
        let detail = match (&failure, state) {
            (Some(failure), _) => format!("the experiment has no time series, it failed: {}", failure.message),
            (None, State::Queued) => {
                "the experiment is queued; its time series begins once it has its devices".to_owned()
            }
            (None, State::Cancelled) => "the experiment was cancelled before it had its devices".to_owned(),
            (None, State::Completed) => "the experiment was completed before time series were kept".to_owned(),
            (None, _) => {
                format!("the experiment is {state} on another server; its time series is there once it is finished")
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

    pub fn timeseries_dropped(at: jiff::Timestamp) -> Self {
        let detail = format!(
            "the experiment's time series was dropped at {at}, as this server is set to (retention_days, \
             retention_bytes); its results are kept"
        );
        Self::new(
            StatusCode::GONE,
            "time-series-dropped",
            "The time series is gone",
            detail,
        )
    }

    pub fn already_finished(state: State) -> Self {
        let detail = format!("the experiment is {state}; only an unfinished one can be cancelled");
        let problem = Self::new(
            StatusCode::CONFLICT,
            "already-finished",
            "The experiment is finished",
            detail,
        );
        Self {
            state: Some(state),
            ..problem
        }
    }

    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "The service cannot answer now",
            detail,
        )
        .again_after(5)
    }

    pub fn internal() -> Self {
        let detail = "the server failed on this request; its log says more, under the request's x-request-id";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server failed",
            detail,
        )
    }
}

/// Returns a name that somebody sent as a sentence shows it; `errors` has it to the letter.
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
            Self::unavailable("the database's disk is full; nothing was changed, try again once there is room")
        } else if let StoreError::FileGone(_) = error {
            Self::unavailable(
                "the database's file was moved away or replaced beneath the server; nothing was changed: the file must be \
                 put back, or the server started anew",
            )
        } else if error.is_statement_timeout() {
            Self::unavailable(
                "the database took longer for this than it may on this server (query_timeout_sec); ask for less: with other \
                 filters, or a smaller page",
            )
        } else if error.is_retryable() {
            Self::unavailable("the database cannot be reached; nothing was changed, try again")
        } else {
            Self::internal()
        }
    }
}

pub async fn no_such_route(uri: Uri) -> Problem {
    let detail = format!(
        "there is nothing at {}; the API is described at /openapi.json",
        uri.path()
    );
    Problem::new(StatusCode::NOT_FOUND, "no-such-route", "No such route", detail)
}

pub async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "{} does not take {method}; the Allow header lists what it takes",
        uri.path()
    );
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no-such-method",
        "No such method",
        detail,
    )
}
