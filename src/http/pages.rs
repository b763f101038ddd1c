//! HTML pages of the same values that the API returns as JSON, one module for each view, with templates in
//! `templates/`. Links are relative, so that they work below any path prefix of a proxy. Every figure is shown without
//! JavaScript; the script `pages/joulemark.js` only updates what changes.

mod assets;
mod compare;
mod devices;
mod experiment;
mod experiments;
mod figures;
mod html;
mod layout;
mod metric_choice;
mod metric_words;
mod now;
mod problems;
pub mod report;
mod sign_in;
mod submit;
mod sweep;
mod sweep_words;
mod sweeps;
mod zones;

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    middleware::map_response,
    response::Response,
    routing::{get, post},
};

pub use problems::show_problems;

use super::state::AppState;
use crate::number;

/// Content security policy: scripts and styles come from this program, requests and forms go to this server only, and
/// no other page may frame these.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Returns the routes of the pages and of their assets.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(now::now))
        .route("/experiments", get(experiments::experiments))
        .route("/experiments/{id}", get(experiment::experiment))
        .route("/experiments/{id}/cancel", post(experiment::cancel))
        .route("/figures", get(figures::figures))
        .route("/submit", get(submit::form).post(submit::submitted))
        .merge(sign_in::routes())
        .route("/compare", get(compare::compare))
        .route("/sweeps", get(sweeps::sweeps))
        .route("/sweeps/{id}", get(sweep::sweep))
        .route("/sweeps/{id}/cancel", post(sweep::cancel))
        .route("/assets/{version}/{file}", get(assets::asset))
        .layer(map_response(guarded))
}

async fn guarded(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
