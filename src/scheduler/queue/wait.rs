//! Types that describe why a queued experiment has not started.

use serde::Serialize;
use utoipa::ToSchema;

use joulemark_experiment::ExperimentId;

/// Reason why a queued experiment has not started.
///
/// - `turn`: a node that can run it has free devices, and experiments before it start first
/// - `device_busy`: its devices are in use by the holders in `held_by`
/// - `host_busy`: an experiment of `isolation` `host` runs alone on its host, or waits to
/// - `node_missing`: no live node has the name or the labels that it asks for
/// - `engine_missing`: no live node that it may run on has an engine for it
/// - `device_missing`: no live node that it may run on has the devices
/// - `prompt_file_missing`: no live node that it may run on has the prompt file
/// - `model_missing`: no live node that it may run on has the model
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    Turn,
    DeviceBusy,
    HostBusy,
    // From here in the order in which a node is checked: a later reason is closer to running.
    NodeMissing,
    EngineMissing,
    DeviceMissing,
    PromptFileMissing,
    ModelMissing,
}

/// Holder of a device that a queued experiment waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeviceHolder {
    /// Node of the device.
    pub node_name: String,
    /// `cpu` or the UUID of a GPU; null for another node, of which only the running experiments are known.
    pub device: Option<String>,
    /// Experiment that holds the device; null when another server on that host holds it, which may use another
    /// database.
    pub experiment_id: Option<ExperimentId>,
    /// Process of that other server, which holds the device's lock; null when the operating system does not list it.
    pub process_id: Option<u32>,
}

/// What a queued experiment waits for, and the holders of the devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct QueueWait {
    pub reason: WaitReason,
    /// The reason as a sentence.
    pub message: String,
    /// Holders of the devices that it waits for; empty unless it waits for devices or a host.
    pub held_by: Vec<DeviceHolder>,
}
