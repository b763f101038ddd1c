use axum::Json;
use axum::extract::State as AxumState;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::{hides_texts, shown, shown_dropped, shown_failure, shown_report};
use crate::http::access::Caller;
use crate::http::{extract::IdPath, problem::Problem, repeatable_query::NoQuery, state::AppState};
use joulemark_experiment::report::{ModelFacts, OutputsDigest, Report, RunConditions};
use joulemark_experiment::{DroppedPrompts, ExperimentId, PromptIdentity, Prompts, Spec, State};
use joulemark_measurement::{CapabilityCard, LoadReport, Machine};
use joulemark_store::Record;

/// Of a manifest's form: a later one that is read otherwise has another.
pub const MANIFEST_VERSION: u32 = 1;

/// Everything that decides an experiment's result. `POST /v1/experiments` takes it again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Manifest {
    /// Version of this document's form.
    #[schema(example = 1)]
    pub manifest: u32,
    pub id: ExperimentId,
    /// `completed`, or `cancelled` after a cycle.
    pub state: State,
    /// When it was accepted, RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Timestamp,
    /// When it was completed or cancelled, RFC 3339.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub finished_at: Option<Timestamp>,
    /// The experiment as it was run, defaults filled in.
    pub experiment: Spec,
    /// How many prompts are left out of `experiment`, because they are another's; null when it is whole.
    pub prompts_withheld: Option<u32>,
    /// What was in `experiment.prompts` before this server dropped it; null where nothing was dropped.
    pub prompts_dropped: Option<DroppedPrompts>,
    pub prompts: ManifestPrompts,
    /// The model's files by their hashes, tokenizer and chat template among them.
    pub model: ModelFacts,
    /// How each rank's model was loaded.
    pub loads: Vec<LoadReport>,
    /// What the engine honours, where it is a server; null for an engine that is none.
    pub capabilities: Option<CapabilityCard>,
    pub machine: Machine,
    /// The build and the host's settings; null in results of before they were told.
    pub conditions: Option<Box<RunConditions>>,
    pub seeds: Seeds,
    /// A digest of all answers, by which a repetition is told to have given the same; null where they are another's or not known.
    pub outputs: Option<OutputsDigest>,
}

/// Which prompts were sent, in words and a hash that are equal for equal prompts and hold none of their text.
#[derive(Debug, Serialize, ToSchema)]
pub struct ManifestPrompts {
    /// Null where they are another's own texts.
    pub description: Option<String>,
    /// SHA-256, hex: of the file that they come from, of own texts as one JSON list (as in `prompts_dropped`), else of
    /// `description`. Null where they are another's own texts: whoever guesses a text would know it by its hash.
    pub sha256: Option<String>,
}

/// Every seed that anything was drawn by.
#[derive(Debug, Serialize, ToSchema)]
pub struct Seeds {
    /// Of the tokens; null where each run draws others, and for greedy decoding.
    pub decoder: Option<u64>,
    /// Of random prompts; null for others.
    pub prompts: Option<u64>,
    /// Of an open load's arrivals; null for others.
    pub load: Option<u64>,
}

/// Read what decided a result
///
/// The experiment as it was resolved, the model's files and the prompts by their hashes, engine, host and settings, and a digest of
/// the answers. Submitted again it is the same experiment, which is refused where model or prompts are others.
#[utoipa::path(get, path = "/v1/experiments/{id}/manifest", tag = "experiments", operation_id = "getManifest",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id")),
    responses(
        (status = 200, description = "What decided the result.", body = Manifest),
        (status = 400, description = "The id is not a UUID, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has no results; `state` says how far it is.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn manifest(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    _: NoQuery,
    caller: Caller,
) -> Result<Json<Manifest>, Problem> {
    let record = super::find(&state.resources.store, id).await?;
    let Some(report) = state.resources.store.report(id).await? else {
        return Err(Problem::not_completed(record.state, shown_failure(&record, &caller)));
    };
    Ok(Json(Manifest::new(record, report, &caller)))
}

impl Manifest {
    /// Makes the manifest as the caller may see it.
    pub fn new(record: Record, report: Report, caller: &Caller) -> Self {
        let report = shown_report(report, &record, caller);
        let capabilities = report.loads.iter().find_map(|load| load.server.as_ref());
        let seeds = Seeds::of(&record.spec);
        let prompts = ManifestPrompts::of(&record, caller);
        let prompts_dropped = shown_dropped(&record, caller);
        let (experiment, prompts_withheld) = shown(record.spec, record.submitter.as_deref(), caller);
        Self {
            manifest: MANIFEST_VERSION,
            id: record.id,
            state: record.state,
            created_at: record.created_at,
            finished_at: record.finished_at,
            experiment,
            prompts_withheld,
            prompts_dropped,
            prompts,
            model: report.model,
            capabilities: capabilities.map(|server| server.capabilities.clone()),
            loads: report.loads,
            machine: report.machine,
            conditions: report.conditions,
            seeds,
            outputs: report.outputs,
        }
    }
}

impl ManifestPrompts {
    fn of(record: &Record, caller: &Caller) -> Self {
        // A file's hash is in every answer.
        let is_hidden =
            !record.spec.has_prompts_of_a_file() && hides_texts(&record.spec, record.submitter.as_deref(), caller);
        let known = PromptIdentity::of(&record.spec, None, record.dropped_prompts.as_ref()).filter(|_| !is_hidden);
        Self {
            sha256: known.as_ref().map(PromptIdentity::sha256),
            description: known.map(|known| known.as_str().to_owned()),
        }
    }
}

impl Seeds {
    fn of(spec: &Spec) -> Self {
        use joulemark_experiment::Load;
        Self {
            decoder: spec.decoder.seed.filter(|_| spec.decoder.do_sample),
            prompts: match &spec.prompts {
                Prompts::Synthetic { synthetic } => Some(synthetic.seed),
                _ => None,
            },
            load: match &spec.load {
                Some(Load::Open { open }) => Some(open.seed),
                _ => None,
            },
        }
    }
}
