use std::collections::BTreeMap;

use axum::{Json, extract::State as AxumState};
use serde::Serialize;
use utoipa::ToSchema;

use super::{problem::Problem, repeatable_query::NoQuery, state::AppState};
use joulemark_experiment::{ExperimentId, Gpu, OfferedEngine, OfferedServer};
use joulemark_measurement::ComputeCapability;
use joulemark_store::NodeRecord;

/// A joulemark server that shares this one's database.
#[derive(Debug, Serialize, ToSchema)]
pub struct Node {
    /// Unique among the servers that share the database.
    #[schema(example = "gpu-box-1")]
    pub name: String,
    /// Its host's name.
    pub hostname: String,
    /// Whether its heartbeat is younger than its lease. What ran on a node that is dead goes back to the queue.
    pub is_live: bool,
    /// RFC 3339, by the database's clock.
    #[schema(value_type = String, format = "date-time")]
    pub started_at: jiff::Timestamp,
    /// When it was last heard of, RFC 3339, by the database's clock.
    #[schema(value_type = String, format = "date-time")]
    pub heartbeat_at: jiff::Timestamp,
    /// The program's version there.
    pub version: String,
    /// What an experiment may ask for by `node_labels`.
    pub labels: BTreeMap<String, String>,
    /// Its GPUs, in NVML order.
    pub gpus: Vec<NodeGpu>,
    /// Logical CPUs that it may use.
    pub logical_cpus: u32,
    /// Whether an engine that it has was built to compute on GPUs.
    pub has_cuda: bool,
    /// Names of the models under its models folder.
    pub models: Vec<String>,
    /// Files of prompts that a `prompt_source` may name there, as of the last minute; at most 1000.
    pub prompt_files: Vec<String>,
    /// Whether it fetches models from the hub.
    pub allow_hub: bool,
    /// Engines that it can start, as each says of itself: one entry a program, those for GPUs with their compute
    /// capability.
    pub engines: Vec<OfferedEngine>,
    /// Why programs of engines that it has cannot be started, no NVIDIA driver for instance.
    pub engine_problems: Vec<String>,
    /// Servers that an experiment may name as its `engine`, with what may be set of each.
    pub servers: Vec<OfferedServer>,
    /// What it runs now.
    pub running: Vec<ExperimentId>,
}

/// A GPU as its node announces it; `GET /v1/devices` of that node tells more.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeGpu {
    /// NVML index.
    pub index: u32,
    /// NVML's UUID of the board, `GPU-…`.
    pub uuid: String,
    /// As NVML names it.
    pub name: String,
    /// Which kernels run on it, as NVIDIA counts, e.g. `9.0`; null when NVML does not tell.
    #[schema(value_type = Option<String>)]
    pub compute_capability: Option<ComputeCapability>,
    /// Why no program of the engine `mistral` computes on it, and the command that makes one; null where one does.
    pub engine_problem: Option<String>,
}

/// The nodes, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Nodes {
    /// The nodes, by name.
    pub items: Vec<Node>,
}

/// List the nodes
///
/// Every server that shares this one's database, with its devices and models. An experiment runs on any that has what
/// it needs, or on the one that `node` or `node_labels` ask for.
#[utoipa::path(get, path = "/v1/nodes", tag = "devices", operation_id = "listNodes",
    responses(
        (status = 200, description = "Nodes that were heard of in the past day.", body = Nodes),
        (status = 400, description = "There is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn nodes(AxumState(state): AxumState<AppState>, _: NoQuery) -> Result<Json<Nodes>, Problem> {
    Ok(Json(Nodes {
        items: listed(&state).await?,
    }))
}

/// Returns the nodes with what each runs.
///
/// # Errors
/// Returns a [`Problem`] when the database fails.
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
