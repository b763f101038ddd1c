//! `GET /healthz` and `GET /readyz`.

use axum::{Json, extract::State as AxumState};

use super::readiness::{Health, Readiness};
use super::{problem::Problem, state::AppState};

const OK: Health = Health {
    status: "ok",
    version: env!("CARGO_PKG_VERSION"),
};

/// Check that the process runs
///
/// For a supervisor that restarts the server. It does not check the database.
#[utoipa::path(get, path = "/healthz", tag = "service", operation_id = "healthz",
    responses((status = 200, description = "The process answers.", body = Health)))]
pub async fn healthz() -> Json<Health> {
    Json(OK)
}

/// Check that experiments can be accepted
///
/// For a load balancer. Queries the database, and tries to write where the server must be able to write. It also
/// reports sources of energy that have stopped answering; these do not prevent submissions.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "readyz",
    responses(
        (status = 200, description = "The server accepts experiments.", body = Readiness),
        (status = 503, description = "The database does not answer, or a disk is full.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn readyz(AxumState(state): AxumState<AppState>) -> Result<Json<Readiness>, Problem> {
    let checked = state.readiness.check(async || check(&state).await).await;
    checked.map(Json)
}

/// Checks the database, the disks and the sources of energy.
async fn check(state: &AppState) -> Result<Readiness, Problem> {
    state.resources.store.ping().await?;
    let (disks, scheduler) = (state.disks.clone(), state.scheduler.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let refusals = disks.iter().filter_map(|disk| disk.look().refusal());
        (refusals.collect::<Vec<_>>(), scheduler.spooled())
    });
    let (refusals, endings_on_disk) = looked.await.map_err(|_| Problem::internal())?;
    if !refusals.is_empty() {
        return Err(Problem::unavailable(refusals.join("; ")));
    }
    Ok(Readiness {
        health: OK,
        energy_problems: state.resources.meter.problems(),
        endings_on_disk,
        endings_in_memory: state.scheduler.endings_in_memory(),
    })
}
