use axum::http::Method;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};

use super::refusals::methods;
use crate::http::access::{Scope, scope_of};

const SCHEME: &str = "apiKey";

/// Each operation's scope, by the rule that the server itself goes by.
pub fn add(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(SCHEME, scheme());
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in methods(item) {
            describe(operation, scope_of(&named(&method), path));
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

fn describe(operation: &mut Operation, scope: Scope) {
    let Scope::Needs(role) = scope else {
        operation.security = Some(Vec::new());
        return;
    };
    let no_scopes: [&str; 0] = [];
    operation.security = Some(vec![SecurityRequirement::new(SCHEME, no_scopes)]);
    let text = operation.description.take();
    let needs = format!("Needs the role `{role}`.");
    operation.description = Some(text.map_or_else(|| needs.clone(), |text| format!("{text}\n\n{needs}")));
}
