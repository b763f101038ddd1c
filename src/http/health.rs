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
    /// How many ends of runs wait on disk for the database; null where it is in memory.
    pub endings_on_disk: Option<usize>,
    /// How many ends of runs are in memory alone, since neither the database nor the disk takes them: they are lost with
    /// the server.
    pub endings_in_memory: u64,
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
/// For a load balancer: asks the database, and tries to write where the server must. Tells of sources of energy that have ceased to answer, which keep nobody from
/// submitting.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "readyz",
    responses(
        (status = 200, description = "The database answers.", body = Readiness),
        (status = 503, description = "It does not, or a disk is full.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn readyz(AxumState(state): AxumState<AppState>) -> Result<Json<Readiness>, Problem> {
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
    Ok(Json(Readiness {
        health: OK,
        energy_problems: state.resources.meter.problems(),
        endings_on_disk,
        endings_in_memory: state.scheduler.endings_in_memory(),
    }))
}
