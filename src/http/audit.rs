//! `GET /v1/audit`.

use axum::{Json, extract::State as AxumState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::page::{DEFAULT_LIMIT, read_cursor, read_limit};
use super::{problem::Problem, repeatable_query::RepeatableQuery, state::AppState};
use joulemark_experiment::access::AuditEntry;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditParameters {
    /// Maximum number of entries on a page, 1 to 500; default 50.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    /// The `next_cursor` of the previous page.
    #[param(format = "uuid")]
    cursor: Option<String>,
}

/// A page of the audit log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    /// The entries, newest first.
    pub items: Vec<AuditEntry>,
    /// Value of `cursor` for the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Read the audit log, newest first
///
/// Lists who submitted, cancelled and relabelled which experiments, who created and revoked which keys, and who signed
/// in and out. For admins only.
#[utoipa::path(get, path = "/v1/audit", tag = "service", operation_id = "listAudit",
    params(AuditParameters),
    responses(
        (status = 200, description = "A page of the log.", body = AuditPage),
        (status = 400, description = "A parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn audit(
    AxumState(state): AxumState<AppState>,
    RepeatableQuery(parameters): RepeatableQuery<AuditParameters>,
) -> Result<Json<AuditPage>, Problem> {
    let limit = parameters.limit.as_deref().map_or(Ok(DEFAULT_LIMIT), read_limit)?;
    let before = parameters.cursor.as_deref().map(read_cursor::<Uuid>).transpose()?;
    // One entry more than requested shows whether there is a next page.
    let mut items = state.resources.store.audit_log(before, limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_cursor = items.last().filter(|_| more).map(|entry| entry.id.to_string());
    Ok(Json(AuditPage { items, next_cursor }))
}
