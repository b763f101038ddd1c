//! The API's description (OpenAPI 3.1). Handlers describe themselves; what many share is added here.
//! `tests/integration/description.rs` reports what the description of a new operation lacks.

mod answers;
mod examples;
mod metrics;
mod parameters;
mod problems;
mod refusals;
mod security;
mod selections;

use std::fmt;
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue};
use axum::{Extension, response::Response};
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa::openapi::{self, OpenApi as Document};

use super::access::Origin;
use super::conditional::Condition;
use super::kept::{Kept, Shelf};
use super::problem::Problem;

/// Version of the API by semver: a breaking change raises the first number, an addition the second.
/// `tests/integration/compatibility.rs` compares with the last release in `openapi/released`.
pub const API_VERSION: &str = "1.1.0";

/// Parts of the description that belong to no route.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "joulemark",
        description = "Measures what it costs to run an LLM: throughput, energy and FLOPs of real inference. Submit an \
            experiment, wait for it, read its results.\n\n\
            **Units** are in names: `_j` joules, `_w` watts, `_sec` seconds, `_ms` milliseconds.\n\n\
            **Unknown is null**, never 0: every key of an answer is always present, and `validation.warnings` explains why a \
            metric is null. Every estimate is marked as one.\n\n\
            **Errors** are problem documents (RFC 9457). Scripts branch on `type`; `errors` points to each invalid \
            field.\n\n\
            **Growth**: within one major version answers may gain keys and enum values. A client must ignore those that it \
            does not know.",
        contact(name = "The admin of this server"),
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    servers((url = "http://127.0.0.1:8080", description = "A server on this machine with default options")),
    tags(
        (name = "experiments", description = "Submit, follow, cancel and read experiments."),
        (name = "sweeps", description = "Experiments for many values of their fields, as one submission and one table."),
        (name = "devices", description = "The devices that are measured, and how."),
        (name = "models", description = "Resources that a model needs, computed without running it."),
        (name = "service", description = "The service itself."),
    ),
    components(schemas(super::follow::StateEvent, super::follow::ProgressEvent)),
)]
struct Base;

/// Returns the parts of the description that belong to no route.
pub fn base() -> Document {
    Base::openapi()
}

/// Returns the API's description, as stored in the repository; a server replaces `servers` by its own address.
pub fn document() -> Value {
    let mut document = super::routes().split_for_parts().1;
    API_VERSION.clone_into(&mut document.info.version);
    metrics::describe(&mut document, joulemark_analysis::metrics::all());
    security::add(&mut document);
    refusals::add(&mut document);
    let mut document = serde_json::to_value(document).unwrap_or_default();
    answers::require_every_key(&mut document);
    answers::type_events(&mut document);
    selections::add(&mut document);
    parameters::complete(&mut document);
    problems::add(&mut document);
    examples::add(&mut document);
    document
}

/// Returns the description as YAML.
///
/// # Errors
/// Returns an error if the document cannot be written as YAML.
pub fn to_yaml(document: &Value) -> Result<String, impl fmt::Display + fmt::Debug + Send + Sync + 'static> {
    serde_saphyr::to_string(document)
}

/// Read this description
///
/// Returns the OpenAPI document, with the address of this server in `servers`.
#[utoipa::path(get, path = "/openapi.json", tag = "service", operation_id = "openapi",
    params(("If-None-Match" = Option<String>, Header, description = "`ETag` of an answer that the client has.")),
    responses(
        (status = 200, description = "The OpenAPI document of this API.", body = Object,
            headers(("ETag" = String, description = "The entity tag, which is strong."))),
        (status = 304, description = "The document still has the tag in `If-None-Match`."),
    ))]
pub async fn openapi_json(
    Extension(origin): Extension<Origin>,
    condition: Condition,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(document);
    static SHELF: LazyLock<Shelf> = LazyLock::new(Shelf::default);
    let link = origin.link("/");
    let make = async || {
        let mut document = DOCUMENT.clone();
        document["servers"] = json!([openapi::Server::new(&link)]);
        Kept::new(
            HeaderValue::from_static("application/json"),
            document.to_string().into(),
        )
        .await
    };
    SHELF.get(&link, make).await?.answer(&condition, &headers)
}

/// Returns each operation with its path and method.
fn operations(document: &mut Value) -> impl Iterator<Item = (&String, &String, &mut Value)> {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object_mut().into_iter().flatten();
        methods.map(move |(method, operation)| (path, method, operation))
    })
}
