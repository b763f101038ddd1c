//! Security schemes, and the role that each operation requires.

use axum::http::Method;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, OpenApi};

use super::refusals::methods;
use crate::http::access::{Scope, scope_of};
use crate::http::csrf::CSRF_HEADER;

const SCHEME: &str = "apiKey";
/// Scheme of the scripts of the service's own pages.
const SESSION: &str = "session";
const CSRF_TOKEN: &str = "csrfToken";

/// Adds the required role to each operation, by the rule that the server itself applies.
pub fn add(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(SCHEME, scheme());
    components.add_security_scheme(SESSION, session());
    components.add_security_scheme(CSRF_TOKEN, csrf_token());
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in methods(item) {
            let method = named(&method);
            describe(operation, &method, scope_of(&method, path));
        }
    }
}

/// Returns the method in the type of the `http` crate.
fn named(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Trace => Method::TRACE,
    }
}

/// Returns the scheme of API keys.
fn scheme() -> SecurityScheme {
    let description = "A key that the admin creates with `joulemark key create`, with the role reader, submitter or admin; \
        each role includes the rights of those before it. Without a key, a name vouched for by a trusted proxy is accepted \
        (`--identity-header`). A server with `--auth none` requires neither and listens on a loopback address only.";
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("jm_ID_SECRET");
    SecurityScheme::Http(bearer.description(Some(description)).build())
}

/// Returns the scheme of sessions.
fn session() -> SecurityScheme {
    let description = "The session of a user who signed in with a key at `/sign-in`, for the service's own pages. It has the \
        rights of the key and ends with it. The cookie's name is `__Host-joulemark` over TLS, `__Secure-joulemark` over TLS below a \
        path prefix, and `joulemark` over plain HTTP. An Authorization header takes precedence over it, and so does a name vouched \
        for by a trusted proxy.";
    SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
        "__Host-joulemark",
        description,
    )))
}

/// Returns the scheme of CSRF tokens.
fn csrf_token() -> SecurityScheme {
    let description = "The token of the session, which its pages contain. It is required only of requests with a session \
        that are not GET.";
    SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
        CSRF_HEADER.as_str(),
        description,
    )))
}

/// Adds the required role to an operation.
fn describe(operation: &mut Operation, method: &Method, scope: Scope) {
    let Scope::Needs(role) = scope else {
        operation.security = Some(Vec::new());
        return;
    };
    let no_scopes: [&str; 0] = [];
    let session = SecurityRequirement::new(SESSION, no_scopes);
    let session = match *method {
        Method::GET | Method::HEAD => session,
        _ => session.add(CSRF_TOKEN, no_scopes),
    };
    operation.security = Some(vec![SecurityRequirement::new(SCHEME, no_scopes), session]);
    let text = operation.description.take();
    let needs = format!("Needs the role `{role}`.");
    operation.description = Some(text.map_or_else(|| needs.clone(), |text| format!("{text}\n\n{needs}")));
}
