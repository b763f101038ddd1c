//! Extractors for parts of a path.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use super::problem::Problem;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::quoted;

/// The id of an experiment or a sweep in the path.
pub struct IdPath(pub ExperimentId);

impl<S: Send + Sync> FromRequestParts<S> for IdPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::invalid_parameter("id", "is not UTF-8; accepted is an experiment's UUID"))?;
        text.parse().map(Self).map_err(|_| {
            Problem::invalid_parameter(
                "id",
                format!("is {text}; accepted is an experiment's UUID", text = quoted(&text)),
            )
        })
    }
}
