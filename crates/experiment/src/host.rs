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
    /// What its power limit can be set to; `None` for a board that has none, and of a server of an earlier version.
    #[serde(default)]
    pub power_limits: Option<PowerLimits>,
    /// What its clocks can be locked at; `None` where it does not tell, and of a server of an earlier version.
    #[serde(default)]
    pub clocks: Option<Clocks>,
}

/// What the power limit of a board can be set to, in milliwatts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerLimits {
    pub min_mw: u32,
    pub max_mw: u32,
    /// What it has when the driver is loaded.
    pub default_mw: Option<u32>,
}

/// What the clocks of a board can be locked at, in MHz.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    pub gpu_min_mhz: u32,
    pub gpu_max_mhz: u32,
    /// The highest first.
    pub memory_mhz: Vec<u32>,
}

/// What the host can do, as far as a submission depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub gpus: Vec<Gpu>,
    /// Whether this build of the program can compute on CUDA.
    pub cuda_build: bool,
    /// Logical CPUs the server may use.
    pub cpus: u32,
    /// Why it sets no power limits and clocks; `None` where it does.
    #[serde(default = "before_power_control")]
    pub power_problem: Option<String>,
    pub default_dataset: String,
    /// Every built-in prompt set with its size.
    pub datasets: Vec<(String, u32)>,
}

/// Returns why a server of an earlier version sets none.
fn before_power_control() -> Option<String> {
    Some("its server is of a version that sets none".to_owned())
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
