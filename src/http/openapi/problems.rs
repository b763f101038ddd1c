//! Examples of problems, made by the same functions as the server's answers.

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::allowance::{Account, Weekly};
use crate::http::problem::Problem;
use joulemark_experiment::access::Role;
use joulemark_experiment::{ExperimentId, Failure, FailureReason, FieldProblem, State};
use joulemark_store::NoneLeft;

pub const MEDIA_TYPE: &str = "application/problem+json";

/// Operations that change something or read a body, which cross-site pages may send.
const SENT: [&str; 7] = [
    "submitExperiment",
    "cancelExperiment",
    "changeLabels",
    "countFlops",
    "compareResults",
    "submitSweep",
    "cancelSweep",
];

/// The operations that a problem is an example for.
enum Of {
    /// All with an answer of its status.
    All,
    /// Operations that read a body.
    WithABody,
    /// Operations on one experiment by its id.
    WithAnId,
    These(&'static [&'static str]),
}

use Of::{All, These, WithABody, WithAnId};

/// Returns every problem, with the operations that it is an example for.
fn problems() -> Vec<(Of, Problem)> {
    let id = example_id();
    let dropped_at = id.created_at();
    let forwarded = "has the header x-forwarded-for";
    let field = |pointer: &str, detail: &str| vec![FieldProblem::new(pointer, detail)];
    let failure = Failure::of_server(
        FailureReason::Timeout,
        "the experiment ran for more than 604800 s, the limit of this server".to_owned(),
    );
    vec![
        (
            All,
            Problem::bad_header(&axum::http::header::HOST, "occurs twice; accepted is one"),
        ),
        (
            WithAnId,
            Problem::invalid_parameter("id", "is \"latest\"; accepted is an experiment's UUID"),
        ),
        (
            These(&["listExperiments", "listAudit", "listSweeps"]),
            Problem::invalid_parameter("limit", "is 0; accepted are 1 to 500"),
        ),
        (
            WithABody,
            Problem::malformed_body("the body is not JSON: expected `,` or `}` at line 3 column 4"),
        ),
        (All, Problem::unauthenticated("there is no API key in the request")),
        (All, Problem::invalid_key("the API key has expired")),
        (
            All,
            Problem::session_ended("the session expired at 2026-11-30T12:00:00Z"),
        ),
        (These(&SENT), Problem::csrf_token(true)),
        (All, Problem::role_too_low(Role::Reader, Role::Submitter)),
        (
            These(&["cancelExperiment", "changeLabels", "cancelSweep"]),
            Problem::not_yours(),
        ),
        (All, Problem::forwarded_without_authentication(forwarded)),
        (All, Problem::foreign_host("lab.example")),
        (These(&SENT), Problem::cross_site()),
        (
            These(&["getExperiment", "getResults"]),
            Problem::invalid_parameter(
                "wait",
                "is \"for ever\"; accepted is a whole number of seconds from 0 to 300",
            ),
        ),
        (
            These(&["exportExperiments", "exportExperiment", "exportSweep"]),
            Problem::invalid_parameter("format", "is \"xlsx\"; accepted are csv, jsonl, parquet"),
        ),
        (
            These(&["followExperiments"]),
            Problem::invalid_parameter("label", "is \"team\"; accepted is name=value"),
        ),
        (All, Problem::encoding_not_acceptable()),
        (
            These(&["exportExperiments", "exportExperiment", "exportSweep"]),
            Problem::not_acceptable(
                "image/png",
                "text/csv, application/x-ndjson, application/vnd.apache.parquet",
            ),
        ),
        (WithAnId, Problem::no_experiment(id)),
        (
            These(&["getSweep", "cancelSweep", "exportSweep", "getPareto"]),
            Problem::no_sweep(id),
        ),
        (These(&["getMetricDefinition"]), Problem::no_metric("speed")),
        (All, Problem::body_too_slow(10)),
        (
            These(&[
                "getResults",
                "getProcesses",
                "exportExperiment",
                "getManifest",
                "getBundle",
                "getReport",
            ]),
            Problem::not_completed(State::Measuring, None),
        ),
        (
            These(&[
                "getResults",
                "getProcesses",
                "exportExperiment",
                "getManifest",
                "getBundle",
                "getReport",
            ]),
            Problem::not_completed(State::Failed, Some(failure)),
        ),
        (
            These(&["cancelExperiment", "cancelSweep"]),
            Problem::already_finished(State::Completed),
        ),
        (
            These(&["getTimeseries", "exportExperiment"]),
            Problem::no_timeseries(State::Queued, None),
        ),
        (
            These(&["getTimeseries", "exportExperiment"]),
            Problem::timeseries_dropped(dropped_at),
        ),
        (
            These(&["exportExperiment", "getBundle"]),
            Problem::requests_dropped(dropped_at),
        ),
        (All, Problem::body_too_large(33_554_432)),
        (All, Problem::uri_too_long(8192)),
        (
            All,
            Problem::unsupported_media_type("text/plain", ["application/json", "application/yaml"]),
        ),
        (
            These(&["submitExperiment"]),
            Problem::invalid_experiment(field(
                "/max_output_tokens",
                "is 0; accepted is an integer from 1 to 10000000",
            )),
        ),
        (
            These(&["submitSweep"]),
            Problem::invalid_sweep(field(
                "/axes/batch_size/1",
                "is 0; accepted is an integer from 1 to 4096 (point 1: batch_size 0)",
            )),
        ),
        (
            These(&["changeLabels"]),
            Problem::invalid_labels(field(
                "/team",
                "is 7; accepted is a text of 1 to 500 characters without control characters",
            )),
        ),
        (
            These(&["submitExperiment", "submitSweep"]),
            Problem::idempotency_key_taken(),
        ),
        (
            These(&["countFlops"]),
            Problem::invalid_question(field(
                "/model",
                "is missing; accepted is the name of a model, or `config` instead",
            )),
        ),
        (
            These(&["compareResults"]),
            Problem::invalid_comparison(field("/ids/1", "is measuring and has no results")),
        ),
        (
            These(&["getPareto"]),
            Problem::invalid_parameter(
                "label",
                "is missing; accepted is name=value, a label of completed experiments, or `sweep` instead",
            ),
        ),
        (All, Problem::too_many_requests(600, 1)),
        (
            These(&["submitExperiment", "submitSweep"]),
            Problem::quota_used_up(1000),
        ),
        (
            These(&["submitExperiment", "submitSweep"]),
            Problem::week_used_up(Weekly::DeviceHours, "ada", &used_up(40.25, 40), dropped_at),
        ),
        (
            These(&["submitExperiment", "submitSweep"]),
            Problem::week_used_up(Weekly::Joules, "ada", &used_up(5_000_321.5, 5_000_000), dropped_at),
        ),
        (
            These(&["submitExperiment", "submitSweep"]),
            Problem::priority_too_high(5, 0, Role::Submitter),
        ),
        (
            These(&["submitExperiment", "submitSweep"]),
            Problem::too_much_stored(1_073_700_000, 1_073_741_824),
        ),
        (All, Problem::headers_too_large(32_768)),
        (All, Problem::internal()),
        (All, Problem::http_version_too_old()),
        (All, Problem::too_many_at_once(NoneLeft::OfCaller(256))),
        (All, Problem::too_many_at_once(NoneLeft::OfAll(1024))),
        (
            These(&["followExperiment", "followExperiments", "getExperiment", "getResults"]),
            Problem::too_many_streams(NoneLeft::OfAll(12_288)),
        ),
        (
            These(&["exportExperiments", "exportExperiment", "exportSweep"]),
            Problem::too_many_exports(NoneLeft::OfCaller(2)),
        ),
        (
            These(&["submitExperiment", "submitSweep"]),
            Problem::queue_full(100_000),
        ),
    ]
}

/// Returns a limit whose usage is above it.
fn used_up(used: f64, allowed: u64) -> Account {
    Account {
        used,
        allowed: Some(allowed),
        room_again_at: example_id().created_at().checked_add(48.hours()).ok(),
    }
}

/// Returns an id that belongs to no experiment.
pub fn example_id() -> ExperimentId {
    const TEXT: &str = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11";
    TEXT.parse()
        .unwrap_or_else(|_| ExperimentId::first_at(Timestamp::UNIX_EPOCH))
}

/// Adds each problem to the answers that it is an example for. An answer that operations share is copied to an
/// operation that has further examples.
pub fn add(document: &mut Value) {
    let problems: Vec<_> = problems()
        .into_iter()
        .map(|(of, problem)| (of, json!(problem)))
        .collect();
    let has_status = |problem: &Value, status: &str| problem["status"].as_u64() == status.parse().ok();
    let mut shared = document["components"]["responses"].take();
    for (_, _, operation) in super::operations(document) {
        let has_body = !operation["requestBody"].is_null();
        let has_id = parameters(operation).any(|parameter| parameter["in"] == "path" && parameter["name"] == "id");
        let is_of_sweeps = operation["tags"][0] == "sweeps";
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        let fits = |of: &Of| match of {
            All => true,
            WithABody => has_body,
            WithAnId => has_id && !is_of_sweeps,
            These(operations) => operations.contains(&id.as_str()),
        };
        for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
            let of_status = problems.iter().filter(|(_, problem)| has_status(problem, status));
            let name = response["$ref"]
                .as_str()
                .and_then(|text| text.rsplit('/').next())
                .map(str::to_owned);
            if let Some(name) = name {
                let general = of_status.clone().filter(|(of, _)| matches!(of, All));
                illustrate(&mut shared[&name], general.map(|(_, problem)| problem));
                if !of_status.clone().any(|(of, _)| !matches!(of, All) && fits(of)) {
                    continue;
                }
                *response = shared[&name].clone();
            }
            illustrate(
                response,
                of_status.filter(|(of, _)| fits(of)).map(|(_, problem)| problem),
            );
        }
    }
    document["components"]["responses"] = shared;
}

/// Returns the parameters of an operation.
fn parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    operation["parameters"].as_array().into_iter().flatten()
}

/// Sets the examples of an answer.
fn illustrate<'a>(response: &mut Value, problems: impl Iterator<Item = &'a Value>) {
    let Some(content) = response.pointer_mut("/content/application~1problem+json") else {
        return;
    };
    let mut examples = serde_json::Map::new();
    for problem in problems {
        let kind = problem["type"].as_str().unwrap_or_default();
        let mut name = kind.rsplit(':').next().unwrap_or_default().to_owned();
        if examples.contains_key(&name) {
            name.push_str("-2");
        }
        examples.insert(name, json!({"summary": problem["title"], "value": problem}));
    }
    if !examples.is_empty() {
        content["examples"] = examples.into();
    }
}
