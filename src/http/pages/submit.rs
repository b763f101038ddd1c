//! The form for submitting an experiment. Its fields come from the table of a submission's fields, it is processed like
//! any submission, and problems are those that the API reports.

mod fields;
mod found;
mod prompts;
mod text;
mod typed;
mod values;
mod written;

use std::sync::LazyLock;

use askama::Template;
use axum::{
    Extension,
    extract::{Query, State as AxumState, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header, uri::Authority},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use self::fields::{FieldView, Group, Input, groups};
use self::found::Found;
use self::typed::Typed;
use self::written::{Written, written};
use super::html::page;
use super::layout::Page;
use crate::http::access::{Caller, Origin};
use crate::http::body::{Body, WholeBody};
use crate::http::csrf::RefusedForm;
use crate::http::experiments::idempotency;
use crate::http::experiments::submit::{Sender, accept};
use crate::http::experiments::view::Experiment;
use crate::http::nodes::listed;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_experiment::{DescribedField, ExperimentId, FieldProblem, Repeat, described_fields};
use joulemark_measurement::{clock, quoted};

/// Maximum size of prompts that are copied into a form, in bytes.
const MAX_COPIED_BYTES: usize = 100_000;

static DESCRIBED: LazyLock<Vec<DescribedField>> = LazyLock::new(described_fields);

/// The form with its values and problems.
#[derive(Template)]
#[template(path = "submit.html")]
struct SubmitPage {
    page: Page,
    groups: Vec<Group>,
    /// Idempotency key of the form, so that it is accepted only once.
    key: String,
    problem: Option<Problem>,
    /// Notes on the experiment that the form was copied from.
    notes: Vec<String>,
    /// The experiment in other notations; `None` unless requested.
    written: Option<Vec<Written>>,
    is_too_long: bool,
}

impl SubmitPage {
    /// Returns the problems in the order of the form, each with its field. A problem of the whole document has no field
    /// and comes first.
    fn errors(&self) -> Vec<(Option<&FieldView>, &FieldProblem)> {
        let problems = self.problem.iter().flat_map(|problem| &problem.errors);
        let fields: Vec<_> = self.groups.iter().flat_map(Group::fields).collect();
        let place = |problem: &FieldProblem| fields.iter().position(|field| values::is_of(problem, field.name));
        let mut placed: Vec<_> = problems.map(|problem| (place(problem), problem)).collect();
        placed.sort_by_key(|(place, _)| *place);
        let placed = placed.into_iter();
        placed
            .map(|(place, problem)| (place.map(|place| fields[place]), problem))
            .collect()
    }
}

/// Query of the form.
#[derive(Debug, Deserialize)]
pub struct Start {
    /// ID of the experiment to copy.
    from: Option<String>,
}

/// Shows the form, either empty or with a copy of an experiment.
pub async fn form(
    AxumState(state): AxumState<AppState>,
    start: Result<Query<Start>, QueryRejection>,
    caller: Caller,
    shown_in: Page,
) -> Result<Response, Problem> {
    let accepted = "is invalid; accepted is the ID of one experiment";
    let Query(Start { from }) = start.map_err(|_| Problem::invalid_parameter("from", accepted))?;
    let (typed, notes) = match from.as_deref().map(str::trim).filter(|from| !from.is_empty()) {
        Some(from) => copied(&state, from, &caller, &DESCRIBED).await?,
        None => (Typed::default(), Vec::new()),
    };
    let form = Form {
        described: &DESCRIBED,
        typed: &typed,
        key: ExperimentId::generate().to_string(),
        notes,
    };
    page(StatusCode::OK, &form.into_page(&state, shown_in, None).await)
}

/// Handles the form. Queues the experiment and redirects to its page, or shows the form again with its problems or with
/// the experiment in other notations.
pub async fn submitted(
    AxumState(state): AxumState<AppState>,
    sender: Sender,
    shown_in: Page,
    headers: HeaderMap,
    expired: Option<Extension<RefusedForm>>,
    WholeBody(bytes): WholeBody,
) -> Result<Response, Problem> {
    let typed = Typed::read(&headers, &bytes)?;
    if let Some(Extension(RefusedForm(problem))) = expired {
        return unsent(&state, shown_in, &typed, problem).await;
    }
    let read = values::read(&typed, &DESCRIBED);
    let document = read.document();
    let problems = read.problems(&document);
    let key = typed.text("key").parse::<ExperimentId>().ok();
    let form = Form {
        described: &DESCRIBED,
        typed: &typed,
        key: key.unwrap_or_else(ExperimentId::generate).to_string(),
        notes: Vec::new(),
    };
    let is_preview = typed.text("action") == "preview";
    let refused = match problems.is_empty() {
        false => Some(Problem::invalid_experiment(problems)),
        true if is_preview => None,
        true => {
            let key = key.map(|key| idempotency::of_form(&key.to_string(), &document, clock::wall_now()));
            match accept(&state, &sender, &Body::of(document), key).await {
                Ok(accepted) => return Ok(see_other(&shown_in, accepted.experiment.id)),
                Err(problem) => Some(Problem {
                    errors: read.as_written(problem.errors.clone()),
                    ..problem
                }),
            }
        }
    };
    let status = refused
        .as_ref()
        .map_or(Ok(StatusCode::OK), |problem| StatusCode::from_u16(problem.status));
    let status = status.map_err(|_| Problem::internal())?;
    let retry_after = refused.as_ref().and_then(|problem| problem.retry_after_sec);
    let has_keys = shown_in.has_keys;
    let mut view = form.into_page(&state, shown_in, refused).await;
    if is_preview {
        let fields: Vec<_> = read.fields().collect();
        view.written = written(&fields, &server(&sender.origin, &headers), has_keys);
        view.is_too_long = view.written.is_none();
    }
    let mut response = page(status, &view)?;
    if let Some(sec) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, sec.into());
    }
    Ok(response)
}

/// Shows the form again with what was typed, after its token was refused. The form contains the present token.
async fn unsent(state: &AppState, shown_in: Page, typed: &Typed, problem: Problem) -> Result<Response, Problem> {
    let form = Form {
        described: &DESCRIBED,
        typed,
        key: ExperimentId::generate().to_string(),
        notes: Vec::new(),
    };
    let problem = Problem {
        title: "The form has not been sent".to_owned(),
        detail:
            "The token of your session in this form had expired, for example because you signed in again. Nothing was \
                 submitted. Your entries are below: send the form again."
                .to_owned(),
        ..problem
    };
    let status = StatusCode::from_u16(problem.status).map_err(|_| Problem::internal())?;
    page(status, &form.into_page(state, shown_in, Some(problem)).await)
}

/// Redirects to an experiment by a relative URL, which works below any prefix.
fn see_other(shown_in: &Page, id: ExperimentId) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(&format!("{}experiments/{id}", shown_in.root));
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Content of the form that does not depend on the caller.
struct Form<'a> {
    described: &'a [DescribedField],
    typed: &'a Typed,
    key: String,
    notes: Vec<String>,
}

impl Form<'_> {
    /// Returns the page with the form. If the nodes cannot be listed, the form offers no choices from them but keeps
    /// its values.
    async fn into_page(self, state: &AppState, shown_in: Page, problem: Option<Problem>) -> SubmitPage {
        let nodes = listed(state).await;
        let errors = problem.as_ref().map_or(&[][..], |problem| &problem.errors);
        SubmitPage {
            groups: groups(
                self.described,
                self.typed,
                errors,
                &nodes.map_or_else(|_| Found::unknown(), |nodes| Found::on(&nodes)),
            ),
            page: shown_in,
            key: self.key,
            problem,
            notes: self.notes,
            written: None,
            is_too_long: false,
        }
    }
}

/// Returns the values of the form for an experiment, and notes on what could not be copied.
async fn copied(
    state: &AppState,
    from: &str,
    caller: &Caller,
    described: &[DescribedField],
) -> Result<(Typed, Vec<String>), Problem> {
    let id: ExperimentId = from.parse().map_err(|_| {
        let detail = format!("is {from}; accepted is the UUID of an experiment", from = quoted(&from));
        Problem::invalid_parameter("from", detail)
    })?;
    let record = state
        .resources
        .store
        .get(id)
        .await?
        .ok_or_else(|| Problem::no_experiment(id))?;
    let name = record.spec.config_name.clone();
    let shown = serde_json::to_value(Experiment::new(record, None, caller)).map_err(|_| Problem::internal())?;
    let Some(Repeat {
        mut experiment,
        withheld_prompts,
        dropped_prompts,
        ..
    }) = Repeat::of(&shown)
    else {
        return Err(Problem::internal());
    };
    let mut notes = vec![format!(
        "This is a copy of {name}, {id}. Empty fields had their defaults in the original."
    )];
    if withheld_prompts > 0 {
        notes.push(format!(
            "Its {withheld_prompts} prompts belong to another user and are not shown. Choose your own prompts."
        ));
    }
    if dropped_prompts > 0 {
        notes.push(format!(
            "This server has deleted its {dropped_prompts} prompts. Choose prompts again."
        ));
    }
    let mut is_too_long = false;
    for field in ["prompts", "prompt_lines"] {
        let bytes = experiment[field].to_string().len();
        if bytes > MAX_COPIED_BYTES {
            experiment[field] = serde_json::Value::Null;
            is_too_long = true;
            notes.push(format!(
                "Its {field} ({bytes} bytes) are too long for a form. To submit the experiment again with them: joulemark \
                 status {id} --json | joulemark submit -"
            ));
        }
    }
    if caller.actor().name.is_some() {
        // Device time counts for the submitting user, so the user of the original is not copied.
        experiment["user"] = serde_json::Value::Null;
    }
    let mut typed = values::typed_of(&experiment, described);
    if withheld_prompts + dropped_prompts > 0 || is_too_long {
        // An empty list of texts is rejected; without it, the default prompts would be used.
        typed.set("prompts.kind", "texts");
    }
    Ok((typed, notes))
}

/// Returns the base URL of the request, as far as it is known.
fn server(origin: &Origin, headers: &HeaderMap) -> String {
    let link = origin.link("");
    if link.contains("://") {
        return link;
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    format!("http://{}{link}", host.as_ref().map_or("SERVER", Authority::as_str))
}
