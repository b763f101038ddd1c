//! Signing in with an API key, and signing out.

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Query, State as AxumState};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Router};
use serde::Deserialize;

use super::html;
use super::layout::Page;
use crate::http::access::{
    Authentication, Caller, NextPage, Origin, SIGN_IN, SIGN_OUT, SessionCookie, by_session, good_key, identify,
    of_address,
};
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_experiment::access::{ApiKey, SessionToken, StoredSession};
use joulemark_measurement::clock::{self, Monotonic};

/// Returns the routes for signing in and out.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route(SIGN_IN, get(show).post(sign_in))
        .route(SIGN_OUT, post(sign_out))
}

/// Content of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Form,
    /// The server has no authentication.
    NoAuthentication,
    /// A proxy or a header of the request identifies the caller.
    IdentifiedByRequest,
    SignedIn,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    page: Page,
    title: &'static str,
    shown: Shown,
    /// Error message above the form.
    error: Option<String>,
    /// Page to open afterwards, as a field of the form and as a link.
    next: String,
    next_link: String,
}

#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
    /// Present in the request that follows a sign-in.
    checked: Option<String>,
}

#[derive(Deserialize)]
struct Given {
    key: String,
    #[serde(default)]
    next: String,
}

/// Shows who is signed in, or the form.
async fn show(
    AxumState(state): AxumState<AppState>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let asked = Query::<Asked>::try_from_uri(&uri)
        .map(|query| query.0)
        .unwrap_or_default();
    let next = NextPage::parse(&asked.next).unwrap_or_default();
    if state.access.authentication == Authentication::None {
        return page(Shown::NoAuthentication, None, None, &next);
    }
    let is_after_sign_in = asked.checked.is_some();
    match identify(&state, &headers, &origin).await {
        Ok(caller) if is_after_sign_in && caller.session_id().is_some() => Redirect::to(&next.link()).into_response(),
        Ok(caller) if caller.session_id().is_some() => page(Shown::SignedIn, Some(&caller), None, &next),
        Ok(caller) => page(Shown::IdentifiedByRequest, Some(&caller), None, &next),
        Err(problem) if problem.status == StatusCode::UNAUTHORIZED.as_u16() => {
            let ended = problem.is_of_kind("session-ended");
            let why = match ended {
                true => Some("Your session has ended. Sign in again.".to_owned()),
                false => is_after_sign_in.then(|| without_cookie(&origin)),
            };
            page(Shown::Form, None, why, &next)
        }
        Err(problem) => problem.into_response(),
    }
}

/// Exchanges an API key for a session.
async fn sign_in(
    AxumState(state): AxumState<AppState>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    form: Result<Form<Given>, FormRejection>,
) -> Response {
    if state.access.authentication == Authentication::None {
        return Redirect::to("sign-in").into_response();
    }
    // The details of the error are not shown, since they may quote the key.
    let Ok(Form(given)) = form else {
        let problem = Problem::malformed_body("the body is not a form with one key");
        return refused(&problem, &NextPage::default());
    };
    let next = NextPage::parse(&given.next).unwrap_or_default();
    if let Err(problem) = take_turn(&state, &origin) {
        return refused(&problem, &next);
    }
    // A key in the request or a proxy's identity takes precedence over a session, so none is created.
    if let Ok(caller) = identify(&state, &headers, &origin).await
        && caller.session_id().is_none()
    {
        return page(Shown::IdentifiedByRequest, Some(&caller), None, &next);
    }
    let answered = async {
        let key = good_key(&state, &given.key).await?;
        begin(&state, &headers, &origin, key).await
    };
    match answered.await {
        Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to(&check(&next))).into_response(),
        Err(problem) => refused(&problem, &next),
    }
}

/// Returns the URL that follows a sign-in. It leads on to `next` if the browser sends the session's cookie; otherwise it
/// says why the sign-in had no effect.
fn check(next: &NextPage) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let query = query.append_pair("next", &next.to_string()).append_pair("checked", "1");
    format!("{}?{}", SIGN_IN.trim_start_matches('/'), query.finish())
}

/// Returns why a request that follows a sign-in has no session.
fn without_cookie(origin: &Origin) -> String {
    let fact = "Your key was accepted, but the browser did not send the session's cookie back.";
    match SessionCookie::of(origin).is_secure() {
        true => format!(
            "{fact} Browsers keep this cookie only over HTTPS: if the address of this page begins with http://, open {} \
             instead. Otherwise allow cookies for this site.",
            origin.link(SIGN_IN)
        ),
        false => format!("{fact} Allow cookies for this site, then sign in again."),
    }
}

/// Counts the attempt against the client's address, before the key is looked up.
fn take_turn(state: &AppState, origin: &Origin) -> Result<(), Problem> {
    let access = &state.access;
    let taken = access.rate_limit.take(&of_address(origin.address), Monotonic::now());
    taken.map_err(|wait_sec| Problem::too_many_requests(access.limits.rate_limit_per_minute, wait_sec))
}

/// Shows the form with an error.
fn refused(problem: &Problem, next: &NextPage) -> Response {
    let mut response = page(Shown::Form, None, Some(problem.detail.clone()), next);
    // Status and headers of the problem are kept, for monitoring and for clients that retry.
    let (parts, _) = problem.clone().into_response().into_parts();
    *response.status_mut() = parts.status;
    for name in [header::WWW_AUTHENTICATE, header::RETRY_AFTER] {
        if let Some(value) = parts.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// Creates a session for a key and returns its cookie. A session that the browser had before is ended.
async fn begin(state: &AppState, headers: &HeaderMap, origin: &Origin, key: ApiKey) -> Result<HeaderValue, Problem> {
    let access = &state.access;
    let before = by_session(state, headers, origin).await.unwrap_or_default();
    if let Some(before) = before {
        end(state, &before).await?;
    }
    let token = SessionToken::generate().map_err(|error| {
        tracing::error!(%error, "no random numbers for a session");
        Problem::unavailable("the operating system returned no random numbers; try again")
    })?;
    let caller = Caller::named(
        key.name.clone(),
        Some(key.id.clone()),
        key.role,
        origin,
        access.share_prompts,
    );
    let session = StoredSession::new(&token, key, clock::wall_now(), access.session_lifetime);
    state.resources.store.insert_session(&session, &caller.actor()).await?;
    let lifetime = session.expires_at.duration_since(session.created_at);
    SessionCookie::of(origin).set(&token, lifetime)
}

async fn end(state: &AppState, caller: &Caller) -> Result<(), Problem> {
    if let Some(id) = caller.session_id() {
        let store = &state.resources.store;
        store.end_session(id, &caller.actor(), clock::wall_now()).await?;
    }
    Ok(())
}

/// Ends the caller's session.
async fn sign_out(
    AxumState(state): AxumState<AppState>,
    Extension(origin): Extension<Origin>,
    caller: Caller,
) -> Result<Response, Problem> {
    end(&state, &caller).await?;
    let removal = SessionCookie::of(&origin).removal()?;
    Ok(([(header::SET_COOKIE, removal)], Redirect::to("sign-in")).into_response())
}

fn page(is_shown: Shown, caller: Option<&Caller>, error: Option<String>, next: &NextPage) -> Response {
    let title = match is_shown {
        Shown::Form => "Sign in",
        Shown::NoAuthentication => "No sign-in needed",
        Shown::IdentifiedByRequest | Shown::SignedIn => "You are signed in",
    };
    let page = SignInPage {
        page: Page::new(SIGN_IN, caller, is_shown != Shown::NoAuthentication),
        title,
        shown: is_shown,
        error,
        next: next.to_string(),
        next_link: next.link(),
    };
    html::page(StatusCode::OK, &page).unwrap_or_else(IntoResponse::into_response)
}
