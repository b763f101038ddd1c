//! The properties of a node and of its models that the checks of a submission need.

use serde::{Deserialize, Serialize};

use joulemark_measurement::ComputeCapability;

/// A GPU of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    pub index: u32,
    pub uuid: String,
    pub name: String,
    #[serde(default)]
    pub compute_capability: Option<ComputeCapability>,
    /// Why no program of the engine computes on the GPU; `None` where one does, and for servers of earlier versions.
    #[serde(default)]
    pub engine_problem: Option<String>,
    /// Accepted power limits; `None` where the GPU has none to set, and for servers of earlier versions.
    #[serde(default)]
    pub power_limits: Option<PowerLimits>,
    /// Clocks that can be locked; `None` where the GPU does not report any, and for servers of earlier versions.
    #[serde(default)]
    pub clocks: Option<Clocks>,
}

/// The range of a GPU's power limit, in milliwatts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerLimits {
    pub min_mw: u32,
    pub max_mw: u32,
    /// The limit after the driver is loaded.
    pub default_mw: Option<u32>,
}

/// The clocks that a GPU can be locked at, in MHz.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    pub gpu_min_mhz: u32,
    pub gpu_max_mhz: u32,
    /// Clocks of the memory, highest first.
    pub memory_mhz: Vec<u32>,
}

/// The properties of a host that the checks of a submission need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub gpus: Vec<Gpu>,
    /// Whether a program of the engine on the host computes with CUDA.
    pub cuda_build: bool,
    /// Number of logical CPUs that the server may use.
    pub cpus: u32,
    /// Why the server does not set power limits and clocks; `None` where it does.
    #[serde(default = "before_power_control")]
    pub power_problem: Option<String>,
    pub default_dataset: String,
    /// Every built-in prompt set with its number of prompts.
    pub datasets: Vec<(String, u32)>,
}

/// Returns the reason for servers of versions without power control.
fn before_power_control() -> Option<String> {
    Some("its server is of an earlier version, without power control".to_owned())
}

/// The properties of a model that are known before it is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub is_gguf: bool,
    /// Longest sequence in tokens; `None` where the files do not state it.
    pub max_context_tokens: Option<u64>,
    pub has_chat_template: bool,
    /// Whether the model is synthetic. Its engine computes nothing, so that any build can run it on a GPU: the GPU is
    /// leased and metered.
    pub is_pretended: bool,
    /// Whether a server runs the model; it has its own devices, number types and context length.
    #[serde(default)]
    pub is_served: bool,
}

impl Host {
    /// Returns the GPUs that a program of the engine computes on.
    pub fn computing_gpus(&self) -> impl Iterator<Item = &Gpu> {
        self.gpus
            .iter()
            .filter(|gpu| self.cuda_build && gpu.engine_problem.is_none())
    }

    /// Returns the reasons why none of the GPUs computes.
    pub(super) fn refused_gpus(&self) -> String {
        let refused = self
            .gpus
            .iter()
            .filter_map(|gpu| Some((gpu, gpu.engine_problem.as_deref()?)));
        let refused = refused.map(|(gpu, why)| format!("GPU {} ({}) {why}", gpu.index, gpu.name));
        match refused.collect::<Vec<_>>().join("; ") {
            // Servers of earlier versions state no reason.
            unsaid if unsaid.is_empty() => "the engine was built without the cuda feature".to_owned(),
            said => said,
        }
    }
}
