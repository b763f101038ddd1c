use std::collections::{BTreeSet, HashSet};

use super::eligible::needs_engine;
use joulemark_experiment::{Capabilities, Device, Isolation, Requirements};

/// A thing that serves one experiment at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lease {
    /// The CPU as an inference device, whole: two models on it would fight for cores and memory.
    Cpu,
    /// A GPU by UUID.
    Gpu(String),
}

/// What an experiment takes of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Exactly these GPUs.
    pub named: Vec<String>,
    /// Or so many, whichever, but for those that it cannot compute on.
    pub any_gpus: usize,
    pub unfit: Vec<String>,
    pub cpu: bool,
    /// The whole host, whatever it computes on.
    pub host: bool,
}

impl Wanted {
    /// Returns what it takes of a node that has these.
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

/// What an experiment is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start<K> {
    pub key: K,
    /// The GPUs that it computes on or meters.
    pub gpus: Vec<String>,
    /// All that nobody else gets meanwhile.
    pub leases: BTreeSet<Lease>,
    pub host: bool,
}

/// A queued experiment, as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<K> {
    pub key: K,
    pub wanted: Wanted,
    /// Whether this node, of all that could run it, keeps devices free for it.
    pub is_kept_here: bool,
}

/// The devices of a node.
#[derive(Clone, Debug)]
pub struct Devices<'a> {
    /// UUIDs, in the order in which they are given out.
    pub gpus: &'a [String],
    pub leased: &'a HashSet<Lease>,
}

/// Which of `queue`, in its order, may start now, and on what. What one that comes first still waits for is kept for
/// it, so that a large one is not starved by small ones behind it: exactly the GPUs that it names, or as many free ones
/// as it asked for. Where several nodes could run it only one keeps, or the others would stand idle in vain.
pub fn plan<K: Copy>(queue: &[Candidate<K>], devices: &Devices<'_>) -> Vec<Start<K>> {
    let all = devices.gpus.iter().cloned().map(Lease::Gpu).chain([Lease::Cpu]);
    let all = all.collect::<BTreeSet<_>>();
    let mut free = all.clone();
    free.retain(|lease| !devices.leased.contains(lease));
    let mut starts = Vec::new();
    for Candidate {
        key,
        wanted,
        is_kept_here,
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
        } else if *is_kept_here {
            free.retain(|lease| !leases.contains(lease));
        }
    }
    starts
}

/// The GPUs named, or as many free ones as there are, up to the number wanted.
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
