use std::collections::HashMap;
use std::sync::Arc;

use super::device_locks::{LockError, LockFolder, Locks};
use super::eligible::{keeper, needs_engine, obstacle};
use super::leases::{Candidate, Devices, Lease, Start, Wanted, plan};
use super::order::{device_sec_by_user, first_hour, in_order};
use crate::scheduler::step::Scheduler;
use joulemark_experiment::{Capabilities, ExperimentId, Requirements};
use joulemark_measurement::clock;
use joulemark_meter::is_unidentified_gpu;
use joulemark_store::{StoreError, Waiting};

/// Of each user and need no more are looked at.
const MAX_DEPTH: usize = 64;

impl Scheduler {
    /// Every queued experiment that this node should start now, in the order of their turns, with its devices locked.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::scheduler) async fn startable(&self) -> Result<Vec<(Start<ExperimentId>, Locks)>, StoreError> {
        let store = &self.context().resources.store;
        let waiting = store.waiting(self.depth()).await?;
        if waiting.is_empty() {
            return Ok(self.locked(Vec::new()).await);
        }
        // One that was replaced since by what this server cannot speak to must not be claimed for.
        if waiting.iter().any(|waiting| needs_engine(&waiting.requirements)) {
            self.look_for_engines().await;
        }
        let now = clock::wall_now();
        let past = store.device_times(first_hour(now)).await?;
        let device_sec = device_sec_by_user(&past, &store.devices_in_use().await?, now);
        Ok(self.locked(in_order(&waiting, &device_sec)).await)
    }

    /// Chooses from what waits, in this order, what this node can run now, and locks its devices.
    async fn locked(&self, ordered: Vec<Waiting>) -> Vec<(Start<ExperimentId>, Locks)> {
        let scheduler = self.clone();
        // The models folder is looked into, and locks are files.
        let chosen = tokio::task::spawn_blocking(move || {
            let candidates = scheduler.candidates(&ordered);
            let startable = scheduler.lock(&candidates);
            for Candidate { key, .. } in &candidates {
                if !startable.iter().any(|(start, _)| start.key == *key) {
                    tracing::debug!(experiment = %key, "looked at, and left to wait for its devices");
                }
            }
            startable
        });
        chosen.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the queue could not be looked through; trying again");
            Vec::new()
        })
    }

    /// As many of one user and need as all live nodes could start at once: what others take meanwhile hides nothing.
    fn depth(&self) -> u32 {
        let cluster = &self.context().cluster;
        let (own, others) = (cluster.own(), cluster.others());
        let all_capabilities = others.iter().map(|node| &node.capabilities).chain([&*own]);
        // The CPU is a device as well.
        let devices = all_capabilities
            .map(|capabilities| capabilities.host.gpus.len() + 1)
            .sum::<usize>();
        devices.min(MAX_DEPTH) as u32
    }

    /// Those that this node can run.
    fn candidates(&self, ordered: &[Waiting]) -> Vec<Candidate<ExperimentId>> {
        let context = self.context();
        let (own_name, own, others) = (
            context.node.name.as_str(),
            context.cluster.own(),
            context.cluster.others(),
        );
        let has_model = |name: &str| context.resources.models.has(name);
        // Many experiments share their needs: the nodes that fit are found once for all of these.
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
                is_kept_here: keeper(waiting.id, able.into_iter()) == Some(own_name),
            })
        };
        ordered.iter().filter_map(candidate).collect()
    }

    /// Plans, and locks what was planned; a device that another server has counts as leased, and all is planned anew.
    fn lock(&self, candidates: &[Candidate<ExperimentId>]) -> Vec<(Start<ExperimentId>, Locks)> {
        let context = self.context();
        let folder = &context.node.locks;
        let own = context.cluster.own();
        let mut gpus = own.host.gpus.iter().map(|gpu| gpu.uuid.clone()).collect::<Vec<_>>();
        // Who asks for any GPU is given one that could be opened, as long as there is one.
        gpus.sort_by_key(|uuid| is_unidentified_gpu(uuid));
        let mut leased = self.running().leased();
        let first = candidates
            .first()
            .filter(|first| first.wanted.host && first.is_kept_here);
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
    let said = |error: &LockError| {
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
        said(&error);
        Taken::Host
    })?;
    let devices = folder.take(&start.leases).map_err(|(lease, error)| {
        said(&error);
        Taken::Device(lease)
    })?;
    locks.extend(devices);
    Ok(locks)
}
