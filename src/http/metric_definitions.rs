//! `GET /v1/metrics` and `GET /v1/metrics/{field}`.

use axum::Json;
use axum::extract::{Path, rejection::PathRejection};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::repeatable_query::NoQuery;
use joulemark_analysis::metrics::{Explanation, explain, explanations};

/// The definition of a figure of a result.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MetricDefinition {
    /// Key of the figure in a result, and name of its column in an export. In the group `cycle_sd` the column is
    /// `NAME_cycle_sd`.
    pub name: &'static str,
    /// Object of a result that contains the figure, as `fields` accepts it; empty at the top level.
    pub group: String,
    /// Unit; empty for a share, a dimensionless ratio, a word or an object.
    pub unit: &'static str,
    /// Which of two values is better, all else being equal: `lower`, `higher` or `neither`.
    pub better: &'static str,
    /// Rank among the few figures to look at first, from 0; null for all others.
    pub headline: Option<u8>,
    /// Description of the figure.
    pub description: String,
    /// Formula in terms of other figures; null if the figure is measured or counted.
    pub formula: Option<String>,
    /// Where the value comes from.
    pub source: &'static str,
    /// Limits: what the figure does not show, and when not to rely on it.
    pub limits: &'static str,
}

/// Definitions of the figures of a result.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricDefinitions {
    /// The definitions, in the order of a result.
    pub items: Vec<MetricDefinition>,
}

impl From<Explanation> for MetricDefinition {
    fn from(explanation: Explanation) -> Self {
        Self {
            name: explanation.name,
            group: explanation.group,
            unit: explanation.unit,
            better: explanation.better.as_str(),
            headline: explanation.headline,
            description: explanation.description.replace('\n', " "),
            formula: explanation.formula.map(|formula| formula.replace('`', "")),
            source: explanation.source,
            limits: explanation.limits,
        }
    }
}

/// List the definitions of all figures
///
/// Formula, unit, source and limits of every figure of a result, as this server computes them.
#[utoipa::path(get, path = "/v1/metrics", tag = "service", operation_id = "listMetricDefinitions",
    responses(
        (status = 200, description = "The definitions.", body = MetricDefinitions),
        (status = 400, description = "There is a query parameter.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn metric_definitions(_: NoQuery) -> Json<MetricDefinitions> {
    let items = explanations().into_iter().map(MetricDefinition::from).collect();
    Json(MetricDefinitions { items })
}

/// Read the definition of a figure
///
/// The figure is named by its key, `tokens_per_second`, or by its path in a result, such as
/// `inference.tokens_per_second` and `cycle_sd.tokens_per_second`.
#[utoipa::path(get, path = "/v1/metrics/{field}", tag = "service", operation_id = "getMetricDefinition",
    params(("field" = String, Path, description = "Key of the figure, or its path in a result.")),
    responses(
        (status = 200, description = "Formula, unit, source and limits.", body = MetricDefinition),
        (status = 400, description = "The name cannot be read, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such figure.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn metric_definition(
    field: Result<Path<String>, PathRejection>,
    _: NoQuery,
) -> Result<Json<MetricDefinition>, Problem> {
    let unread = |_| Problem::invalid_parameter("field", "is not UTF-8; accepted is the name of a figure");
    let Path(field) = field.map_err(unread)?;
    let found = explain(&field).ok_or_else(|| Problem::no_metric(&field))?;
    Ok(Json(found.into()))
}
