use std::net::IpAddr;

use axum::{
    extract::{Request, State as AxumState},
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::from_here::{forwarding_header, only_from_here};
use super::key::good_key;
use super::next_page::to_sign_in;
use super::policy::{Access, Authentication};
use super::scope::is_for_the_list;
use super::session::by_session;
use super::watch::Watch;
use super::{Caller, Origin, Peer, Scope, scope_of};
use crate::http::{problem::Problem, state::AppState};
use joulemark_experiment::check_name;
use joulemark_measurement::clock::Monotonic;

/// Whose request an answer is for, for the log line that is written when it goes out.
#[derive(Clone, Debug)]
pub struct Who {
    pub address: IpAddr,
    pub name: Option<String>,
}

/// Before anything else is done for a request: who sent it, and whether they may. Handlers find the [`Caller`] and the
/// [`Origin`] in the request.
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
                    // It waits for something, as with `?wait=`.
                    problem = watch.ended() => problem.into_response(),
                },
            };
            response.extensions_mut().insert(who);
            // A page that tells of a refusal is the caller's as well.
            if let Some(caller) = caller {
                response.extensions_mut().insert(caller);
            }
            response
        }
        Err(problem) => refusal(problem, &parts),
    }
}

/// A person who is not known is shown where to sign in, a program what is wrong.
fn refusal(problem: Problem, request: &Parts) -> Response {
    let is_unknown = problem.status == StatusCode::UNAUTHORIZED.as_u16();
    let page = Some(request).filter(|_| is_unknown).and_then(to_sign_in);
    page.unwrap_or_else(|| problem.into_response())
}

async fn admit(state: &AppState, request: &Parts) -> Result<(Origin, Option<Caller>), Problem> {
    let access = &state.access;
    let headers = &request.headers;
    let peer = *request.extensions.get::<Peer>().ok_or_else(Problem::internal)?;
    let origin =
        Origin::read(peer, headers, &access.trusted_proxies).map_err(|bad| Problem::bad_header(&bad.0, &bad.1))?;
    let origin = origin.known_as(access.public_base.as_deref());
    if let Authentication::None = access.authentication {
        only_from_here(request)?;
        let caller = Caller::anybody(&origin);
        return Ok((origin, Some(caller)));
    }
    let Scope::Needs(needed) = scope_of(&request.method, request.uri.path()) else {
        return Ok((origin, None));
    };
    if is_for_the_list(&request.method, request.uri.path()) && is_listed(access, headers, &origin) {
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

/// A proxy that is not trusted says nothing of whom it speaks for: its own address then opens nothing.
fn is_listed(access: &Access, headers: &HeaderMap, origin: &Origin) -> bool {
    let is_direct = origin.is_trusted_proxy || forwarding_header(headers).is_none();
    let contains = |network: &ipnet::IpNet| network.contains(&origin.address);
    is_direct && access.metrics_networks.iter().any(contains)
}

/// Tells who sent a request. A key decides where there is one: it was put there for this very request. Else the name that a
/// trusted proxy vouches for, so that nobody is another than the proxy says by a cookie, which a browser adds by itself and
/// which another page may have set. Else the session of who signed in.
///
/// # Errors
/// 401 of who is not known, 400 of what is ambiguous.
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

/// Returns whom a trusted proxy names; `None` where there is no such proxy, or it names nobody.
fn by_proxy(access: &Access, headers: &HeaderMap, origin: &Origin) -> Result<Option<Caller>, Problem> {
    let Some(header) = access.identity_header.as_ref().filter(|_| origin.is_trusted_proxy) else {
        return Ok(None);
    };
    let mut values = headers.get_all(header).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => named_by_proxy(access, (header, value.as_bytes()), headers, origin).map(Some),
        // One is the client's own, and which cannot be told.
        (Some(_), Some(_)) => Err(Problem::bad_header(
            header,
            "is there twice; the proxy must replace what clients send",
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
    let name = name.map_err(|_| Problem::bad_header(header, "is no name; accepted is one in UTF-8"))?;
    check_name(name).map_err(|bad| Problem::bad_header(header, &format!("is no name: it {bad}")))?;
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
