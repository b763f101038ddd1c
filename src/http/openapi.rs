//! The API's description (OpenAPI 3.1). Handlers describe themselves; what is the same for many stands here, so that an
//! operation that is added without a thought is described whole, or `tests/integration/description.rs` says what it lacks.

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

/// The API's own version, by semver: a break of what a client may rely on raises the first number, an addition the
/// second. `tests/integration/compatibility.rs` compares with the last one in `openapi/released`.
pub const API_VERSION: &str = "1.1.0";

/// The parts that no route carries.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "joulemark",
        description = "What an LLM really costs to run: throughput, energy and FLOPs of real inference. Submit an \
            experiment, wait for it, read its results.\n\n\
            **Units** are in names: `_j` joules, `_w` watts, `_sec` seconds, `_ms` milliseconds.\n\n\
            **Unknown is null**, never 0: every key of an answer is always there, and `validation.warnings` says why a \
            metric is null. Every estimate says that it is one.\n\n\
            **Errors** are problem documents (RFC 9457); `type` is for scripts to branch on, `errors` points to each bad \
            field.\n\n\
            **Growth**: within one major version answers may gain keys, and their enums values; a client ignores what it \
            does not know.",
        contact(name = "The admin of this server"),
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    servers((url = "http://127.0.0.1:8080", description = "A server of one's own, without options")),
    tags(
        (name = "experiments", description = "Submit, follow, cancel and read experiments."),
        (name = "sweeps", description = "Experiments for many values of their fields, as one submission and one table."),
        (name = "devices", description = "What is measured here, and how."),
        (name = "models", description = "What a model needs, without running it."),
        (name = "service", description = "The service itself."),
    ),
    components(schemas(super::follow::StateEvent, super::follow::ProgressEvent)),
)]
struct Base;

pub fn base() -> Document {
    Base::openapi()
}

/// The API's description, as checked in; a server that serves it puts in where its client reaches it.
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

/// The same as YAML.
///
/// # Errors
/// Where the document cannot be written so; a test writes it.
pub fn to_yaml(document: &Value) -> Result<String, impl fmt::Display + fmt::Debug + Send + Sync + 'static> {
    serde_saphyr::to_string(document)
}

/// Read this description
///
/// With the address in `servers` under which the client knows this server.
#[utoipa::path(get, path = "/openapi.json", tag = "service", operation_id = "openapi",
    params(("If-None-Match" = Option<String>, Header, description = "`ETag` of an answer that the client has.")),
    responses(
        (status = 200, description = "The OpenAPI document of this API.", body = Object,
            headers(("ETag" = String, description = "Strong."))),
        (status = 304, description = "It is as `If-None-Match` says."),
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

/// Each operation with its path and method.
fn operations(document: &mut Value) -> impl Iterator<Item = (&String, &String, &mut Value)> {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object_mut().into_iter().flatten();
        methods.map(move |(method, operation)| (path, method, operation))
    })
}
