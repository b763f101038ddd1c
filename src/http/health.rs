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

/// Whether experiments can be accepted, and whose energy would be missing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    #[serde(flatten)]
    pub health: Health,
    /// Each source of energy that does not answer now, with the reason; experiments that do not need it run.
    pub energy_problems: Vec<String>,
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
/// For a load balancer: asks the database. Tells of sources of energy that have ceased to answer, which keep nobody from
/// submitting.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "readyz",
    responses(
        (status = 200, description = "The database answers.", body = Readiness),
        (status = 503, description = "It does not.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn readyz(AxumState(state): AxumState<AppState>) -> Result<Json<Readiness>, Problem> {
    state.resources.store.ping().await?;
    Ok(Json(Readiness {
        health: OK,
        energy_problems: state.resources.meter.problems(),
    }))
}
