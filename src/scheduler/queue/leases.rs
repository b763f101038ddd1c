//! Plans which queued experiments may start on which devices. Does no I/O.

use std::collections::{BTreeSet, HashSet};

use super::eligible::needs_engine;
use joulemark_experiment::{Capabilities, Device, Isolation, Requirements};

/// A device that serves one experiment at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lease {
    /// The whole CPU as an inference device: two models on it would compete for cores and memory.
    Cpu,
    /// A GPU by UUID.
    Gpu(String),
}

/// Devices of a node that an experiment asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// UUIDs of specific GPUs.
    pub named: Vec<String>,
    /// Number of GPUs when none are named.
    pub any_gpus: usize,
    /// UUIDs of GPUs that its engine cannot compute on, which are not chosen for `any_gpus`.
    pub unfit: Vec<String>,
    pub cpu: bool,
    /// Exclusive use of the whole host.
    pub host: bool,
}

impl Wanted {
    /// Returns what an experiment with these requirements asks for on a node with these capabilities.
    pub fn of(requirements: &Requirements, node: &Capabilities) -> Self {
        let is_any = requirements.gpus.is_empty();
        let is_computed_on = requirements.device == Device::Cuda && needs_engine(requirements);
        let unfit = node
            .host
            .gpus
            .iter()
            .filter(|gpu| is_computed_on && gpu.engine_problem.is_some());
        Self {
            named: requirements.gpus.clone(),
            any_gpus: if is_any { requirements.gpu_count as usize } else { 0 },
            unfit: unfit.map(|gpu| gpu.uuid.clone()).collect(),
            cpu: requirements.device == Device::Cpu,
            host: requirements.isolation == Isolation::Host,
        }
    }
}

/// Devices assigned to an experiment that may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start<K> {
    pub key: K,
    /// UUIDs of the GPUs that it computes on or meters.
    pub gpus: Vec<String>,
    /// All devices that no other experiment may use meanwhile.
    pub leases: BTreeSet<Lease>,
    pub host: bool,
}

/// A queued experiment from the point of view of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<K> {
    pub key: K,
    pub wanted: Wanted,
    /// Whether this node reserves devices for it while it waits.
    pub reserves_here: bool,
}

/// The devices of a node.
#[derive(Clone, Debug)]
pub struct Devices<'a> {
    /// UUIDs of the GPUs, in the order in which they are assigned.
    pub gpus: &'a [String],
    pub leased: &'a HashSet<Lease>,
}

/// Selects the experiments of `queue` that may start now, in queue order, and assigns their devices. An experiment that
/// cannot start yet reserves devices, so that smaller ones behind it do not starve it: the GPUs that it names, or up to
/// as many free ones as it asks for. When several nodes could run it, only one of them reserves devices, so that the
/// others do not idle.
pub fn plan<K: Copy>(queue: &[Candidate<K>], devices: &Devices<'_>) -> Vec<Start<K>> {
    let all = devices.gpus.iter().cloned().map(Lease::Gpu).chain([Lease::Cpu]);
    let all = all.collect::<BTreeSet<_>>();
    let mut free = all.clone();
    free.retain(|lease| !devices.leased.contains(lease));
    let mut starts = Vec::new();
    for Candidate {
        key,
        wanted,
        reserves_here,
    } in queue
    {
        if free.is_empty() {
            break;
        }
        let gpus = choose(wanted, devices.gpus, &free);
        let mut leases = gpus.iter().cloned().map(Lease::Gpu).collect::<BTreeSet<_>>();
        leases.extend(wanted.cpu.then_some(Lease::Cpu));
        if wanted.host {
            leases.clone_from(&all);
        }
        let is_complete = gpus.len() == wanted.named.len().max(wanted.any_gpus);
        if is_complete && leases.is_subset(&free) {
            free.retain(|lease| !leases.contains(lease));
            starts.push(Start {
                key: *key,
                gpus,
                leases,
                host: wanted.host,
            });
        } else if *reserves_here {
            free.retain(|lease| !leases.contains(lease));
        }
    }
    starts
}

/// Returns the named GPUs, or up to the wanted number of free ones.
fn choose(wanted: &Wanted, gpus: &[String], free: &BTreeSet<Lease>) -> Vec<String> {
    if wanted.any_gpus == 0 {
        return wanted.named.clone();
    }
    let is_free = |gpu: &str| free.contains(&Lease::Gpu(gpu.to_owned()));
    let free = gpus.iter().filter(|gpu| !wanted.unfit.contains(gpu));
    let free = free.filter(|gpu| is_free(gpu));
    free.take(wanted.any_gpus).cloned().collect()
}

#[cfg(test)]
mod tests;
