mod security;

use axum::{Extension, Json};
use utoipa::OpenApi;
use utoipa::openapi::{self, OpenApi as Document};

use super::access::Origin;

/// The parts that no route carries.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "joulemark",
        description = "What an LLM really costs to run: throughput, energy and FLOPs of real inference.\n\n\
            Units are in names: `_j` joules, `_w` watts, `_sec` seconds, `_ms` milliseconds. Every metric key is always \
            there and is a number or null; null means unknown, and `validation.warnings` says why.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    tags(
        (name = "experiments", description = "Submit, follow, cancel and read experiments."),
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

/// The API's description, as served and as checked in.
pub fn document() -> Document {
    let mut document = super::routes().split_for_parts().1;
    document.servers = Some(vec![openapi::Server::new("/")]);
    security::add(&mut document);
    document
}

/// This description
#[utoipa::path(get, path = "/openapi.json", tag = "service", operation_id = "openapi",
    responses((status = 200, description = "The OpenAPI document of this API.", body = serde_json::Value)))]
pub async fn openapi_json(Extension(origin): Extension<Origin>) -> Json<Document> {
    let mut document = document();
    document.servers = Some(vec![openapi::Server::new(origin.link("/"))]);
    Json(document)
}
