use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::{Components, ContentBuilder, HeaderBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::openapi::{ObjectBuilder, Type};

use super::problems::MEDIA_TYPE;

/// Which requests may meet a refusal.
enum Met {
    ByAll,
    WithABody,
    /// Where there is something to encode.
    ByGet,
    /// Only where somebody must say who they are.
    WithAKey,
}

/// What is refused before a handler sees it: the same answers for all operations, where they do not describe their own.
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

/// The operations of a path.
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

fn describe(operation: &mut Operation, method: &HttpMethod) {
    let (has_body, needs_key) = (
        operation.request_body.is_some(),
        operation.security.as_ref().is_some_and(|needs| !needs.is_empty()),
    );
    for (status, name, met, _) in refusals() {
        let applies = match met {
            Met::ByAll => true,
            Met::WithABody => has_body,
            Met::ByGet => *method == HttpMethod::Get,
            Met::WithAKey => needs_key,
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

fn refusals() -> [(&'static str, &'static str, Met, Response); 10] {
    let challenge = header(Type::String, "`Bearer`, with what is wrong with the key.");
    let wait = || header(Type::Integer, "Seconds to wait.");
    [
        (
            "400",
            "BadRequest",
            Met::ByAll,
            problem("A header is there twice, or a trusted proxy sent one that cannot be read.").build(),
        ),
        (
            "401",
            "Unauthorized",
            Met::WithAKey,
            problem("There is no API key in the request and no session, or one that is not valid, has expired or was ended.")
                .header("WWW-Authenticate", challenge)
                .build(),
        ),
        (
            "403",
            "Forbidden",
            Met::ByAll,
            problem(
                "The caller's role does not go so far, nor to that priority, the experiment is another's, a \
                 session's CSRF token is missing, or a server without authentication was asked through a proxy, by another host name or by another site's page.",
            )
            .build(),
        ),
        (
            "406",
            "NotAcceptable",
            Met::ByGet,
            problem("`Accept-Encoding` refuses all that there is.").build(),
        ),
        (
            "408",
            "RequestTimeout",
            Met::WithABody,
            problem("The body comes too slowly.").build(),
        ),
        (
            "414",
            "UriTooLong",
            Met::ByAll,
            problem("The path and the query are too long together.").build(),
        ),
        (
            "429",
            "TooManyRequests",
            Met::ByAll,
            problem("The caller's rate, quota or share of the server is used up, or what their experiments may take in a week.")
                .header("Retry-After", wait())
                .build(),
        ),
        (
            "431",
            "HeadersTooLarge",
            Met::ByAll,
            problem("The headers are too large together.").build(),
        ),
        (
            "500",
            "InternalError",
            Met::ByAll,
            problem("The server failed; its log says more, under the answer's `x-request-id`.").build(),
        ),
        (
            "503",
            "Unavailable",
            Met::ByAll,
            problem(
                "Too many requests are being answered, the answer took too long, or the database cannot be reached.",
            )
            .header("Retry-After", wait())
            .build(),
        ),
    ]
}

fn problem(description: &str) -> ResponseBuilder {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content(MEDIA_TYPE, content)
}

fn header(kind: Type, description: &str) -> utoipa::openapi::header::Header {
    let schema = ObjectBuilder::new().schema_type(kind).build();
    HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(description))
        .build()
}
