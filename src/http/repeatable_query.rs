//! Queries in which some parameters may be repeated. Exactly the parameters in the API's description are accepted.
//! Unlike axum's extractors, this one names an unknown or repeated parameter, and does not treat an empty value as
//! absent. Values may not contain NUL, which PostgreSQL cannot store. Each operation parses its own values.

use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, openapi::path::ParameterIn};

use super::problem::Problem;

/// Maximum number of values of a parameter; each costs the database work.
pub const MAX_VALUES: usize = 16;

/// A query of texts, and of lists of texts for parameters that may be repeated.
pub struct RepeatableQuery<T>(pub T);

impl<T: DeserializeOwned + IntoParams, S: Send + Sync> FromRequestParts<S> for RepeatableQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::invalid_parameter("query", "cannot be read; accepted is name=value&name=value"))?;
        read(pairs).map(Self)
    }
}

/// An empty query, for operations without parameters; any parameter is an error.
pub struct NoQuery;

impl NoQuery {
    /// Checks that the query is empty.
    ///
    /// # Errors
    /// Returns a [`Problem`] that names the first parameter.
    pub fn check(uri: &Uri) -> Result<Self, Problem> {
        let query = uri.query().unwrap_or_default();
        let first = query.split('&').find(|pair| !pair.is_empty());
        let Some(pair) = first else { return Ok(Self) };
        let name = pair.split('=').next().unwrap_or_default();
        let detail = "is unknown; this operation takes no query parameter";
        Err(Problem::invalid_parameter(name, detail))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::check(&parts.uri)
    }
}

/// Reads a query from its names and values.
///
/// # Errors
/// Returns a [`Problem`] that names the first parameter that is unknown, occurs twice although it may not be repeated,
/// occurs more than [`MAX_VALUES`] times, or contains a NUL.
pub fn read<T: DeserializeOwned + IntoParams>(pairs: Vec<(String, String)>) -> Result<T, Problem> {
    let known = T::into_params(|| Some(ParameterIn::Query));
    let mut query = Map::new();
    for (name, value) in pairs {
        let Some(parameter) = known.iter().find(|parameter| parameter.name == name) else {
            let names: Vec<_> = known.iter().map(|parameter| parameter.name.as_str()).collect();
            let accepted = format!("is unknown; accepted are {}", names.join(", "));
            return Err(Problem::invalid_parameter(&name, accepted));
        };
        if value.contains('\0') {
            return Err(Problem::invalid_parameter(
                &name,
                "contains a NUL; accepted is a text without one",
            ));
        }
        match query.get_mut(&name) {
            Some(Value::Array(values)) if values.len() == MAX_VALUES => {
                let detail = format!("occurs more than {MAX_VALUES} times; accepted are at most {MAX_VALUES}");
                return Err(Problem::invalid_parameter(&name, detail));
            }
            Some(Value::Array(values)) => values.push(value.into()),
            Some(_) => return Err(Problem::invalid_parameter(&name, "occurs twice; accepted is one")),
            None if parameter.explode == Some(true) => drop(query.insert(name, json!([value]))),
            None => drop(query.insert(name, value.into())),
        }
    }
    serde_json::from_value(query.into())
        .map_err(|_| Problem::invalid_parameter("query", "cannot be read; accepted are texts"))
}
