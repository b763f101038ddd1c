//! Answers that all operations share, for requests that are refused before a handler sees them.

use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::{Components, ContentBuilder, HeaderBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::openapi::{ObjectBuilder, Type};

use super::problems::MEDIA_TYPE;

/// The requests that an answer applies to.
enum AppliesTo {
    ByAll,
    WithABody,
    /// Requests whose answer could be compressed.
    ByGet,
    /// Requests that need authentication.
    WithAKey,
}

/// Adds the shared answers to all operations that do not describe their own.
pub fn add(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    for (_, name, _, response) in refusals() {
        components.responses.insert(name.to_owned(), RefOr::T(response));
    }
    for item in document.paths.paths.values_mut() {
        for (method, operation) in methods(item) {
            describe(operation, &method);
        }
    }
}

/// Returns the operations of a path with their methods.
pub fn methods(item: &mut utoipa::openapi::PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let all = [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Delete, &mut item.delete),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Adds the shared answers to an operation.
fn describe(operation: &mut Operation, method: &HttpMethod) {
    let (has_body, needs_key) = (
        operation.request_body.is_some(),
        operation.security.as_ref().is_some_and(|needs| !needs.is_empty()),
    );
    for (status, name, applies_to, _) in refusals() {
        let applies = match applies_to {
            AppliesTo::ByAll => true,
            AppliesTo::WithABody => has_body,
            AppliesTo::ByGet => *method == HttpMethod::Get,
            AppliesTo::WithAKey => needs_key,
        };
        if applies {
            let reference = RefOr::Ref(Ref::from_response_name(name));
            operation
                .responses
                .responses
                .entry(status.to_owned())
                .or_insert(reference);
        }
    }
}

/// Returns the shared answers: status, name, requests that they apply to, and response.
fn refusals() -> [(&'static str, &'static str, AppliesTo, Response); 10] {
    let challenge = header(Type::String, "`Bearer`, with the reason if the key is not valid.");
    let wait = || header(Type::Integer, "Seconds to wait.");
    [
        (
            "400",
            "BadRequest",
            AppliesTo::ByAll,
            problem("A header occurs twice, or a trusted proxy sent one that cannot be read.").build(),
        ),
        (
            "401",
            "Unauthorized",
            AppliesTo::WithAKey,
            problem("The request has neither an API key nor a session, or they are not valid, have expired or were ended.")
                .header("WWW-Authenticate", challenge)
                .build(),
        ),
        (
            "403",
            "Forbidden",
            AppliesTo::ByAll,
            problem(
                "The caller's role is too low for this or for the requested priority, the experiment has another submitter, the CSRF \
                 token of a session is missing, or a server without authentication got the request through a proxy, under another host name or from another site's page.",
            )
            .build(),
        ),
        (
            "406",
            "NotAcceptable",
            AppliesTo::ByGet,
            problem("`Accept-Encoding` accepts none of the available encodings.").build(),
        ),
        (
            "408",
            "RequestTimeout",
            AppliesTo::WithABody,
            problem("The body arrives too slowly.").build(),
        ),
        (
            "414",
            "UriTooLong",
            AppliesTo::ByAll,
            problem("Path and query together are too long.").build(),
        ),
        (
            "429",
            "TooManyRequests",
            AppliesTo::ByAll,
            problem("The caller's rate limit, quota, weekly limit or share of the server is used up.")
                .header("Retry-After", wait())
                .build(),
        ),
        (
            "431",
            "HeadersTooLarge",
            AppliesTo::ByAll,
            problem("The headers together are too large.").build(),
        ),
        (
            "500",
            "InternalError",
            AppliesTo::ByAll,
            problem("The server failed; its log has the details under the answer's `x-request-id`.").build(),
        ),
        (
            "503",
            "Unavailable",
            AppliesTo::ByAll,
            problem(
                "Too many requests are under way, the answer took too long, or the database cannot be reached.",
            )
            .header("Retry-After", wait())
            .build(),
        ),
    ]
}

/// Returns the response of a problem.
fn problem(description: &str) -> ResponseBuilder {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content(MEDIA_TYPE, content)
}

/// Returns a header of a response.
fn header(kind: Type, description: &str) -> utoipa::openapi::header::Header {
    let schema = ObjectBuilder::new().schema_type(kind).build();
    HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(description))
        .build()
}
