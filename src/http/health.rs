use axum::{Json, extract::State as AxumState};
use serde::Serialize;
use utoipa::ToSchema;

use super::{problem::Problem, state::AppState};

/// Whether the service works.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`; whatever is not is a problem document.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// The program's version.
    pub version: &'static str,
}

const OK: Health = Health {
    status: "ok",
    version: env!("CARGO_PKG_VERSION"),
};

/// Check that the process runs
///
/// For a supervisor that restarts it: says nothing of the database.
#[utoipa::path(get, path = "/healthz", tag = "service", operation_id = "healthz",
    responses((status = 200, description = "The process answers.", body = Health)))]
pub async fn healthz() -> Json<Health> {
    Json(OK)
}

/// Check that experiments can be accepted
///
/// For a load balancer: asks the database.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "readyz",
    responses(
        (status = 200, description = "The database answers.", body = Health),
        (status = 503, description = "It does not.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn readyz(AxumState(state): AxumState<AppState>) -> Result<Json<Health>, Problem> {
    state.resources.store.ping().await?;
    Ok(Json(OK))
}
