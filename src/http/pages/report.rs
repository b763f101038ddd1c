//! A result as one HTML file that works offline, e.g. as an attachment to a paper.

use std::sync::LazyLock;

use askama::Template;
use axum::{
    extract::State as AxumState,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::assets::STYLE;
use super::experiment::{found::Found, identity::Identity, sections::Sections, setup::Setup};
use super::figures::Definitions;
use super::html::page;
use crate::http::access::{Authentication, Caller};
use crate::http::conditional::{Condition, answer, not_modified};
use crate::http::experiments::{find, finished_tag, view};
use crate::http::extract::IdPath;
use crate::http::problem::Problem;
use crate::http::repeatable_query::NoQuery;
use crate::http::state::AppState;
use joulemark_experiment::State;
use joulemark_store::Version;

/// Prefix of the anchors of definitions.
const ANCHORS: &str = "how-";

/// Content security policy: allows the report's own style, by its hash, and nothing else.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
});

/// The report on a result.
#[derive(Template)]
#[template(path = "report.html")]
struct ReportFile {
    policy: &'static str,
    style: &'static str,
    title: String,
    state: State,
    identity: Identity,
    sections: Sections,
    setup: Setup,
    definitions: Definitions,
    version: &'static str,
}

impl ReportFile {
    /// Draws the report; returns `None` when the experiment has no result.
    fn draw(found: &Found, has_keys: bool) -> Result<Option<Self>, Problem> {
        let Some(sections) = found.sections(&format!("#{ANCHORS}")) else {
            return Ok(None);
        };
        let experiment = &found.experiment;
        Ok(Some(Self {
            policy: &POLICY,
            style: &STYLE,
            title: experiment.spec.config_name.clone(),
            state: experiment.state,
            identity: Identity::of(experiment, found.sweep),
            sections,
            setup: found.setup(has_keys, None)?,
            definitions: Definitions::new(ANCHORS),
            version: env!("CARGO_PKG_VERSION"),
        }))
    }
}

/// Read a result as an HTML report
///
/// One HTML file with all charts and figures, the checks, the experiment and its manifest. It loads nothing, so it
/// works offline, and it can be printed. Its Content-Security-Policy allows its own style by a hash, and no scripts.
/// The report on a cancelled experiment covers the cycles that had finished. Prompts are included only if the caller
/// may read them.
#[utoipa::path(get, path = "/v1/experiments/{id}/report.html", tag = "experiments", operation_id = "getReport",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of an answer that the client has.")),
    responses(
        (status = 200, description = "The report.", content_type = "text/html", body = String,
            headers(("ETag" = String, description = "The entity tag, which is strong."),
                ("Content-Disposition" = String, description = "The file's name."))),
        (status = 304, description = "The report still has the tag in `If-None-Match`."),
        (status = 400, description = "The id is not a UUID, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has no results; `state` is its present state.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn report(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    _: NoQuery,
    caller: Caller,
    condition: Condition,
) -> Result<Response, Problem> {
    let store = &state.resources.store;
    // A report has fewer charts once retention has deleted the raw data.
    let dropped_at = store.raw_data_dropped_at(id).await?;
    let dropped_at = dropped_at.map_or_else(String::new, |at| at.to_string());
    let tag_of = |version: &Version| finished_tag(id, version, &caller, &["report", &POLICY, &dropped_at]);
    if let Some(version) = store.version(id).await?
        && matches!(version.state, State::Completed | State::Cancelled)
        && condition.is_met_by(&tag_of(&version))
    {
        return Ok(not_modified(&tag_of(&version)));
    }
    let record = find(store, id).await?;
    let tag = tag_of(&Version::from(&record));
    let found = Found::read(&state, id, &caller).await?;
    let has_keys = state.access.authentication == Authentication::Keys;
    let drawn = tokio::task::spawn_blocking(move || {
        let report = ReportFile::draw(&found, has_keys)?;
        report.map(|report| page(StatusCode::OK, &report)).transpose()
    });
    let drawn = drawn.await.map_err(|error| {
        tracing::error!(%error, "a report cannot be rendered");
        Problem::internal()
    })??;
    let Some(mut response) = drawn else {
        return Err(Problem::not_completed(
            record.state,
            view::shown_failure(&record, &caller),
        ));
    };
    let policy = format!("{}; frame-ancestors 'none'", *POLICY);
    let name = format!("inline; filename=\"joulemark-{id}.html\"");
    for (header, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CONTENT_DISPOSITION, name),
    ] {
        let value = HeaderValue::try_from(value).map_err(|_| Problem::internal())?;
        response.headers_mut().insert(header, value);
    }
    answer(&tag, &condition, || Ok(response))
}
