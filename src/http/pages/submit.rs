//! The form that an experiment is submitted by. Its fields are those of the table of a submission's fields, what it sends goes
//! the way of any submission, and what is wrong is told by the API's words.

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
use crate::http::experiments::idempotency;
use crate::http::experiments::submit::{Sender, accept};
use crate::http::experiments::view::Experiment;
use crate::http::nodes::listed;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_experiment::{DescribedField, ExperimentId, FieldProblem, Repeat, described_fields};
use joulemark_measurement::{clock, quoted};

/// Prompts of more bytes are not copied into a form: no browser shows them well.
const MAX_COPIED_BYTES: usize = 100_000;

static DESCRIBED: LazyLock<Vec<DescribedField>> = LazyLock::new(described_fields);

/// The form, with what was typed and what is wrong with it.
#[derive(Template)]
#[template(path = "submit.html")]
struct SubmitPage {
    page: Page,
    groups: Vec<Group>,
    /// Tells this form from any other, so that it is taken once.
    key: String,
    problem: Option<Problem>,
    /// What is to be known of the experiment that the form was copied from.
    notes: Vec<String>,
    /// The same experiment elsewhere; `None` where it was not asked for.
    written: Option<Vec<Written>>,
    is_too_long: bool,
}

impl SubmitPage {
    /// Returns the problems in the order of the form, each with the input that it is of; a whole document's has none, and is the
    /// first.
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

/// What a form begins with.
#[derive(Debug, Deserialize)]
pub struct Start {
    /// The experiment to be copied.
    from: Option<String>,
}

/// Shows the form: empty, or filled with an experiment that the caller may read.
pub async fn form(
    AxumState(state): AxumState<AppState>,
    start: Result<Query<Start>, QueryRejection>,
    caller: Caller,
    shown_in: Page,
) -> Result<Response, Problem> {
    let accepted = "cannot be read; accepted is the id of one experiment";
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
    page(StatusCode::OK, &form.shown(&state, shown_in, None).await)
}

/// Takes the form: queues its experiment and leads there, or shows the form again with what is wrong, or with the experiment as
/// it is written elsewhere.
pub async fn submitted(
    AxumState(state): AxumState<AppState>,
    sender: Sender,
    shown_in: Page,
    headers: HeaderMap,
    WholeBody(bytes): WholeBody,
) -> Result<Response, Problem> {
    let typed = Typed::read(&headers, &bytes)?;
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
    let mut view = form.shown(&state, shown_in, refused).await;
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

/// Leads to an experiment by a way that holds below any prefix.
fn see_other(shown_in: &Page, id: ExperimentId) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(&format!("{}experiments/{id}", shown_in.root));
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// What a form is made of, whoever it is shown to.
struct Form<'a> {
    described: &'a [DescribedField],
    typed: &'a Typed,
    key: String,
    notes: Vec<String>,
}

impl Form<'_> {
    /// Returns the form as it is shown. Where the nodes are not known it offers nothing of them: what was typed is kept all the same.
    async fn shown(self, state: &AppState, shown_in: Page, problem: Option<Problem>) -> SubmitPage {
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

/// Returns the form of an experiment, and what could not be copied.
async fn copied(
    state: &AppState,
    from: &str,
    caller: &Caller,
    described: &[DescribedField],
) -> Result<(Typed, Vec<String>), Problem> {
    let id: ExperimentId = from.parse().map_err(|_| {
        let detail = format!("is {from}; accepted is an experiment's UUID", from = quoted(&from));
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
        "This is a copy of {name}, {id}. What is left empty is as by default, as it was there."
    )];
    if withheld_prompts > 0 {
        notes.push(format!(
            "Prompts that are another's are not shown ({withheld_prompts}): choose prompts of your own."
        ));
    }
    if dropped_prompts > 0 {
        notes.push(format!(
            "This server has dropped its prompts ({dropped_prompts}): choose prompts anew."
        ));
    }
    let mut is_too_long = false;
    for field in ["prompts", "prompt_lines"] {
        let bytes = experiment[field].to_string().len();
        if bytes > MAX_COPIED_BYTES {
            experiment[field] = serde_json::Value::Null;
            is_too_long = true;
            notes.push(format!(
                "Its {field} have {bytes} bytes and are too long for a form. With them it is submitted again by: joulemark \
                 status {id} --json | joulemark submit -"
            ));
        }
    }
    if caller.actor().name.is_some() {
        // Device time counts for who submits.
        experiment["user"] = serde_json::Value::Null;
    }
    let mut typed = values::typed_of(&experiment, described);
    if withheld_prompts + dropped_prompts > 0 || is_too_long {
        // Unchanged it is refused for want of prompts: the default set would be another experiment.
        typed.set("prompts.kind", "texts");
    }
    Ok((typed, notes))
}

/// Returns the address by which the page was asked for, as far as it is known.
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
