//! `GET /v1/limits`, and the checks of a submission against the caller's limits.

use axum::{Json, extract::State as AxumState};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::access::Caller;
use super::{problem::Problem, repeatable_query::NoQuery, state::AppState};
use crate::allowance::{Account, Accounts, Allowed, Weekly, first_hour};
use crate::config::{Limits, UserLimits, unless_zero};
use joulemark_experiment::access::Role;
use joulemark_measurement::clock;
use joulemark_store::Quota;

/// The highest priority of all.
const MAX_PRIORITY: i32 = 100;

/// Limits of the caller on this server, and how much of them is used. A limit that is null does not exist.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallerLimits {
    /// Name under which the caller's experiments are counted; null on a server without authentication, where users have
    /// no limits.
    #[schema(example = "ada")]
    pub name: Option<String>,
    pub role: Role,
    /// Highest `priority` that the caller may ask for.
    pub max_priority: i32,
    /// Unfinished (queued or running) experiments (`max_unfinished_per_user`); null if `name` is.
    pub unfinished: Option<UnfinishedLimit>,
    /// Devices times hours from claim to end, of experiments that ended in the last seven days and of running ones
    /// (`max_device_hours_per_week`); null if `name` is.
    pub device_hours: Option<WeeklyLimit>,
    /// Joules attributed to experiments that ended in the last seven days (`max_joules_per_week`): those of their
    /// cycles, and of loading and warm-up if these were long enough to measure; null if `name` is.
    pub energy_j: Option<WeeklyLimit>,
    /// Experiments that ended in the last seven days with unknown energy, because they failed, were cancelled or were
    /// not metered. They add nothing to `energy_j`, but count in `device_hours`. Null if `name` is.
    pub experiments_without_energy: Option<u64>,
    /// Bytes that the caller's experiments take in the database, mostly prompts (`max_stored_bytes_per_user`); null if
    /// `name` is.
    pub stored_bytes: Option<StoredLimit>,
    /// Maximum number of queued experiments of all users.
    pub max_queued: Option<u64>,
    /// Maximum number of prompts of one experiment.
    pub max_prompts: Option<u32>,
    /// Maximum number of input and output tokens of one experiment, in all cycles and ranks.
    pub max_total_tokens: Option<u64>,
    /// Maximum size of a request body in bytes.
    pub max_body_bytes: u64,
    /// Maximum number of requests per minute, for each API key or name.
    pub requests_per_minute: Option<u32>,
}

/// The limit on unfinished experiments, which are queued or running.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnfinishedLimit {
    /// Number of unfinished experiments.
    pub used: u64,
    /// Maximum number; null if unlimited.
    pub allowed: Option<u64>,
}

/// The limit on stored bytes.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoredLimit {
    /// Bytes stored.
    pub used: u64,
    /// Maximum number of bytes; null if unlimited.
    pub allowed: Option<u64>,
}

/// A limit on usage in the last seven days. Each experiment counts in the hour in which it ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct WeeklyLimit {
    /// Usage, in the unit of the field.
    pub used: f64,
    /// Usage at which submissions are no longer accepted; null if unlimited.
    pub allowed: Option<u64>,
    /// Time at which enough usage is older than seven days for another submission. Null while there is room, and if the
    /// running experiments alone use up the limit.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub room_again_at: Option<Timestamp>,
}

impl From<Account> for WeeklyLimit {
    fn from(account: Account) -> Self {
        Self {
            used: account.used,
            allowed: account.allowed,
            room_again_at: account.room_again_at,
        }
    }
}

/// Show the caller's limits
///
/// Limits of the caller and how much is used: unfinished experiments, device-hours and joules of seven days, stored
/// bytes, priority, and the maximum size of an experiment and of a request.
#[utoipa::path(get, path = "/v1/limits", tag = "service", operation_id = "getLimits",
    responses(
        (status = 200, description = "The limits.", body = CallerLimits),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn limits(
    AxumState(state): AxumState<AppState>,
    _: NoQuery,
    caller: Caller,
) -> Result<Json<CallerLimits>, Problem> {
    let limits = &state.access.limits;
    let name = caller.actor().name;
    let (mut unfinished, mut accounts, mut stored_bytes) = (None, None, None);
    if let Some(name) = &name {
        let allowed = limits.of_user(name);
        unfinished = Some(UnfinishedLimit {
            used: state.resources.store.unfinished_of(name).await?,
            allowed: allowed.unfinished,
        });
        accounts = Some(accounts_of(&state, name, &allowed).await?);
        stored_bytes = Some(StoredLimit {
            used: state.resources.store.stored_bytes_of(name).await?,
            allowed: unless_zero(limits.max_stored_bytes_per_user),
        });
    }
    Ok(Json(CallerLimits {
        name,
        role: caller.role(),
        max_priority: max_priority(limits, &caller),
        unfinished,
        device_hours: accounts.map(|accounts| accounts.device_hours.into()),
        energy_j: accounts.map(|accounts| accounts.joules.into()),
        experiments_without_energy: accounts.map(|accounts| accounts.unmetered_experiments),
        stored_bytes,
        max_queued: unless_zero(limits.max_queued),
        max_prompts: unless_zero(limits.max_prompts),
        max_total_tokens: unless_zero(limits.max_total_tokens),
        max_body_bytes: state.access.max_body_bytes as u64,
        requests_per_minute: unless_zero(limits.rate_limit_per_minute),
    }))
}

/// Returns the user's usage of the last seven days, with the limits on it.
async fn accounts_of(state: &AppState, name: &str, allowed: &UserLimits) -> Result<Accounts, Problem> {
    let now = clock::wall_now();
    let usage = state.resources.store.usage(name, first_hour(now), now).await?;
    let allowed = Allowed {
        device_hours: allowed.device_hours,
        joules: allowed.joules,
    };
    Ok(Accounts::new(&usage, &allowed))
}

/// Returns the highest priority that the caller may ask for.
fn max_priority(limits: &Limits, caller: &Caller) -> i32 {
    match caller.role() {
        Role::Admin => MAX_PRIORITY,
        Role::Reader | Role::Submitter => limits.max_priority_submitter,
    }
}

/// Checks that the caller may ask for this priority.
///
/// # Errors
/// Returns 403 for a priority above the maximum of the caller's role.
pub fn refuse_priority(state: &AppState, caller: &Caller, asked: Option<i32>) -> Result<(), Problem> {
    let max = max_priority(&state.access.limits, caller);
    match asked.filter(|asked| *asked > max) {
        Some(asked) => Err(Problem::priority_too_high(asked, max, caller.role())),
        None => Ok(()),
    }
}

/// Checks that the caller has device-hours and joules left. Concurrent submissions may all pass, since usage is known
/// only after an experiment has ended.
///
/// # Errors
/// Returns 429 with the usage, the limit, and when there is room again.
pub async fn refuse_used_up(state: &AppState, caller: &Caller) -> Result<(), Problem> {
    let Some(name) = caller.actor().name else { return Ok(()) };
    let allowed = state.access.limits.of_user(&name);
    if allowed.device_hours.is_none() && allowed.joules.is_none() {
        return Ok(());
    }
    let accounts = accounts_of(state, &name, &allowed).await?;
    let now = clock::wall_now();
    if accounts.device_hours.is_used_up() {
        return Err(Problem::week_used_up(
            Weekly::DeviceHours,
            &name,
            &accounts.device_hours,
            now,
        ));
    }
    if accounts.joules.is_used_up() {
        return Err(Problem::week_used_up(Weekly::Joules, &name, &accounts.joules, now));
    }
    Ok(())
}

/// Returns the limits that are checked when the caller's submission is stored; a setting of 0 means no limit.
pub fn quota(limits: &Limits, caller: &Caller) -> Quota {
    let of_caller = caller.actor().name.map(|name| limits.of_user(&name));
    Quota {
        queued: unless_zero(limits.max_queued),
        unfinished_of_submitter: of_caller.and_then(|allowed| allowed.unfinished),
        stored_bytes_of_submitter: unless_zero(limits.max_stored_bytes_per_user),
    }
}
