use std::net::IpAddr;

use axum::{
    extract::{Request, State as AxumState},
    http::{HeaderMap, HeaderName, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq as _;

use super::policy::{Access, Authentication};
use super::scope::is_for_the_list;
use super::{Caller, Origin, Peer, Scope, scope_of};
use crate::http::{problem::Problem, state::AppState};
use joulemark_experiment::access::{Role, Standing, Token, is_good_name};
use joulemark_measurement::clock::{self, Monotonic};

/// Compared with where there is no such key, so that an unknown id takes as long as a wrong secret.
const NO_DIGEST: [u8; 32] = [0; 32];

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
            if let Some(caller) = caller {
                parts.extensions.insert(caller);
            }
            let mut response = next.run(Request::from_parts(parts, body)).await;
            response.extensions_mut().insert(who);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

async fn admit(state: &AppState, request: &Parts) -> Result<(Origin, Option<Caller>), Problem> {
    let access = &state.access;
    let headers = &request.headers;
    let peer = *request.extensions.get::<Peer>().ok_or_else(Problem::internal)?;
    let origin =
        Origin::read(peer, headers, &access.trusted_proxies).map_err(|bad| Problem::bad_header(&bad.0, &bad.1))?;
    if let Authentication::None = access.authentication {
        only_from_here(headers)?;
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

/// Without authentication the service is for this host's own users. A proxy would open it to others, and so would a web
/// page whose name was made to point here: its requests carry that name as their host.
fn only_from_here(headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(name) = headers.keys().find(is_forwarded) {
        return Err(Problem::forwarded_without_authentication(name));
    }
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    match host {
        Some(host) if !is_loopback(host) => Err(Problem::foreign_host(host)),
        _ => Ok(()),
    }
}

fn is_forwarded(name: &&HeaderName) -> bool {
    let name = name.as_str();
    name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-")
}

/// A proxy that is not trusted says nothing of whom it speaks for: its own address then opens nothing.
fn is_listed(access: &Access, headers: &HeaderMap, origin: &Origin) -> bool {
    let is_direct = origin.is_trusted_proxy || !headers.keys().any(|name| is_forwarded(&name));
    let contains = |network: &ipnet::IpNet| network.contains(&origin.address);
    is_direct && access.metrics_networks.iter().any(contains)
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let address = name.parse::<std::net::IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// A key decides where there is one; else the name that a trusted proxy vouches for.
async fn identify(state: &AppState, headers: &HeaderMap, origin: &Origin) -> Result<Caller, Problem> {
    let access = &state.access;
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return by_key(state, value.to_str().unwrap_or_default(), origin).await;
    }
    let Some(header) = access.identity_header.as_ref().filter(|_| origin.is_trusted_proxy) else {
        return Err(Problem::unauthenticated("there is no API key in the request"));
    };
    let mut values = headers.get_all(header).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => by_proxy(access, header, value.as_bytes(), origin),
        // One is the client's own, and which cannot be told.
        (Some(_), Some(_)) => Err(Problem::bad_header(
            header,
            "is there twice; the proxy must replace what clients send",
        )),
        (None, _) => Err(Problem::unauthenticated("there is no API key in the request")),
    }
}

fn by_proxy(access: &Access, header: &HeaderName, value: &[u8], origin: &Origin) -> Result<Caller, Problem> {
    let name = std::str::from_utf8(value).unwrap_or_default();
    if !is_good_name(name) {
        let accepted = "accepted is a name of 1 to 100 characters in UTF-8";
        return Err(Problem::bad_header(header, &format!("is no name; {accepted}")));
    }
    let role = access.identity_role;
    Ok(Caller::named(name.to_owned(), None, role, origin, access.share_prompts))
}

async fn by_key(state: &AppState, authorization: &str, origin: &Origin) -> Result<Caller, Problem> {
    let unknown = || Problem::invalid_key("the key is not one of this server's");
    let (scheme, text) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::invalid_key("the Authorization header is not \"Bearer KEY\""));
    }
    let token = Token::parse(text.trim()).ok_or_else(unknown)?;
    let stored = state.resources.store.key(token.id()).await?;
    let digest = stored.as_ref().map_or(NO_DIGEST, |stored| stored.digest);
    let matches = bool::from(digest.ct_eq(&token.digest()));
    let key = stored.filter(|_| matches).ok_or_else(unknown)?.key;
    let now = clock::wall_now();
    match key.standing(now) {
        Standing::Good => {}
        Standing::Expired(at) => return Err(Problem::invalid_key(&format!("the key expired at {at:.0}"))),
        Standing::Revoked(at) => return Err(Problem::invalid_key(&format!("the key was revoked at {at:.0}"))),
    }
    state.access.last_used.note(&key.id, now);
    let role: Role = key.role;
    Ok(Caller::named(
        key.name,
        Some(key.id),
        role,
        origin,
        state.access.share_prompts,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_host_are_its_own() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "127.1.2.3",
            "[::1]:8080",
            "jm.localhost",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "192.0.2.1",
            "127.0.0.1.evil.example",
            "",
            "127.0.0.1@evil.example",
            "[2001:db8::1]",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
