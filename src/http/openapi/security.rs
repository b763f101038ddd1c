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
/// How the scripts of the service's own pages ask.
const SESSION: &str = "session";
const CSRF_TOKEN: &str = "csrfToken";

/// Each operation's scope, by the rule that the server itself goes by.
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

fn scheme() -> SecurityScheme {
    let description = "A key that the admin makes by `joulemark key create`, with the role reader, submitter or admin; \
        each may also do what those before it may. Without it a name is accepted that a trusted proxy vouches for \
        (`--identity-header`). A server with `--auth none` asks for neither and listens on a loopback address only.";
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("jm_ID_SECRET");
    SecurityScheme::Http(bearer.description(Some(description)).build())
}

fn session() -> SecurityScheme {
    let description = "The session of who signed in with a key at `/sign-in`, which may do what the key may and ends with \
        it; for the service's own pages. The name is `__Host-joulemark` by TLS, `__Secure-joulemark` by TLS below a \
        prefix, and `joulemark` by plain HTTP. An Authorization header goes before it, and so does a name that a trusted \
        proxy vouches for.";
    SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
        "__Host-joulemark",
        description,
    )))
}

fn csrf_token() -> SecurityScheme {
    let description = "The token of the session, as its pages have it. Asked of a session, and of nobody else, where a \
        request is no GET.";
    SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
        CSRF_HEADER.as_str(),
        description,
    )))
}

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
