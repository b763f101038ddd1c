use axum::Json;
use axum::extract::{Path, rejection::PathRejection};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::repeatable_query::NoQuery;
use joulemark_analysis::metrics::{Explanation, explain, explanations};

/// What one figure of a result is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MetricDefinition {
    /// Its key in a result. Its column in an export has the same name; of the group `cycle_sd` it is `NAME_cycle_sd`.
    pub name: &'static str,
    /// The object of a result that it stands in, as `fields` takes it; empty for what stands in none.
    pub group: String,
    /// Empty for a share, a ratio of like to like, a word or an object.
    pub unit: &'static str,
    /// Which of two values is the better one, all else being equal: `lower`, `higher` or `neither`.
    pub better: &'static str,
    /// Its place among the few figures to look at first, from 0; null for all others.
    pub headline: Option<u8>,
    /// What it is.
    pub description: String,
    /// How it follows from other figures; null where it is measured or counted.
    pub formula: Option<String>,
    /// Where it comes from.
    pub source: &'static str,
    /// What it does not say, and when it is not to be trusted.
    pub limits: &'static str,
}

/// The figures of a result.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricDefinitions {
    /// In the order of a result.
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

/// List what each figure of a result is
///
/// Formula, unit, source and limits of every figure, as this server computes them.
#[utoipa::path(get, path = "/v1/metrics", tag = "service", operation_id = "listMetricDefinitions",
    responses(
        (status = 200, description = "Every figure.", body = MetricDefinitions),
        (status = 400, description = "There is a query parameter.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn metric_definitions(_: NoQuery) -> Json<MetricDefinitions> {
    let items = explanations().into_iter().map(MetricDefinition::from).collect();
    Json(MetricDefinitions { items })
}

/// Read what a figure of a result is
///
/// By its name, `tokens_per_second`, or its place in a result, `inference.tokens_per_second` and
/// `cycle_sd.tokens_per_second`.
#[utoipa::path(get, path = "/v1/metrics/{field}", tag = "service", operation_id = "getMetricDefinition",
    params(("field" = String, Path, description = "The figure's name, or its place in a result.")),
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
