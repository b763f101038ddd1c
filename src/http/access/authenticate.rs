//! Authentication of requests: identifies the caller, applies the rate limit and checks the role.

use std::net::IpAddr;

use axum::{
    extract::{Request, State as AxumState},
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::key::good_key;
use super::local_only::{check_is_local, forwarding_header};
use super::next_page::to_sign_in;
use super::policy::{Access, Authentication};
use super::scope::is_open_to_listed_networks;
use super::session::by_session;
use super::watch::Watch;
use super::{Caller, Origin, Peer, Scope, scope_of};
use crate::http::{problem::Problem, state::AppState};
use joulemark_experiment::check_name;
use joulemark_measurement::clock::Monotonic;

/// Caller of a request, attached to its response for the log line.
#[derive(Clone, Debug)]
pub struct Who {
    pub address: IpAddr,
    pub name: Option<String>,
}

/// Authenticates a request before it reaches a handler. Puts the [`Caller`] and the [`Origin`] into the request's
/// extensions.
pub async fn authenticate(AxumState(state): AxumState<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&state, &parts).await {
        Ok((origin, caller)) => {
            let who = Who {
                address: origin.address,
                name: caller.as_ref().and_then(|caller| caller.actor().name),
            };
            parts.extensions.insert(origin);
            let watch = caller.as_ref().and_then(|caller| Watch::new(&state, caller));
            if let Some(caller) = &caller {
                parts.extensions.insert(caller.clone());
            }
            let answering = next.run(Request::from_parts(parts, body));
            let mut response = match watch {
                None => answering.await,
                Some(watch) => tokio::select! {
                    response = answering => watch.over(response),
                    // The handler may wait, as with `?wait=`: the answer ends when the key does.
                    problem = watch.ended() => problem.into_response(),
                },
            };
            response.extensions_mut().insert(who);
            // An error page shows the caller's name too.
            if let Some(caller) = caller {
                response.extensions_mut().insert(caller);
            }
            response
        }
        Err(problem) => refusal(problem, &parts),
    }
}

/// Returns the answer to a refused request: a redirect to the sign-in page for an unknown person, the problem for a
/// program.
fn refusal(problem: Problem, request: &Parts) -> Response {
    let is_unknown = problem.status == StatusCode::UNAUTHORIZED.as_u16();
    let page = Some(request).filter(|_| is_unknown).and_then(to_sign_in);
    page.unwrap_or_else(|| problem.into_response())
}

/// Returns where a request came from and its caller, `None` on public routes, or the [`Problem`] it is refused with.
async fn admit(state: &AppState, request: &Parts) -> Result<(Origin, Option<Caller>), Problem> {
    let access = &state.access;
    let headers = &request.headers;
    let peer = *request.extensions.get::<Peer>().ok_or_else(Problem::internal)?;
    let origin =
        Origin::read(peer, headers, &access.trusted_proxies).map_err(|bad| Problem::bad_header(&bad.0, &bad.1))?;
    let origin = origin.known_as(access.public_base.as_deref());
    if let Authentication::None = access.authentication {
        check_is_local(request)?;
        let caller = Caller::anybody(&origin);
        return Ok((origin, Some(caller)));
    }
    let Scope::Needs(needed) = scope_of(&request.method, request.uri.path()) else {
        return Ok((origin, None));
    };
    if is_open_to_listed_networks(&request.method, request.uri.path()) && is_listed(access, headers, &origin) {
        return Ok((origin, None));
    }
    let caller = identify(state, headers, &origin).await?;
    if let Some(counted_as) = caller.counted_as() {
        access
            .rate_limit
            .take(&counted_as, Monotonic::now())
            .map_err(|wait_sec| Problem::too_many_requests(access.limits.rate_limit_per_minute, wait_sec))?;
    }
    if caller.role() < needed {
        return Err(Problem::role_too_low(caller.role(), needed));
    }
    Ok((origin, Some(caller)))
}

/// Returns whether the client's address is on the admin's list for metrics. A request through an untrusted proxy is
/// not: its address is the proxy's.
fn is_listed(access: &Access, headers: &HeaderMap, origin: &Origin) -> bool {
    let is_direct = origin.is_trusted_proxy || forwarding_header(headers).is_none();
    let contains = |network: &ipnet::IpNet| network.contains(&origin.address);
    is_direct && access.metrics_networks.iter().any(contains)
}

/// Identifies the caller of a request. An API key comes first, since it was set for this very request. A name vouched
/// for by a trusted proxy comes before a session: a browser sends cookies with every request, and another page may have
/// set them.
///
/// # Errors
/// Returns 401 for an unknown caller, 400 for an ambiguous header or cookie.
pub async fn identify(state: &AppState, headers: &HeaderMap, origin: &Origin) -> Result<Caller, Problem> {
    let access = &state.access;
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return by_key(state, value.to_str().unwrap_or_default(), origin).await;
    }
    if let Some(caller) = by_proxy(access, headers, origin)? {
        return Ok(caller);
    }
    let caller = by_session(state, headers, origin).await?;
    caller.ok_or_else(|| Problem::unauthenticated("there is no API key in the request"))
}

/// Returns the caller named by a trusted proxy; `None` if the proxy is not trusted or names no user.
fn by_proxy(access: &Access, headers: &HeaderMap, origin: &Origin) -> Result<Option<Caller>, Problem> {
    let Some(header) = access.identity_header.as_ref().filter(|_| origin.is_trusted_proxy) else {
        return Ok(None);
    };
    let mut values = headers.get_all(header).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => named_by_proxy(access, (header, value.as_bytes()), headers, origin).map(Some),
        // One of the two came from the client, and it is unknown which.
        (Some(_), Some(_)) => Err(Problem::bad_header(
            header,
            "occurs twice; the proxy must replace what clients send",
        )),
        (None, _) => Ok(None),
    }
}

fn named_by_proxy(
    access: &Access,
    (header, value): (&HeaderName, &[u8]),
    headers: &HeaderMap,
    origin: &Origin,
) -> Result<Caller, Problem> {
    let name = std::str::from_utf8(value);
    let name = name.map_err(|_| Problem::bad_header(header, "is not valid UTF-8; accepted is a name in UTF-8"))?;
    check_name(name).map_err(|bad| Problem::bad_header(header, &format!("is not a valid name: it {bad}")))?;
    let role = access.named_roles.role_of(name, headers)?;
    Ok(Caller::named(name.to_owned(), None, role, origin, access.share_prompts))
}

async fn by_key(state: &AppState, authorization: &str, origin: &Origin) -> Result<Caller, Problem> {
    let (scheme, text) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::invalid_key("the Authorization header is not \"Bearer KEY\""));
    }
    let key = good_key(state, text).await?;
    let share_prompts = state.access.share_prompts;
    Ok(Caller::named(key.name, Some(key.id), key.role, origin, share_prompts))
}
