use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use joulemark_experiment::ExperimentId;

/// The experiment's id from the path.
pub struct IdPath(pub ExperimentId);

impl<S: Send + Sync> FromRequestParts<S> for IdPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::invalid_parameter("id", error.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|_| Problem::invalid_parameter("id", format!("is {text:?}; accepted is an experiment's UUID")))
    }
}

/// The query, with a problem for a parameter that is unknown or cannot be read.
pub struct StrictQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for StrictQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(query) = Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::invalid_parameter("query", error.body_text()))?;
        Ok(Self(query))
    }
}
