//! Selects the queued experiments that this node can start now, and locks their devices.

use std::collections::HashMap;
use std::sync::Arc;

use super::device_locks::{LockError, LockFolder, Locks};
use super::eligible::{needs_engine, obstacle, reserving_node};
use super::leases::{Candidate, Devices, Lease, Start, Wanted, plan};
use super::order::{device_sec_by_user, first_hour, in_order};
use crate::scheduler::step::Scheduler;
use joulemark_experiment::{Capabilities, ExperimentId, Requirements};
use joulemark_measurement::clock;
use joulemark_meter::is_unidentified_gpu;
use joulemark_store::{StoreError, Waiting};

/// Maximum number of experiments that are examined for each user and each resource requirement.
const MAX_DEPTH: usize = 64;

impl Scheduler {
    /// Returns the queued experiments that this node should start now, in the order of their turns, with their devices
    /// locked.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub(in crate::scheduler) async fn startable(&self) -> Result<Vec<(Start<ExperimentId>, Locks)>, StoreError> {
        let store = &self.context().resources.store;
        let waiting = store.waiting(self.depth()).await?;
        if waiting.is_empty() {
            return Ok(self.locked(Vec::new()).await);
        }
        // The engine program may have been replaced by one with another protocol, for which no experiment must be
        // claimed.
        if waiting.iter().any(|waiting| needs_engine(&waiting.requirements)) {
            self.look_for_engines().await;
        }
        let now = clock::wall_now();
        let past = store.device_times(first_hour(now)).await?;
        let device_sec = device_sec_by_user(&past, &store.devices_in_use().await?, now);
        Ok(self.locked(in_order(&waiting, &device_sec)).await)
    }

    /// Chooses the experiments that this node can run now, in the given order, and locks their devices.
    async fn locked(&self, ordered: Vec<Waiting>) -> Vec<(Start<ExperimentId>, Locks)> {
        let scheduler = self.clone();
        // Reads the models folder and lock files.
        let chosen = tokio::task::spawn_blocking(move || {
            let candidates = scheduler.candidates(&ordered);
            let startable = scheduler.lock(&candidates);
            for Candidate { key, .. } in &candidates {
                if !startable.iter().any(|(start, _)| start.key == *key) {
                    tracing::debug!(experiment = %key, "not started: it waits for its devices");
                }
            }
            startable
        });
        chosen.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the choice from the queue failed; trying again");
            Vec::new()
        })
    }

    /// Returns how many experiments to examine for each user and requirement: as many as all live nodes could start at
    /// once, so that what other nodes take meanwhile hides none that this node could start.
    fn depth(&self) -> u32 {
        let cluster = &self.context().cluster;
        let (own, others) = (cluster.own(), cluster.others());
        let all_capabilities = others.iter().map(|node| &node.capabilities).chain([&*own]);
        // The CPU counts as a device.
        let devices = all_capabilities
            .map(|capabilities| capabilities.host.gpus.len() + 1)
            .sum::<usize>();
        devices.min(MAX_DEPTH) as u32
    }

    /// Returns the experiments that this node can run.
    fn candidates(&self, ordered: &[Waiting]) -> Vec<Candidate<ExperimentId>> {
        let context = self.context();
        let (own_name, own, others) = (
            context.node.name.as_str(),
            context.cluster.own(),
            context.cluster.others(),
        );
        let has_model = |name: &str| context.resources.models.has(name);
        // Many experiments share their requirements, so the suitable nodes are found once for each.
        let mut able_by_requirements: HashMap<*const Requirements, Option<Vec<(&str, &Capabilities)>>> = HashMap::new();
        let mut able = |requirements: &Arc<Requirements>| {
            let find = || {
                if obstacle(requirements, own_name, &own, has_model).is_some() {
                    return None;
                }
                let able = others.iter().filter(|node| {
                    let listed = |name: &str| node.capabilities.model(name).is_some();
                    obstacle(requirements, &node.name, &node.capabilities, listed).is_none()
                });
                let able = able.map(|node| (node.name.as_str(), &node.capabilities));
                Some(able.chain([(own_name, &*own)]).collect())
            };
            able_by_requirements
                .entry(Arc::as_ptr(requirements))
                .or_insert_with(find)
                .clone()
        };
        let candidate = |waiting: &Waiting| {
            let able = able(&waiting.requirements)?;
            Some(Candidate {
                key: waiting.id,
                wanted: Wanted::of(&waiting.requirements, &own),
                reserves_here: reserving_node(waiting.id, able.into_iter()) == Some(own_name),
            })
        };
        ordered.iter().filter_map(candidate).collect()
    }

    /// Plans the starts and locks their devices. When another server holds a planned device, it counts as leased and
    /// the planning is repeated.
    fn lock(&self, candidates: &[Candidate<ExperimentId>]) -> Vec<(Start<ExperimentId>, Locks)> {
        let context = self.context();
        let folder = &context.node.locks;
        let own = context.cluster.own();
        let mut gpus = own.host.gpus.iter().map(|gpu| gpu.uuid.clone()).collect::<Vec<_>>();
        // GPUs that could be opened come first, for experiments that ask for any GPU.
        gpus.sort_by_key(|uuid| is_unidentified_gpu(uuid));
        let mut leased = self.running().leased();
        let first = candidates
            .first()
            .filter(|first| first.wanted.host && first.reserves_here);
        self.host_queue().waits(first.map(|first| first.key), folder);
        'anew: loop {
            let mut locked = Vec::new();
            let devices = Devices {
                gpus: &gpus,
                leased: &leased,
            };
            for start in plan(candidates, &devices) {
                match take(folder, &start) {
                    Ok(locks) => locked.push((start, locks)),
                    Err(Taken::Device(lease)) if leased.insert(lease.clone()) => continue 'anew,
                    Err(_) => {}
                }
            }
            return locked;
        }
    }
}

enum Taken {
    Device(Lease),
    Host,
}

fn take(folder: &LockFolder, start: &Start<ExperimentId>) -> Result<Locks, Taken> {
    let log = |error: &LockError| {
        if let LockError::Failed(error) = error {
            tracing::error!(%error, folder = %folder.path().display(), "a device cannot be locked");
        }
    };
    let host = if start.host {
        folder.take_host()
    } else {
        folder.share_host()
    };
    let mut locks = host.map_err(|error| {
        log(&error);
        Taken::Host
    })?;
    let devices = folder.take(&start.leases).map_err(|(lease, error)| {
        log(&error);
        Taken::Device(lease)
    })?;
    locks.extend(devices);
    Ok(locks)
}
