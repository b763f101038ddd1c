//! The API documentation for people, served from files inside this program. It loads nothing from other sites.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::get,
};
use utoipa_swagger_ui::Config;

use super::conditional::Condition;
use super::kept::{Kept, Shelf};
use super::problem::{self, Problem};
use super::state::AppState;

/// Relative to `/docs/`, so that it works below any path prefix of a proxy.
const DESCRIPTION: &str = "../openapi.json";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from(DESCRIPTION)
        .try_it_out_enabled(true)
        .persist_authorization(false)
        .display_request_duration(true)
        .filter(true);
    // Disables Swagger UI's request to an external validator.
    Arc::new(config.validator_url("none"))
});

/// Content security policy: scripts and styles come from this server, requests go only to it, and no other site may
/// frame the page. Swagger UI sets inline styles and uses icons in `data:` URLs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Returns the routes of `/docs` and below.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/docs", get(into_folder))
        .route(
            "/docs/",
            get(|uri, condition, headers| page(Path(String::new()), uri, condition, headers)),
        )
        .route("/docs/{*file}", get(page))
        .layer(map_response(guarded))
}

async fn guarded(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Redirects to the folder. The link is relative, as all links are: only the proxy knows its own prefix.
async fn into_folder() -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "docs/")]).into_response()
}

async fn page(Path(file): Path<String>, uri: Uri, condition: Condition, headers: HeaderMap) -> Response {
    static SHELF: LazyLock<Shelf> = LazyLock::new(Shelf::default);
    let make = async || {
        // The error type cannot be held across an await.
        let found = utoipa_swagger_ui::serve(&file, CONFIG.clone()).map_err(|error| error.to_string());
        match found {
            Ok(Some(found)) => {
                let content_type = HeaderValue::from_str(&found.content_type).map_err(|_| Problem::internal())?;
                Kept::new(content_type, found.bytes.into_owned().into()).await
            }
            Ok(None) => Err(problem::no_such_route(uri).await),
            Err(error) => {
                tracing::error!(%error, "a file of the documentation cannot be served");
                Err(Problem::internal())
            }
        }
    };
    let answered = match SHELF.get(&file, make).await {
        Ok(kept) => kept.answer(&condition, &headers),
        Err(problem) => Err(problem),
    };
    answered.map_or_else(IntoResponse::into_response, |mut response| {
        // The files of another version have the same names.
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    })
}
