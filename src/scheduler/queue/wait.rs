use serde::Serialize;
use utoipa::ToSchema;

use joulemark_experiment::ExperimentId;

/// What a queued experiment waits for.
///
/// - `turn`: a node that can run it has the devices free; those before it come first
/// - `device_busy`: its devices are held, by those in `held_by`
/// - `host_busy`: an experiment of `isolation` `host` has its host, or waits to have it
/// - `node_missing`: no live node is the one, or has the labels, that it asked for
/// - `engine_missing`: no live node that it may run on has an engine for it
/// - `device_missing`: no live node that it may run on has the devices
/// - `prompt_file_missing`: no live node that it may run on has the file of prompts
/// - `model_missing`: no live node that it may run on has the model
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    Turn,
    DeviceBusy,
    HostBusy,
    // Those of a node, in the order in which it is looked at: the last is the nearest to running.
    NodeMissing,
    EngineMissing,
    DeviceMissing,
    PromptFileMissing,
    ModelMissing,
}

/// Who has a device that an experiment waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeviceHolder {
    /// The node whose device it is.
    pub node_name: String,
    /// `cpu`, or the UUID of a GPU; null of another node, of which is known only what runs there.
    pub device: Option<String>,
    /// The experiment that has it; null where another server of that host has it, which may use another database.
    pub experiment_id: Option<ExperimentId>,
    /// The process of that other server, on that host, by the device's lock; null where the operating system does not tell.
    pub process_id: Option<u32>,
}

/// What a queued experiment waits for, and who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct QueueWait {
    pub reason: WaitReason,
    /// The same in a sentence.
    pub message: String,
    /// Who has the devices that it waits for; empty unless it waits for devices or a host.
    pub held_by: Vec<DeviceHolder>,
}
