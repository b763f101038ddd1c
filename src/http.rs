//! The HTTP API. This file is the route table; each operation has a file below. Handlers check requests, call the other
//! layers, and map their results and errors to answers and status codes. Rules about experiments belong to the layers
//! below.

mod access;
mod audit;
mod body;
mod caller_limits;
mod compression;
mod concurrency_limit;
mod conditional;
mod connections;
mod csrf;
mod device_lines;
mod devices;
mod docs;
mod events;
mod experiments;
mod extract;
mod fields;
mod flops;
mod follow;
mod health;
mod kept;
mod layers;
mod limits;
mod lingering;
mod listener;
mod live_lines;
mod long_lived;
mod metric_definitions;
mod metrics;
mod nodes;
mod observe;
mod openapi;
mod paced;
mod page;
mod pages;
mod problem;
mod readiness;
mod repeatable_query;
mod request_id;
mod state;
mod stream;
mod sweeps;
mod unread;

use axum::Router;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use access::{Access, Authentication, KeysInUse, LastUsed, NamedRoles, RateLimit, TrustedProxies};
pub use connections::serve;
#[cfg(test)]
pub(crate) use experiments::export::row_schema;
pub use listener::Listener;
pub use live_lines::LiveLines;
pub use long_lived::{Exports, Streams};
pub use metrics::Metrics;
pub use openapi::{document, to_yaml};
pub use state::AppState;

/// Returns the API's routes, with their descriptions.
fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(experiments::submit::submit, experiments::list::list))
        .routes(routes!(experiments::show::show))
        .routes(routes!(experiments::cancel::cancel))
        .routes(routes!(experiments::relabel::relabel))
        .routes(routes!(experiments::results::results))
        .routes(routes!(experiments::manifest::manifest))
        .routes(routes!(experiments::bundle::bundle))
        .routes(routes!(pages::report::report))
        .routes(routes!(experiments::processes::processes))
        .routes(routes!(experiments::timeseries::timeseries))
        .routes(routes!(experiments::events::experiment_events))
        .routes(routes!(events::events))
        .routes(routes!(experiments::export::many::many))
        .routes(routes!(experiments::export::one::one))
        .routes(routes!(experiments::compare::compare))
        .routes(routes!(experiments::pareto::pareto))
        .routes(routes!(sweeps::submit::submit, sweeps::list::list))
        .routes(routes!(sweeps::show::show))
        .routes(routes!(sweeps::cancel::cancel))
        .routes(routes!(sweeps::export::export))
        .routes(routes!(metric_definitions::metric_definitions))
        .routes(routes!(metric_definitions::metric_definition))
        .routes(routes!(devices::devices))
        .routes(routes!(nodes::nodes))
        .routes(routes!(caller_limits::limits))
        .routes(routes!(flops::flops))
        .routes(routes!(audit::audit))
        .routes(routes!(metrics::scrape::metrics))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(openapi::openapi_json))
}

/// Returns the whole service: the API, its documentation and the pages, wrapped in the middleware.
pub fn router(state: AppState) -> Router {
    let (router, _) = routes().split_for_parts();
    layers::wrap(
        router
            .merge(docs::routes())
            .merge(pages::routes())
            .fallback(problem::no_such_route)
            .method_not_allowed_fallback(problem::no_such_method),
        &state,
    )
    .with_state(state)
}
