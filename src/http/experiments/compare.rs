//! `POST /v1/compare`.

use std::collections::HashSet;

use axum::{Json, extract::State as AxumState, http::HeaderMap};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::measured::{measured, of_point};
use crate::compared::{Named, default_metrics, metric_named, read_result};
use crate::http::access::Caller;
use crate::http::body::{self, WholeBody};
use crate::http::{problem::Problem, repeatable_query::NoQuery, state::AppState};
use joulemark_analysis::comparison::{
    ComparisonOptions, DEFAULT_MARGIN, DEFAULT_METRICS, MeasuredResult, Subject, compare as compared,
};
use joulemark_analysis::metrics::Metric;
use joulemark_experiment::comparison::ComparisonAnswer;
use joulemark_experiment::{ExperimentId, FieldProblem, Fields, MAX_PROBLEMS, brief};

/// Results to compare. Give `ids` or `results`. The first result is the baseline; each of the others is compared with
/// it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "ids": ["01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11", "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c12"],
    "metrics": ["joules_per_output_token", "output_throughput"]
}))]
pub struct CompareRequest {
    /// Ids of experiments of this server that completed, or were cancelled after at least one cycle. A point of a sweep
    /// is written `SWEEP/POINT`; its samples are its repeats.
    #[schema(min_items = 2, max_items = 50)]
    ids: Option<Vec<String>>,
    /// Results of any server, as `GET /v1/experiments/{id}/results` answers them; at least their `cycles`, `machine`,
    /// `loads` and `experiment`.
    #[schema(value_type = Option<Vec<Object>>, min_items = 2, max_items = 50)]
    results: Option<Vec<Value>>,
    /// Names of numeric metrics. Default: `output_throughput`, `mean_ttft_ms`, `mean_tpot_ms`,
    /// `joules_per_output_token` and `tokens_per_joule`.
    #[schema(min_items = 1)]
    metrics: Option<Vec<String>>,
    /// Relative difference up to which two values count as equivalent; above 0, at most 1. Default 0.02.
    #[schema(default = 0.02, exclusive_minimum = 0.0, maximum = 1.0)]
    margin: Option<f64>,
    /// Compare also results with different workloads or different energy metering; `notes` then name the differences.
    /// Default false.
    #[schema(default = false)]
    force: Option<bool>,
}

const FIELDS: [&str; 5] = ["ids", "results", "metrics", "margin", "force"];
/// Maximum number of results compared at once; each is read whole.
const MAX_RESULTS: usize = 50;

/// Compare results
///
/// Compares each candidate's metrics with those of the baseline, over their measured cycles or over the repeats of a
/// sweep's point. For each metric it returns the ratio with its 95 % confidence interval, a p-value adjusted for the
/// number of metrics by Holm's method, and a verdict. The interval comes from Welch's t on logarithms, or from pairs if
/// both are points of a sweep whose points took turns. Results with different prompts, lengths or handling of the end
/// of a sequence are not compared, nor energies from different kinds of source or of different parts; `not_compared`
/// gives the reason. docs/methodology.md has the formulas.
#[utoipa::path(post, path = "/v1/compare", tag = "experiments", operation_id = "compareResults",
    request_body(content((CompareRequest = "application/json"), (CompareRequest = "application/yaml"))),
    responses(
        (status = 200, description = "The comparison of each metric.", body = ComparisonAnswer),
        (status = 400, description = "The body cannot be read, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is neither JSON nor YAML.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The comparison is not valid, or a result does not exist.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn compare(
    AxumState(state): AxumState<AppState>,
    _: NoQuery,
    caller: Caller,
    headers: HeaderMap,
    WholeBody(bytes): WholeBody,
) -> Result<Json<ComparisonAnswer>, Problem> {
    let body = body::read(&headers, &bytes)?;
    let refused = |problems| Problem::invalid_comparison(body.as_written(problems));
    let question = parse(&body.document).map_err(refused)?;
    let misread = body.misread();
    if !misread.is_empty() {
        return Err(Problem::invalid_comparison(misread));
    }
    let answered = question.answered((&state, &caller), &body.document).await?;
    answered.map(Json).map_err(refused)
}

/// Returns the comparison that a document asks for, which has the form of the operation's body.
///
/// # Errors
/// Returns the problems of each field, or a [`Problem`] if the database fails.
pub async fn answer(
    asked_by: (&AppState, &Caller),
    document: &Value,
) -> Result<Result<ComparisonAnswer, Vec<FieldProblem>>, Problem> {
    match parse(document) {
        Ok(question) => question.answered(asked_by, document).await,
        Err(problems) => Ok(Err(problems)),
    }
}

/// A comparison that was asked for.
struct Question {
    of: Of,
    metrics: Vec<&'static Metric>,
    options: ComparisonOptions,
}

/// The results to compare.
enum Of {
    Ids(Vec<Named>),
    /// Those inside the document.
    Results,
}

impl Question {
    async fn answered(
        self,
        (state, caller): (&AppState, &Caller),
        document: &Value,
    ) -> Result<Result<ComparisonAnswer, Vec<FieldProblem>>, Problem> {
        let subjects = match self.of {
            Of::Results => read_all(&document["results"], &self.metrics),
            Of::Ids(ids) => look_up(state, caller, &ids, &self.metrics).await?,
        };
        let subjects = match subjects {
            Ok(subjects) => subjects,
            Err(problems) => return Ok(Err(problems)),
        };
        match subjects.split_first() {
            Some((baseline, candidates)) => Ok(Ok(compared(baseline, candidates, &self.options))),
            None => Err(Problem::internal()),
        }
    }
}

/// Reads a comparison from a document.
fn parse(document: &Value) -> Result<Question, Vec<FieldProblem>> {
    let Some(object) = document.as_object() else {
        let detail = "accepted is an object with `ids` or `results`";
        return Err(vec![FieldProblem::new("", detail)]);
    };
    let mut problems = Vec::new();
    let mut fields = Fields::new(object, "", &FIELDS, &mut problems);
    let of = read_of(&mut fields);
    let metrics = read_metrics(&mut fields);
    let margin = fields.number("margin", "a number above 0, up to 1", |margin| {
        margin > 0.0 && margin <= 1.0
    });
    let force = fields.boolean("force");
    match of {
        Some(of) if problems.is_empty() => Ok(Question {
            of,
            metrics,
            options: ComparisonOptions {
                margin: margin.unwrap_or(DEFAULT_MARGIN),
                force: force.unwrap_or(false),
            },
        }),
        _ => Err(problems),
    }
}

fn read_of(fields: &mut Fields<'_>) -> Option<Of> {
    match (fields.value("ids"), fields.value("results")) {
        (Some(_), Some(_)) => {
            fields.problem("results", "is given together with ids; accepted is one of them");
            None
        }
        (None, None) => {
            fields.problem(
                "ids",
                "is missing; accepted are the ids of 2 to 50 experiments, or `results` instead",
            );
            None
        }
        (Some(_), None) => {
            let items = list(fields, "ids")?;
            let mut ids = Vec::new();
            for (place, item) in items.iter().enumerate() {
                let Some(id) = read_id(fields, place, item) else {
                    continue;
                };
                if ids.contains(&id) {
                    let detail = "occurs twice; a result is not compared with itself";
                    fields.problem_at(&format!("ids/{place}"), detail);
                }
                ids.push(id);
            }
            Some(Of::Ids(ids))
        }
        (None, Some(_)) => list(fields, "results").map(|_| Of::Results),
    }
}

fn list<'a>(fields: &mut Fields<'a>, name: &str) -> Option<&'a Vec<Value>> {
    let accepted = format!("a list of 2 to {MAX_RESULTS}");
    fields.read(name, &accepted, |value| {
        value
            .as_array()
            .filter(|items| (2..=MAX_RESULTS).contains(&items.len()))
    })
}

fn read_id(fields: &mut Fields<'_>, place: usize, item: &Value) -> Option<Named> {
    let id = item.as_str().and_then(|text| text.parse().ok());
    if id.is_none() {
        let shown = brief(item);
        fields.problem_at(
            &format!("ids/{place}"),
            format!("is {shown}; accepted is an experiment's UUID, or SWEEP/POINT"),
        );
    }
    id
}

/// Returns the requested metrics, or the default ones.
fn read_metrics(fields: &mut Fields<'_>) -> Vec<&'static Metric> {
    let accepted = format!(
        "a list of at least one name of a metric, such as {}",
        DEFAULT_METRICS[0]
    );
    let Some(items) = fields.read("metrics", &accepted, |value| {
        value.as_array().filter(|items| !items.is_empty())
    }) else {
        return default_metrics();
    };
    let mut metrics: Vec<&Metric> = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let named = item.as_str().ok_or_else(|| {
            let shown = brief(item);
            format!("is {shown}; accepted is the name of a metric")
        });
        match named.and_then(metric_named) {
            Ok(metric) if metrics.iter().any(|known| known.name == metric.name) => {
                fields.problem_at(&format!("metrics/{place}"), "occurs twice; accepted is each name once");
            }
            Ok(metric) => metrics.push(metric),
            Err(detail) => fields.problem_at(&format!("metrics/{place}"), detail),
        }
    }
    metrics
}

fn read_all(results: &Value, metrics: &[&'static Metric]) -> Result<Vec<Subject>, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let mut subjects = Vec::new();
    let mut seen = HashSet::new();
    for (place, value) in results.as_array().into_iter().flatten().enumerate() {
        let base = format!("/results/{place}");
        let id = value["id"].as_str();
        if id.is_some_and(|id| !seen.insert(id)) {
            problems.push(FieldProblem::new(
                format!("{base}/id"),
                "occurs twice; a result is not compared with itself",
            ));
        }
        match read_result(value, &base, id.map_or(base.clone(), str::to_owned)) {
            Ok(result) => subjects.push(Subject::new(&result, metrics)),
            Err(found) => problems.extend(found),
        }
    }
    problems.truncate(MAX_PROBLEMS);
    if problems.is_empty() {
        Ok(subjects)
    } else {
        Err(problems)
    }
}

/// Reads stored results one after the other. Each may hold megabytes, of which little is needed.
async fn look_up(
    state: &AppState,
    caller: &Caller,
    ids: &[Named],
    metrics: &[&'static Metric],
) -> Result<Result<Vec<Subject>, Vec<FieldProblem>>, Problem> {
    let (mut subjects, mut problems) = (Vec::new(), Vec::new());
    for (place, id) in ids.iter().enumerate() {
        let subject = match *id {
            Named::Experiment(id) => result_of(state, caller, id)
                .await?
                .map(|result| Subject::new(&result, metrics)),
            Named::Point(sweep, point) => of_point(state, caller, (sweep, point), metrics).await?,
        };
        match subject {
            Ok(subject) => subjects.push(subject),
            Err(detail) => problems.push(FieldProblem::new(format!("/ids/{place}"), detail)),
        }
    }
    Ok(if problems.is_empty() {
        Ok(subjects)
    } else {
        Err(problems)
    })
}

/// Returns the measured result of an experiment, or why it has none.
async fn result_of(
    state: &AppState,
    caller: &Caller,
    id: ExperimentId,
) -> Result<Result<MeasuredResult, String>, Problem> {
    let store = &state.resources.store;
    let Some(record) = store.get(id).await? else {
        return Ok(Err(format!("there is no experiment {id}")));
    };
    let Some(report) = store.report(id).await? else {
        return Ok(Err(format!("is {} and has no results", record.state)));
    };
    Ok(Ok(measured(record, report, caller)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const IDS: [&str; 2] = [
        "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11",
        "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c12",
    ];

    #[test]
    fn omitted_fields_have_their_defaults() {
        let document = json!({"ids": IDS, "force": null});
        let question = parse(&document).unwrap_or_else(|problems| panic!("{problems:?}"));
        let names: Vec<_> = question.metrics.iter().map(|metric| metric.name).collect();
        assert_eq!(names, DEFAULT_METRICS);
        assert_eq!(
            (question.options.margin, question.options.force),
            (DEFAULT_MARGIN, false)
        );
        assert!(matches!(question.of, Of::Ids(ids) if ids.len() == 2));
    }

    #[test]
    fn every_problem_is_named_with_what_is_accepted() {
        for (document, pointer, accepted) in [
            (json!([]), "", "`ids` or `results`"),
            (json!({}), "/ids", "`results` instead"),
            (json!({"ids": IDS, "results": [{}, {}]}), "/results", "one of them"),
            (json!({"ids": [IDS[0]]}), "/ids", "2 to 50"),
            (json!({"ids": vec![IDS[0]; 51]}), "/ids", "2 to 50"),
            (json!({"ids": IDS[0]}), "/ids", "a list"),
            (json!({"ids": [IDS[0], "latest"]}), "/ids/1", "UUID"),
            (json!({"ids": [IDS[0], IDS[0]]}), "/ids/1", "twice"),
            (json!({"ids": IDS, "margin": 0}), "/margin", "above 0"),
            (json!({"ids": IDS, "margin": 2}), "/margin", "up to 1"),
            (json!({"ids": IDS, "force": "yes"}), "/force", "true or false"),
            (json!({"ids": IDS, "metrics": []}), "/metrics", "at least one"),
            (
                json!({"ids": IDS, "metrics": ["speed"]}),
                "/metrics/0",
                "GET /v1/metrics",
            ),
            (
                json!({"ids": IDS, "metrics": ["flops_method"]}),
                "/metrics/0",
                "numbers",
            ),
            (json!({"ids": IDS, "metrics": [7]}), "/metrics/0", "name"),
            (
                json!({"ids": IDS, "metrics": ["mean_ttft_ms", "mean_ttft_ms"]}),
                "/metrics/1",
                "each name once",
            ),
            (json!({"ids": IDS, "Metrics": []}), "/Metrics", "did you mean"),
        ] {
            let Err(problems) = parse(&document) else {
                panic!("accepted {document}")
            };
            assert_eq!(problems[0].pointer, pointer, "{problems:?}");
            assert!(problems[0].detail.contains(accepted), "{problems:?}");
        }
    }

    #[test]
    fn a_result_that_lacks_parts_is_refused_with_a_pointer_to_each() {
        let part = json!({"machine": {"hostname": "a"}, "loads": [], "cycles": [{"cycle": 0}], "experiment": {}});
        let Err(problems) = read_all(&json!([{}, part, 7]), &default_metrics()) else {
            panic!("accepted")
        };
        let pointers: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            [
                "/results/0/cycles",
                "/results/0/loads",
                "/results/0/experiment",
                "/results/0/machine/hostname",
                "/results/1/cycles/0",
                "/results/1/experiment",
                "/results/2"
            ]
        );
    }
}
