//! Decides which nodes can run an experiment, and which of them reserves devices for it. Leaves free devices to
//! `leases`.

use sha2::{Digest, Sha256};

use super::wait::WaitReason;
use crate::engines::MISTRAL;
use crate::scheduler::models::is_hub_id;
use crate::synthetic::SYNTHETIC_PREFIX;
use joulemark_experiment::{Capabilities, Device, ExperimentId, Requirements};
use joulemark_measurement::quoted;

/// Reason why a node cannot run an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    pub reason: WaitReason,
    pub words: String,
}

/// Returns why the node can never run an experiment with these requirements, however many devices are free; `None` when
/// it can. Calls `has_model` only for models that are neither synthetic nor from the hub.
pub fn obstacle(
    requirements: &Requirements,
    node: &str,
    capabilities: &Capabilities,
    has_model: impl Fn(&str) -> bool,
) -> Option<Obstacle> {
    let host = &capabilities.host;
    let name = requirements.model_name.as_str();
    let is_synthetic = name.starts_with(SYNTHETIC_PREFIX);
    let lacks = |reason, words: String| Some(Obstacle { reason, words });
    if let Some(wanted) = requirements.node.as_ref().filter(|wanted| *wanted != node) {
        return lacks(WaitReason::NodeMissing, format!("it is not {}", quoted(wanted)));
    }
    if let Some((key, value)) = requirements
        .node_labels
        .iter()
        .find(|(key, value)| capabilities.labels.get(*key) != Some(value))
    {
        let words = format!("its label {} is not {}", quoted(key), quoted(value));
        return lacks(WaitReason::NodeMissing, words);
    }
    let server = capabilities.server(&requirements.engine);
    let needs_program = needs_engine(requirements);
    let has_engine = match needs_program {
        true => capabilities.engine(MISTRAL).is_some(),
        false => is_synthetic || server.is_some(),
    };
    if !has_engine {
        let engine = quoted(&requirements.engine);
        return lacks(WaitReason::EngineMissing, format!("it has no engine {engine}"));
    }
    if requirements.device == Device::Cuda && !host.cuda_build && needs_program {
        let words = "its engine was built without the cuda feature".to_owned();
        return lacks(WaitReason::EngineMissing, words);
    }
    if requirements.device == Device::Cuda
        && needs_program
        && let Some(words) = refused_by_engine(requirements, capabilities)
    {
        return lacks(WaitReason::EngineMissing, words);
    }
    let is_there = |uuid: &&String| host.gpus.iter().any(|gpu| gpu.uuid == **uuid);
    if let Some(missing) = requirements.gpus.iter().find(|uuid| !is_there(uuid)) {
        return lacks(WaitReason::DeviceMissing, format!("it has no GPU {missing}"));
    }
    if requirements.gpu_count as usize > host.gpus.len() {
        let words = format!("it has {} GPUs, not {}", host.gpus.len(), requirements.gpu_count);
        return lacks(WaitReason::DeviceMissing, words);
    }
    if let Some(why) = host.power_problem.as_ref().filter(|_| requirements.sets_power) {
        let words = format!("it cannot set power limits and clocks: {why}");
        return lacks(WaitReason::DeviceMissing, words);
    }
    if requirements.device == Device::Cpu && requirements.num_processes > host.cpus {
        let words = format!("it has {} CPUs for {} ranks", host.cpus, requirements.num_processes);
        return lacks(WaitReason::DeviceMissing, words);
    }
    if let Some(file) = requirements
        .prompt_source
        .as_ref()
        .filter(|file| !capabilities.prompt_files.contains(file))
    {
        return lacks(
            WaitReason::PromptFileMissing,
            format!("it has no prompt file {}", quoted(file)),
        );
    }
    let has_model = match server {
        _ if is_synthetic => capabilities.allow_synthetic_engine,
        Some(server) => !server.managed || server.model_name.as_deref() == Some(name) || has_model(name),
        None => has_model(name) || (capabilities.allow_hub && is_hub_id(name)),
    };
    match has_model {
        true => None,
        false => lacks(WaitReason::ModelMissing, format!("it has no model {}", quoted(name))),
    }
}

/// Returns why the engine on that node cannot compute on a named GPU, or on enough GPUs; `None` when it can.
fn refused_by_engine(requirements: &Requirements, capabilities: &Capabilities) -> Option<String> {
    let host = &capabilities.host;
    let is_wanted = |uuid: &String| requirements.gpus.is_empty() || requirements.gpus.contains(uuid);
    let mut refused = host.gpus.iter().filter(|gpu| is_wanted(&gpu.uuid));
    let refused = refused.find_map(|gpu| Some(format!("its GPU {} {}", gpu.index, gpu.engine_problem.as_deref()?)))?;
    let is_enough = requirements.gpus.is_empty() && host.computing_gpus().count() >= requirements.gpu_count as usize;
    (!is_enough).then_some(refused)
}

/// Returns whether the experiment runs with the mistral.rs engine.
pub fn needs_engine(requirements: &Requirements) -> bool {
    requirements.engine == MISTRAL && !requirements.model_name.starts_with(SYNTHETIC_PREFIX)
}

/// Returns the one node, of those that can run an experiment, that reserves devices for it: the node with the fewest
/// GPUs. Among equals a hash of experiment and node decides, so that all nodes agree without communication (rendezvous
/// hashing).
pub fn reserving_node<'a>(
    id: ExperimentId,
    able: impl Iterator<Item = (&'a str, &'a Capabilities)>,
) -> Option<&'a str> {
    let able = able.collect::<Vec<_>>();
    let fewest = able
        .iter()
        .map(|(_, capabilities)| capabilities.host.gpus.len())
        .min()?;
    let equal = able
        .iter()
        .filter(|(_, capabilities)| capabilities.host.gpus.len() == fewest);
    let equal = equal.map(|(node, _)| *node).collect::<Vec<_>>();
    match equal[..] {
        // Saves the hash, which would be computed for each of thousands of queued experiments.
        [only] => Some(only),
        _ => equal
            .into_iter()
            .min_by_key(|node| Sha256::digest(format!("{id} {node}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use joulemark_experiment::{Gpu, Host, Isolation};

    fn capabilities(gpus: u32) -> Capabilities {
        let gpu = |index| Gpu {
            index,
            uuid: format!("GPU-{index}"),
            name: "GPU".to_owned(),
            compute_capability: None,
            engine_problem: None,
            power_limits: None,
            clocks: None,
        };
        Capabilities {
            hostname: "host".to_owned(),
            version: "1".to_owned(),
            labels: BTreeMap::from([("rack".to_owned(), "7".to_owned())]),
            host: Host {
                gpus: (0..gpus).map(gpu).collect(),
                cuda_build: false,
                cpus: 2,
                power_problem: Some("power control is off".to_owned()),
                default_dataset: String::new(),
                datasets: Vec::new(),
            },
            models: Vec::new(),
            allow_hub: false,
            allow_synthetic_engine: true,
            prompt_files: vec!["a.jsonl".to_owned()],
            servers: Vec::new(),
            engine_problems: Vec::new(),
            engines: vec![joulemark_worker::describe(MISTRAL, "0.8.1", &[])],
        }
    }

    fn requirements() -> Requirements {
        Requirements {
            engine: MISTRAL.to_owned(),
            model_name: "synthetic:".to_owned(),
            device: Device::Cuda,
            num_processes: 1,
            gpus: Vec::new(),
            gpu_count: 1,
            isolation: Isolation::Devices,
            node: None,
            node_labels: BTreeMap::new(),
            prompt_source: Some("a.jsonl".to_owned()),
            sets_power: false,
        }
    }

    #[test]
    fn each_missing_capability_is_an_obstacle() {
        let lacks = |change: fn(&mut Requirements)| {
            let mut requirements = requirements();
            change(&mut requirements);
            obstacle(&requirements, "one", &capabilities(2), |name| name == "here.gguf")
        };
        assert_eq!(lacks(|_| ()), None);
        assert_eq!(lacks(|requirements| requirements.node = Some("one".to_owned())), None);
        assert_eq!(lacks(|requirements| requirements.gpus = vec!["GPU-1".to_owned()]), None);
        assert_eq!(
            lacks(|requirements| {
                requirements.device = Device::Cpu;
                requirements.model_name = "here.gguf".to_owned();
            }),
            None
        );
        let obstacles: [fn(&mut Requirements); 9] = [
            |requirements| requirements.sets_power = true,
            |requirements| requirements.node = Some("other".to_owned()),
            |requirements| drop(requirements.node_labels.insert("rack".to_owned(), "8".to_owned())),
            |requirements| requirements.gpus = vec!["GPU-2".to_owned()],
            |requirements| requirements.gpu_count = 3,
            |requirements| requirements.prompt_source = Some("b.jsonl".to_owned()),
            |requirements| requirements.model_name = "here.gguf".to_owned(),
            |requirements| {
                requirements.device = Device::Cpu;
                requirements.num_processes = 3;
            },
            |requirements| {
                requirements.device = Device::Cpu;
                requirements.model_name = "org/model".to_owned();
            },
        ];
        for obstacle in obstacles {
            assert!(lacks(obstacle).is_some());
        }
    }

    #[test]
    fn all_nodes_agree_on_one_node_that_reserves_and_it_is_the_smallest_that_suffices() {
        let (small, large) = (capabilities(2), capabilities(8));
        let id = ExperimentId::generate();
        assert_eq!(
            reserving_node(id, [("a", &large), ("b", &small)].into_iter()),
            Some("b")
        );
        let nodes = [("a", &small), ("b", &small), ("c", &small)];
        let mut chosen_by = BTreeMap::new();
        for _ in 0..300 {
            let id = ExperimentId::generate();
            let chosen = reserving_node(id, nodes.into_iter()).unwrap();
            assert_eq!(reserving_node(id, nodes.into_iter().rev()), Some(chosen));
            *chosen_by.entry(chosen).or_insert(0) += 1;
        }
        assert!(
            chosen_by.len() == 3 && chosen_by.values().all(|count| *count > 50),
            "{chosen_by:?}"
        );
    }
}
