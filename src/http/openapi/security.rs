use axum::http::Method;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, HeaderBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::openapi::{ObjectBuilder, Type};

use crate::http::access::{Scope, scope_of};

const SCHEME: &str = "apiKey";

/// What is the same for every operation and stands in one place: its scope, by the rule that the server itself goes by,
/// and the refusals that any request may meet.
pub fn add(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(SCHEME, scheme());
    for (name, response) in refusals() {
        components.responses.insert(name.to_owned(), RefOr::T(response));
    }
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::PUT, &mut item.put),
            (Method::PATCH, &mut item.patch),
            (Method::DELETE, &mut item.delete),
        ] {
            if let Some(operation) = operation {
                describe(operation, scope_of(&method, path));
            }
        }
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
    for (status, name) in [
        ("401", "Unauthorized"),
        ("403", "Forbidden"),
        ("429", "TooManyRequests"),
    ] {
        let reference = RefOr::Ref(Ref::from_response_name(name));
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert(reference);
    }
}

fn refusals() -> [(&'static str, Response); 3] {
    let problem = || {
        let schema = Ref::from_schema_name("Problem");
        ContentBuilder::new().schema(Some(schema)).build()
    };
    let header = |kind: Type, description: &str| {
        let schema = ObjectBuilder::new().schema_type(kind).build();
        HeaderBuilder::new()
            .schema(Some(schema))
            .description(Some(description))
            .build()
    };
    let response = |description: &str| {
        ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", problem())
    };
    [
        (
            "Unauthorized",
            response("There is no API key in the request, or one that is not valid, expired or revoked.")
                .header(
                    "WWW-Authenticate",
                    header(Type::String, "`Bearer`, with what is wrong with the key."),
                )
                .build(),
        ),
        (
            "Forbidden",
            response(
                "The caller's role does not go so far, the experiment is another's, or a server without authentication \
                 was asked through a proxy, by another host name or by another site's page.",
            )
            .build(),
        ),
        (
            "TooManyRequests",
            response("The caller's rate or quota is used up.")
                .header("Retry-After", header(Type::Integer, "Seconds to wait."))
                .build(),
        ),
    ]
}
