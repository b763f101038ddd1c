//! The callback of a submission.

use uuid::Uuid;

use crate::http::access::Origin;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_experiment::FieldProblem;
use joulemark_store::NewCallback;

/// Checks the URL to call when the experiment has ended.
///
/// # Errors
/// Returns 422 for a URL that the admin does not allow.
pub fn checked(state: &AppState, url: Option<String>, origin: &Origin) -> Result<Option<NewCallback>, Problem> {
    let Some(url) = url else { return Ok(None) };
    let refuse = |detail: String| Problem::invalid_experiment(vec![FieldProblem::new("/callback_url", detail)]);
    let Some(allowed) = &state.callbacks else {
        let detail = "is given, but this server makes no callbacks; accepted is none (callback_allow is empty)";
        return Err(refuse(detail.to_owned()));
    };
    // Its addresses are checked at each call, when no submitter waits for the answer.
    let parsed = allowed.accept(&url).map_err(|refusal| refuse(refusal.to_string()))?;
    Ok(Some(NewCallback {
        delivery_id: Uuid::now_v7(),
        url,
        host: format!(
            "{}:{}",
            parsed.host_str().unwrap_or_default(),
            parsed.port_or_known_default().unwrap_or(0)
        ),
        link_base: origin.link(""),
    }))
}
