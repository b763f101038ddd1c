//! Protection against cross-site request forgery: one rule for all routes asks for the CSRF token of a session when a
//! request changes something. A new route is therefore protected by default, and handlers of forms need not check
//! anything.

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State as AxumState};
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::access::{Caller, is_of_a_person, is_page};
use super::body::WholeBody;
use super::problem::Problem;
use super::state::AppState;

/// Header in which a script of the pages sends the CSRF token of its session.
pub const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
/// Field in which a form sends it.
const FIELD: &str = "csrf";
const FORM: &str = "application/x-www-form-urlencoded";
/// Maximum size of a form from a caller who is not signed in.
const MAX_UNKNOWN_CALLER_BYTES: usize = 16_384;

/// Path of the submission form, which its handler shows again when the token is refused.
const SUBMISSION: &str = "/submit";

/// The refusal of a submission form whose CSRF token is wrong. Its handler shows the form again with what was typed.
#[derive(Clone, Debug)]
pub struct RefusedForm(pub Problem);

/// Refuses a request that changes something under a session but lacks the CSRF token of that session. Reads the body of
/// a page's form whole; from an unknown caller it may have at most [`MAX_UNKNOWN_CALLER_BYTES`]. The submission form of a
/// person reaches its handler with a [`RefusedForm`], and submits nothing.
pub async fn require_token(AxumState(state): AxumState<AppState>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    match checked(&state, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Returns the request with its form read, or the problem it is refused with.
async fn checked(state: &AppState, mut request: Request) -> Result<Request, Problem> {
    let caller = request.extensions().get::<Caller>().cloned();
    let by_script = request.headers().get(CSRF_HEADER).cloned();
    if let (Some(caller), Some(given)) = (&caller, &by_script) {
        check_csrf(caller, given.to_str().unwrap_or_default())?;
    }
    if !is_page(request.uri().path()) || !is_form(request.headers()) {
        if let (Some(caller), None) = (&caller, &by_script) {
            check_csrf(caller, "")?;
        }
        return Ok(request);
    }
    if caller.is_none() {
        DefaultBodyLimit::max(MAX_UNKNOWN_CALLER_BYTES).apply(&mut request);
    }
    let (parts, body) = request.into_parts();
    let whole = WholeBody::from_request(Request::from_parts(parts.clone(), body), state).await;
    let WholeBody(bytes) = whole.map_err(|problem| match caller {
        None if problem.is_of_kind("body-too-large") => Problem::malformed_body(format!(
            "the form is larger than {MAX_UNKNOWN_CALLER_BYTES} bytes, which is more than it takes to sign in"
        )),
        _ => problem,
    })?;
    let mut request = Request::from_parts(parts, Body::from(bytes.clone()));
    if let (Some(caller), None) = (&caller, &by_script)
        && let Err(problem) = check_csrf(caller, &token_of(&bytes))
    {
        if request.uri().path() != SUBMISSION || !is_of_a_person(SUBMISSION, request.headers()) {
            return Err(problem);
        }
        request.extensions_mut().insert(RefusedForm(problem));
    }
    Ok(request)
}

/// Returns whether the body is an HTML form.
fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(FORM))
}

/// Returns the CSRF token in a form; empty if the field is missing or occurs more than once.
fn token_of(form: &[u8]) -> String {
    let mut values = form_urlencoded::parse(form).filter(|(name, _)| name == FIELD);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => value.into_owned(),
        _ => String::new(),
    }
}

/// Checks the token against that of the caller's session. A caller without a session needs no token: a browser does not
/// add an API key to a request, and cross-site requests are refused for all callers (`layers::same_site`).
fn check_csrf(caller: &Caller, given: &str) -> Result<(), Problem> {
    match caller.csrf_token() {
        Some(own) if !bool::from(own.as_bytes().ct_eq(given.as_bytes())) => Err(Problem::csrf_token(given.is_empty())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use joulemark_experiment::access::{Role, SessionToken};

    use super::super::access::Origin;
    use super::*;

    #[test]
    fn a_session_needs_its_own_token_and_other_callers_need_none() {
        let origin = Origin::direct("192.0.2.1".parse().unwrap());
        let (one, other) = (SessionToken::generate().unwrap(), SessionToken::generate().unwrap());
        let named = || Caller::named("ada".to_owned(), None, Role::Submitter, &origin, false);
        let signed_in = named().signed_in(&one);
        let own = signed_in.csrf_token().unwrap().to_owned();
        assert_eq!(check_csrf(&signed_in, &own), Ok(()));
        let others = other.csrf().as_str().to_owned();
        for wrong in [
            "",
            "x",
            &others,
            &own.to_uppercase(),
            &own[1..],
            &format!("{own}0"),
            &one.reveal(),
        ] {
            let problem = check_csrf(&signed_in, wrong).unwrap_err();
            assert!(
                problem.status == 403 && problem.is_of_kind("csrf-token"),
                "{wrong}: {problem:?}"
            );
            assert!(!problem.detail.contains(&own));
        }
        for caller in [named(), Caller::anybody(&origin)] {
            assert_eq!(caller.csrf_token(), None);
            assert_eq!(check_csrf(&caller, ""), Ok(()));
        }
        assert!(!format!("{signed_in:?}").contains(&own), "it would be in a log");
    }

    #[test]
    fn a_form_has_one_token() {
        for (form, expected) in [
            ("csrf=abc", "abc"),
            ("a=b&csrf=abc&c=d", "abc"),
            ("csrf=a%62c", "abc"),
            ("", ""),
            ("xcsrf=abc", ""),
            ("csrf=abc&csrf=abc", ""),
            ("csrf=&csrf=abc", ""),
        ] {
            assert_eq!(token_of(form.as_bytes()), expected, "{form}");
        }
        for (kind, expected) in [
            (FORM, true),
            ("Application/X-WWW-Form-Urlencoded; charset=utf-8", true),
            ("application/json", false),
            ("multipart/form-data; boundary=x", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_form(&headers), expected, "{kind}");
        }
    }
}
