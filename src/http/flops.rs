//! `POST /v1/flops`.

use std::borrow::Cow;

use axum::{Json, extract::State as AxumState, http::HeaderMap};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::body::{self, WholeBody};
use super::{problem::Problem, repeatable_query::NoQuery, state::AppState};
use crate::scheduler::by_name;
use joulemark_experiment::{FieldProblem, Fields};
use joulemark_flops::json_text::with_nan_as_text;
use joulemark_flops::model_files::{self, Description};
use joulemark_flops::{FlopsAnswer, KNOWN_DEVICES, Logits, Question, RequestTokens, device_named};
use joulemark_measurement::quoted;

/// A model and the tokens for which its FLOPs are counted. Give `model` or `config`.
// The names that experiments use for `model` and `batch` are accepted too.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlopsRequest {
    /// A model in the models folder, named as in an experiment, or the path of a `config.json` there.
    #[schema(
        min_length = 1,
        max_length = 4096,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$",
        example = "SmolLM2-135M-Instruct.Q4_1.gguf"
    )]
    model: Option<String>,
    /// Content of a Hugging Face `config.json`, for a model that is not in the models folder.
    #[schema(value_type = Option<Object>)]
    config: Option<Value>,
    /// Number of prompt tokens of each sequence.
    #[schema(default = 128, minimum = 1, maximum = 10_000_000)]
    input_tokens: Option<u32>,
    /// Number of tokens that each sequence generates.
    #[schema(default = 128, minimum = 0, maximum = 10_000_000)]
    output_tokens: Option<u32>,
    /// Number of equal sequences that run concurrently.
    #[schema(default = 1, minimum = 1, maximum = 1_000_000)]
    batch: Option<u32>,
    /// Positions whose logits the prefill computes; `last` is what the engine computes.
    logits: Option<Logits>,
    /// NVML name of the GPU whose roofline to compute.
    #[schema(example = "NVIDIA A100-SXM4-80GB")]
    device: Option<String>,
}

const FIELDS: [&str; 9] = [
    "model",
    "model_name",
    "config",
    "input_tokens",
    "output_tokens",
    "batch",
    "batch_size",
    "logits",
    "device",
];
const MAX_TOKENS: u32 = 10_000_000;
const MAX_BATCH: u32 = 1_000_000;
const DEFAULT_TOKENS: u32 = 128;

/// Count a model's FLOPs
///
/// The counts are exact if the model's files are on this server and every tensor in them is known. Nothing is run, and
/// no weights are read.
#[utoipa::path(post, path = "/v1/flops", tag = "models", operation_id = "countFlops",
    request_body(content((FlopsRequest = "application/json"), (FlopsRequest = "application/yaml"))),
    responses(
        (status = 200, description = "FLOPs and bytes, in total and for each operator.", body = FlopsAnswer),
        (status = 400, description = "The body cannot be read, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is neither JSON nor YAML.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The question is not valid, or the model does not exist.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn flops(
    AxumState(state): AxumState<AppState>,
    _: NoQuery,
    headers: HeaderMap,
    WholeBody(bytes): WholeBody,
) -> Result<Json<FlopsAnswer>, Problem> {
    let plain;
    let body = match with_nan_as_text(&bytes) {
        Cow::Borrowed(_) => body::read(&headers, &bytes)?,
        // Python writes NaN and Infinity into a config.json. In YAML these words are plain text.
        Cow::Owned(text) => {
            plain = text;
            body::read(&headers, &bytes).or_else(|_| body::read(&headers, &plain))?
        }
    };
    let (subject, question) =
        parse(&body.document).map_err(|problems| Problem::invalid_question(body.as_written(problems)))?;
    let misread = body.misread();
    if !misread.is_empty() {
        return Err(Problem::invalid_question(misread));
    }
    let models_dir = state.resources.models.folder().to_owned();
    let is_config = matches!(subject, Subject::Config(_));
    let described = tokio::task::spawn_blocking(move || describe(&models_dir, subject)).await;
    let (name, description) = described
        .map_err(|_| Problem::internal())?
        .map_err(|problem| Problem::invalid_question(vec![problem]))?;
    let answer = description.answer(&name, &question);
    // An uncountable model on this server is a valid answer; an uncountable config in the request is an error.
    if is_config && answer.flops_total.is_none() {
        let problem = FieldProblem::new("/config", format!("cannot be counted: {}", answer.notes.join("; ")));
        return Err(Problem::invalid_question(vec![problem]));
    }
    refuse_beyond_u64(&answer).map_err(|problem| Problem::invalid_question(vec![problem]))?;
    Ok(Json(answer))
}

/// Checks that the counts fit into the 64-bit integers of the API.
fn refuse_beyond_u64(answer: &FlopsAnswer) -> Result<(), FieldProblem> {
    let largest = [
        answer.flops_total,
        answer.flops_unwindowed_total,
        answer.flops_elementwise,
        answer.flops_two_params_tokens,
    ];
    match largest.into_iter().flatten().max() {
        Some(count) if count > u128::from(u64::MAX) => Err(FieldProblem::new(
            "",
            format!(
                "asks for {count} FLOPs; accepted are batch, input_tokens and output_tokens whose counts stay within {}",
                u64::MAX
            ),
        )),
        _ => Ok(()),
    }
}

/// The model to count.
enum Subject {
    Model { name: String, key: &'static str },
    Config(Value),
}

/// Reads a question.
fn parse(document: &Value) -> Result<(Subject, Question), Vec<FieldProblem>> {
    let Some(object) = document.as_object() else {
        return Err(vec![FieldProblem::new(
            "",
            "accepted is an object with `model` or `config`",
        )]);
    };
    let mut problems = Vec::new();
    let mut fields = Fields::new(object, "", &FIELDS, &mut problems);
    let key = either(&mut fields, "model", "model_name");
    let name = fields.text(key, 4096);
    let config = fields.object("config", "the content of a config.json").cloned();
    if name.is_some() && config.is_some() {
        fields.problem("config", "is given together with the model; accepted is one of them");
    } else if fields.value(key).is_none() && fields.value("config").is_none() {
        fields.problem(
            "model",
            "is missing; accepted is the name of a model, or `config` instead",
        );
    }
    let input = fields.count("input_tokens", 1, MAX_TOKENS).unwrap_or(DEFAULT_TOKENS);
    let output = fields.count("output_tokens", 0, MAX_TOKENS).unwrap_or(DEFAULT_TOKENS);
    let batch = either(&mut fields, "batch", "batch_size");
    let batch = fields.count(batch, 1, MAX_BATCH).unwrap_or(1);
    let logits = fields.choice("logits");
    let known = KNOWN_DEVICES.iter().map(|device| device.name).collect::<Vec<_>>();
    let accepted = format!("one of {}", known.join(", "));
    let device = fields.read("device", &accepted, |value| device_named(value.as_str()?));
    let subject = match (name, config) {
        (Some(name), _) => Some(Subject::Model { name, key }),
        (None, config) => config.map(|config| Subject::Config(Value::Object(config))),
    };
    match subject {
        Some(subject) if problems.is_empty() => {
            let question = Question {
                tokens: RequestTokens { input, output },
                batch,
                logits: logits.unwrap_or_default(),
                device,
            };
            Ok((subject, question))
        }
        _ => Err(problems),
    }
}

/// Returns which of two names of a field was used; adds a problem if both were.
fn either(fields: &mut Fields<'_>, name: &'static str, alias: &'static str) -> &'static str {
    match (fields.value(name), fields.value(alias)) {
        (Some(_), Some(_)) => {
            fields.problem(alias, format!("is given together with {name}, which means the same"));
            name
        }
        (None, Some(_)) => alias,
        _ => name,
    }
}

/// Describes the model of a question, from its files or its config.
fn describe(models_dir: &std::path::Path, subject: Subject) -> Result<(String, Description), FieldProblem> {
    match subject {
        Subject::Config(config) => Ok(("config".to_owned(), model_files::describe_config(&config, ""))),
        Subject::Model { name, key } => {
            let problem = |detail: String| {
                let detail = by_name(&detail, models_dir);
                FieldProblem::new(format!("/{key}"), format!("is {name}: {detail}", name = quoted(&name)))
            };
            let path = model_files::resolve(models_dir, &name).map_err(|error| problem(error.to_string()))?;
            let description = model_files::describe(&path, &name).map_err(|error| problem(error.to_string()))?;
            Ok((name, description))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Subject, parse};
    use joulemark_flops::Logits;

    #[test]
    fn both_names_of_a_field_are_read_and_defaults_filled_in() {
        for document in [
            json!({"model": "a.gguf", "batch": 2}),
            json!({"model_name": "a.gguf", "batch_size": 2}),
        ] {
            let (subject, question) = parse(&document).unwrap_or_else(|problems| panic!("{problems:?}"));
            assert!(matches!(subject, Subject::Model { name, .. } if name == "a.gguf"));
            assert_eq!(
                (question.batch, question.tokens.input, question.logits),
                (2, 128, Logits::Last)
            );
        }
    }

    #[test]
    fn counts_beyond_64_bits_are_refused() {
        let config = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536,
            "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152,
        });
        let refused = |batch: u32, input: u32| {
            let document = json!({"config": config, "batch": batch, "input_tokens": input});
            let (subject, question) = parse(&document).unwrap_or_else(|problems| panic!("{problems:?}"));
            let (name, description) = super::describe(std::path::Path::new("."), subject).expect("a description");
            super::refuse_beyond_u64(&description.answer(&name, &question)).is_err()
        };
        assert!(!refused(1, 128));
        assert!(refused(1_000_000, 10_000_000));
    }

    #[test]
    fn every_problem_is_named_with_what_is_accepted() {
        let document = json!({
            "model": "a", "model_name": "b", "input_tokens": 0, "logits": "first", "device": "abacus", "tokens": 1,
        });
        let Err(problems) = parse(&document) else {
            panic!("accepted")
        };
        let pointers: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            ["/tokens", "/model_name", "/input_tokens", "/logits", "/device"]
        );
        assert!(problems[4].detail.contains("NVIDIA H200"), "{}", problems[4].detail);
        let Err(problems) = parse(&json!({})) else {
            panic!("accepted")
        };
        assert!(problems[0].detail.contains("config"));
    }
}
