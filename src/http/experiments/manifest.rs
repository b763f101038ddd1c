//! `GET /v1/experiments/{id}/manifest`.

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

/// Version of the manifest's format; it changes when an older server would misread a manifest.
pub const MANIFEST_VERSION: u32 = 1;

/// Everything that determines an experiment's result. `POST /v1/experiments` accepts it to repeat the experiment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Manifest {
    /// Version of this document's format.
    #[schema(example = 1)]
    pub manifest: u32,
    pub id: ExperimentId,
    /// `completed`, or `cancelled` after at least one cycle.
    pub state: State,
    /// Time of acceptance, RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Timestamp,
    /// Time of completion or cancellation, RFC 3339.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub finished_at: Option<Timestamp>,
    /// The experiment as it was run, with defaults filled in.
    pub experiment: Spec,
    /// Number of prompts that `experiment` omits because the caller may not read them; null if none is omitted.
    pub prompts_withheld: Option<u32>,
    /// Description of `experiment.prompts` if this server has deleted them; null otherwise.
    pub prompts_dropped: Option<DroppedPrompts>,
    pub prompts: ManifestPrompts,
    /// The model's files with their hashes, including tokenizer and chat template.
    pub model: ModelFacts,
    /// Report on the loading of each rank's model.
    pub loads: Vec<LoadReport>,
    /// Capabilities of the engine if it is a server; null for other engines.
    pub capabilities: Option<CapabilityCard>,
    pub machine: Machine,
    /// The build of the program and the host's settings; null in results of versions that did not record them.
    pub conditions: Option<Box<RunConditions>>,
    pub seeds: Seeds,
    /// A digest of all answers, which shows whether a repetition gave the same; null if the caller may not read the
    /// prompts, or if it is unknown.
    pub outputs: Option<OutputsDigest>,
}

/// Identity of the prompts: a description and a hash that are equal for equal prompts and contain none of their text.
#[derive(Debug, Serialize, ToSchema)]
pub struct ManifestPrompts {
    /// Null if the caller may not read the prompts.
    pub description: Option<String>,
    /// SHA-256 in hex: of the prompt file, of the prompts as one JSON list (as in `prompts_dropped`), or else of
    /// `description`. Null if the caller may not read the prompts, since a hash would confirm a guessed text.
    pub sha256: Option<String>,
}

/// All seeds of random numbers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Seeds {
    /// Seed of token sampling; null if each run draws a new one, and for greedy decoding.
    pub decoder: Option<u64>,
    /// Seed of random prompts; null for other prompts.
    pub prompts: Option<u64>,
    /// Seed of the arrivals of an open load; null for other loads.
    pub load: Option<u64>,
}

/// Read what determines a result
///
/// Returns the resolved experiment, hashes of the model's files and of the prompts, engine, host and settings, and a
/// digest of the answers. Submitted to `POST /v1/experiments`, it repeats the experiment, or is refused if this
/// server's model or prompts differ.
#[utoipa::path(get, path = "/v1/experiments/{id}/manifest", tag = "experiments", operation_id = "getManifest",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id")),
    responses(
        (status = 200, description = "The manifest.", body = Manifest),
        (status = 400, description = "The id is not a UUID, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has no results; `state` is its present state.", body = Problem, content_type = "application/problem+json"),
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
    /// Returns the manifest, as the caller may see it.
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
        // The hash of a file is part of every answer.
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
