//! What a node and its models have, as far as a submission depends on it.

use serde::{Deserialize, Serialize};

use joulemark_measurement::ComputeCapability;

/// A GPU that is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    pub index: u32,
    pub uuid: String,
    pub name: String,
    #[serde(default)]
    pub compute_capability: Option<ComputeCapability>,
    /// Why no program of the engine computes on it; `None` where one does, and of a server of an earlier version.
    #[serde(default)]
    pub engine_problem: Option<String>,
}

/// What the host can do, as far as a submission depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub gpus: Vec<Gpu>,
    /// Whether this build of the program can compute on CUDA.
    pub cuda_build: bool,
    /// Logical CPUs the server may use.
    pub cpus: u32,
    pub default_dataset: String,
    /// Every built-in prompt set with its size.
    pub datasets: Vec<(String, u32)>,
}

/// What is known of the model before it is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub is_gguf: bool,
    /// Longest sequence in tokens; null when the files do not say.
    pub max_context_tokens: Option<u64>,
    pub has_chat_template: bool,
    /// It computes nothing, so that any build can pretend to run it on a GPU: the GPU is leased and metered, the CPU
    /// is not leased.
    pub is_pretended: bool,
    /// A server runs it, which has devices, types and a context of its own.
    #[serde(default)]
    pub is_served: bool,
}

impl Host {
    /// Returns the GPUs that a program of the engine here computes on.
    pub fn computing_gpus(&self) -> impl Iterator<Item = &Gpu> {
        self.gpus
            .iter()
            .filter(|gpu| self.cuda_build && gpu.engine_problem.is_none())
    }

    /// Returns why none of its GPUs computes.
    pub(super) fn refused_gpus(&self) -> String {
        let refused = self
            .gpus
            .iter()
            .filter_map(|gpu| Some((gpu, gpu.engine_problem.as_deref()?)));
        let refused = refused.map(|(gpu, why)| format!("GPU {} ({}) {why}", gpu.index, gpu.name));
        match refused.collect::<Vec<_>>().join("; ") {
            // Of a server of an earlier version.
            unsaid if unsaid.is_empty() => "the engine was built without the cuda feature".to_owned(),
            said => said,
        }
    }
}
