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

/// The highest priority that there is.
const MAX_PRIORITY: i32 = 100;

/// What the caller may have on this server, and what they have had. A limit that is null is none.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallerLimits {
    /// Whose experiments count; null on a server without authentication, where nobody has a limit of their own.
    #[schema(example = "ada")]
    pub name: Option<String>,
    pub role: Role,
    /// The highest `priority` that the caller may ask for.
    pub max_priority: i32,
    /// Experiments that wait or run (`max_unfinished_per_user`); null where `name` is.
    pub unfinished: Option<UnfinishedLimit>,
    /// Devices times hours from claim to end, of experiments that ended in the last seven days, and of those that run
    /// (`max_device_hours_per_week`); null where `name` is.
    pub device_hours: Option<WeeklyLimit>,
    /// Joules attributed to experiments that ended in the last seven days (`max_joules_per_week`): their cycles, and
    /// loading and warm-up where these were long enough to tell; null where `name` is.
    pub energy_j: Option<WeeklyLimit>,
    /// Experiments that ended in the last seven days and whose energy is unknown, because they failed, were cancelled or
    /// were not metered: they add nothing to `energy_j`, and to `device_hours` as any. Null where `name` is.
    pub experiments_without_energy: Option<u64>,
    /// Bytes that their experiments take in the database, prompts above all (`max_stored_bytes_per_user`); null where `name`
    /// is.
    pub stored_bytes: Option<StoredLimit>,
    /// Experiments that may wait, of everybody.
    pub max_queued: Option<u64>,
    /// Prompts of one experiment.
    pub max_prompts: Option<u32>,
    /// Tokens that one experiment could take.
    pub max_total_tokens: Option<u64>,
    /// Bytes of a request's body.
    pub max_body_bytes: u64,
    /// Requests of one key or name in a minute.
    pub requests_per_minute: Option<u32>,
}

/// Experiments that wait or run.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnfinishedLimit {
    /// How many there are.
    pub used: u64,
    /// How many there may be; null for any number.
    pub allowed: Option<u64>,
}

/// Bytes of what is stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoredLimit {
    /// How many there are.
    pub used: u64,
    /// How many there may be; null for any number.
    pub allowed: Option<u64>,
}

/// What was used in the last seven days, by the hour in which it ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct WeeklyLimit {
    /// What was used, in the unit of the field.
    pub used: f64,
    /// With as much or more nothing is accepted; null for any amount.
    pub allowed: Option<u64>,
    /// When enough of it is older than seven days for another submission; null while there is room, and where what runs
    /// leaves none.
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

/// Tell the caller's limits
///
/// What the caller may have and has had: unfinished experiments, device-hours and joules of seven days, priority; and how
/// large an experiment and a request may be.
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
/// 403 for one above that of their role.
pub fn refuse_priority(state: &AppState, caller: &Caller, asked: Option<i32>) -> Result<(), Problem> {
    let most = max_priority(&state.access.limits, caller);
    match asked.filter(|asked| *asked > most) {
        Some(asked) => Err(Problem::priority_too_high(asked, most, caller.role())),
        None => Ok(()),
    }
}

/// Checks that the caller has device-hours and joules left. Of those who come at once each may be let in: what they take
/// is known once it has ended.
///
/// # Errors
/// 429 with what was used, what is allowed and when there is room again.
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

/// Returns what a submission of the caller must find room in when it is stored; 0 is no limit.
pub fn quota(limits: &Limits, caller: &Caller) -> Quota {
    let of_caller = caller.actor().name.map(|name| limits.of_user(&name));
    Quota {
        queued: unless_zero(limits.max_queued),
        unfinished_of_submitter: of_caller.and_then(|allowed| allowed.unfinished),
        stored_bytes_of_submitter: unless_zero(limits.max_stored_bytes_per_user),
    }
}
