//! `GET /v1/nodes`.

use std::collections::BTreeMap;

use axum::{Json, extract::State as AxumState};
use serde::Serialize;
use utoipa::ToSchema;

use super::{problem::Problem, repeatable_query::NoQuery, state::AppState};
use joulemark_experiment::{ExperimentId, Gpu, OfferedEngine, OfferedServer};
use joulemark_measurement::ComputeCapability;
use joulemark_store::NodeRecord;

/// A joulemark server that uses the same database as this one.
#[derive(Debug, Serialize, ToSchema)]
pub struct Node {
    /// Name of the node, unique among the servers of the database.
    #[schema(example = "gpu-box-1")]
    pub name: String,
    /// Hostname of its machine.
    pub hostname: String,
    /// True if its heartbeat is younger than its lease. Experiments that ran on a dead node return to the queue.
    pub is_live: bool,
    /// Start time, RFC 3339, by the database's clock.
    #[schema(value_type = String, format = "date-time")]
    pub started_at: jiff::Timestamp,
    /// Time of its last heartbeat, RFC 3339, by the database's clock.
    #[schema(value_type = String, format = "date-time")]
    pub heartbeat_at: jiff::Timestamp,
    /// Version of its program.
    pub version: String,
    /// Labels that an experiment may require by `node_labels`.
    pub labels: BTreeMap<String, String>,
    /// Its GPUs, in NVML order.
    pub gpus: Vec<NodeGpu>,
    /// Number of logical CPUs that it may use.
    pub logical_cpus: u32,
    /// True if one of its engines was built to compute on GPUs.
    pub has_cuda: bool,
    /// Names of the models in its models folder.
    pub models: Vec<String>,
    /// Prompt files there that a `prompt_source` may name, refreshed every minute; at most 1000.
    pub prompt_files: Vec<String>,
    /// True if it downloads models from the Hugging Face hub.
    pub allow_hub: bool,
    /// Engines that it can start, as each describes itself: one entry per program, those for GPUs with their compute
    /// capability.
    pub engines: Vec<OfferedEngine>,
    /// Reasons why programs of its engines cannot be started, such as a missing NVIDIA driver.
    pub engine_problems: Vec<String>,
    /// Servers that an experiment may name as its `engine`, with the options that each accepts.
    pub servers: Vec<OfferedServer>,
    /// Experiments that it runs now.
    pub running: Vec<ExperimentId>,
}

/// A GPU as its node announces it; `GET /v1/devices` of that node has more details.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeGpu {
    /// Index in NVML.
    pub index: u32,
    /// UUID of the board in NVML, `GPU-…`.
    pub uuid: String,
    /// Name of the board in NVML.
    pub name: String,
    /// Compute capability, e.g. `9.0`; null if NVML does not report it.
    #[schema(value_type = Option<String>)]
    pub compute_capability: Option<ComputeCapability>,
    /// Why no program of the engine `mistral` supports the GPU, and the command that builds one; null if one does.
    pub engine_problem: Option<String>,
}

/// The nodes of the database.
#[derive(Debug, Serialize, ToSchema)]
pub struct Nodes {
    /// The nodes, by name.
    pub items: Vec<Node>,
}

/// List the nodes
///
/// Lists every server that uses this one's database, with its devices and models. An experiment runs on any node that
/// has what it needs, or on one selected by `node` or `node_labels`.
#[utoipa::path(get, path = "/v1/nodes", tag = "devices", operation_id = "listNodes",
    responses(
        (status = 200, description = "Nodes with a heartbeat in the past day.", body = Nodes),
        (status = 400, description = "There is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn nodes(AxumState(state): AxumState<AppState>, _: NoQuery) -> Result<Json<Nodes>, Problem> {
    Ok(Json(Nodes {
        items: listed(&state).await?,
    }))
}

/// Returns the nodes, each with its running experiments.
///
/// # Errors
/// Returns a [`Problem`] if the database fails.
pub async fn listed(state: &AppState) -> Result<Vec<Node>, Problem> {
    let mut running: BTreeMap<String, Vec<ExperimentId>> = BTreeMap::new();
    for (node, id) in state.resources.store.running_by_node().await? {
        running.entry(node).or_default().push(id);
    }
    let nodes = state.resources.store.nodes().await?.into_iter();
    let items = nodes.map(|node| {
        let runs = running.remove(&node.name).unwrap_or_default();
        to_item(node, runs)
    });
    Ok(items.collect())
}

/// Returns a node as the API shows it.
fn to_item(node: NodeRecord, running: Vec<ExperimentId>) -> Node {
    let capabilities = node.capabilities;
    let gpu = |gpu: Gpu| NodeGpu {
        index: gpu.index,
        uuid: gpu.uuid,
        name: gpu.name,
        compute_capability: gpu.compute_capability,
        engine_problem: gpu.engine_problem,
    };
    Node {
        name: node.name,
        hostname: capabilities.hostname,
        is_live: node.is_live,
        started_at: node.registered_at,
        heartbeat_at: node.heartbeat_at,
        version: capabilities.version,
        labels: capabilities.labels,
        gpus: capabilities.host.gpus.into_iter().map(gpu).collect(),
        logical_cpus: capabilities.host.cpus,
        has_cuda: capabilities.host.cuda_build,
        models: capabilities.models.into_iter().map(|model| model.name).collect(),
        prompt_files: capabilities.prompt_files,
        allow_hub: capabilities.allow_hub,
        engines: capabilities.engines,
        engine_problems: capabilities.engine_problems,
        servers: capabilities.servers,
        running,
    }
}
