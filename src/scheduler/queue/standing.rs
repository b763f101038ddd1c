//! Answers what a queued experiment waits for: its position, the reason, and who holds the devices.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::eligible::{Obstacle, obstacle};
use super::leases::{Lease, Wanted};
use super::positions::Newcomer;
use super::snapshot::QueueSnapshot;
use super::wait::{DeviceHolder, QueueWait, WaitReason};
use crate::scheduler::step::Scheduler;
use joulemark_experiment::{ExperimentId, Requirements, Spec};
use joulemark_store::StoreError;

/// Maximum number of holders in the message; `held_by` lists all.
const MAX_NAMED: usize = 4;

/// Position of an experiment in the queue, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Position, counted from 1.
    pub position: u64,
    pub wait: QueueWait,
}

impl Standing {
    /// Returns why no live node can run the experiment; `None` when one can.
    pub fn why_none_can_run(&self) -> Option<String> {
        (self.wait.reason >= WaitReason::NodeMissing).then(|| self.wait.message.clone())
    }
}

/// The live nodes that can run an experiment, or the reason why there are none.
enum Able {
    Nodes { own: bool, others: Vec<String> },
    None(WaitReason, String),
}

impl Scheduler {
    /// Returns the position of a queued experiment and what it waits for.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn standing(&self, id: ExperimentId, spec: &Spec) -> Result<Standing, StoreError> {
        let requirements = Arc::new(spec.requirements());
        let (scheduler, asked) = (self.clone(), requirements.clone());
        let able = tokio::task::spawn_blocking(move || scheduler.able(&asked)).await;
        let able = able.unwrap_or(Able::Nodes {
            own: true,
            others: Vec::new(),
        });
        self.with_snapshot(|snapshot| {
            let newcomer = Newcomer {
                id,
                user: spec.user.as_deref().unwrap_or_default(),
                priority: spec.priority,
                requirements: &requirements,
            };
            // It may have been started a moment ago; then no experiment is before it.
            let is_started = self.running().get(id).is_some();
            let position = if is_started {
                1
            } else {
                snapshot.positions.insert(newcomer)
            };
            let wait = match able {
                Able::None(reason, message) => QueueWait {
                    reason,
                    message,
                    held_by: Vec::new(),
                },
                Able::Nodes { own, others } if !is_started => {
                    self.waits_for(&requirements, snapshot, (own, &others), position)
                }
                Able::Nodes { .. } => turn(position),
            };
            Standing { position, wait }
        })
        .await
    }

    /// Returns the positions of all queued experiments.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn positions(&self) -> Result<HashMap<ExperimentId, u64>, StoreError> {
        self.with_snapshot(|snapshot| snapshot.positions.all()).await
    }

    /// Returns the first queued experiments in the order in which they would start, at most `limit`, and the number of
    /// all.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn first_waiting(&self, limit: usize) -> Result<(Vec<ExperimentId>, usize), StoreError> {
        self.with_snapshot(|snapshot| snapshot.positions.first(limit)).await
    }

    /// Removes a cancelled experiment from the cached snapshot, unless a new one is being taken.
    pub(in crate::scheduler) fn remove_position(&self, id: ExperimentId) {
        if let Ok(mut snapshot) = self.queue_snapshot().try_lock() {
            snapshot.positions.remove(id);
        }
    }

    /// Finds the live nodes that can run an experiment. Blocks on the models folder.
    fn able(&self, requirements: &Requirements) -> Able {
        let context = self.context();
        let own_name = context.node.name.as_str();
        let has_model = |name: &str| context.resources.models.has(name);
        let own_obstacle = obstacle(requirements, own_name, &context.cluster.own(), has_model);
        let engine_problem = context.cluster.engine_problem();
        let own_obstacle = own_obstacle.map(|obstacle| match (obstacle.reason, engine_problem) {
            (WaitReason::EngineMissing, Some(problem)) => Obstacle {
                words: problem.for_clients(),
                ..obstacle
            },
            _ => obstacle,
        });
        let (mut others, mut obstacles) = (Vec::new(), Vec::new());
        let own = own_obstacle.is_none();
        obstacles.extend(own_obstacle.map(|obstacle| (own_name.to_owned(), obstacle)));
        for node in context.cluster.others().iter() {
            let listed = |name: &str| node.capabilities.model(name).is_some();
            match obstacle(requirements, &node.name, &node.capabilities, listed) {
                None => others.push(node.name.clone()),
                Some(obstacle) => obstacles.push((node.name.clone(), obstacle)),
            }
        }
        if own || !others.is_empty() {
            return Able::Nodes { own, others };
        }
        let nearest = obstacles.iter().map(|(_, obstacle)| obstacle.reason).max();
        let each = obstacles
            .iter()
            .map(|(node, obstacle)| format!("node {node}: {}", obstacle.words));
        let message = format!("a live node that can run it: {}", each.collect::<Vec<_>>().join("; "));
        Able::None(nearest.unwrap_or(WaitReason::NodeMissing), message)
    }

    fn waits_for(
        &self,
        requirements: &Requirements,
        snapshot: &QueueSnapshot,
        (own, others): (bool, &[String]),
        position: u64,
    ) -> QueueWait {
        let wanted = Wanted::of(requirements, &self.context().cluster.own());
        let is_idle = |node: &String| snapshot.running.iter().all(|(running_on, _)| running_on != node);
        let mut held_by = if own {
            self.held_here(&wanted, snapshot)
        } else {
            Vec::new()
        };
        let is_kept_out = own && snapshot.is_host_taken && !wanted.host;
        if others.iter().any(is_idle) || (own && held_by.is_empty() && !is_kept_out) {
            return turn(position);
        }
        let is_busy = !held_by.is_empty() || !own;
        let elsewhere = snapshot.running.iter().filter(|(node, _)| others.contains(node));
        held_by.extend(elsewhere.map(|(node, id)| DeviceHolder {
            node_name: node.clone(),
            device: None,
            experiment_id: Some(*id),
            process_id: None,
        }));
        let (reason, what) = match is_busy {
            true => (WaitReason::DeviceBusy, "devices in use".to_owned()),
            false => {
                let node = &self.node().name;
                let whole = Wanted {
                    host: true,
                    ..Wanted::default()
                };
                held_by = self.held_here(&whole, snapshot);
                let what = format!("node {node}, which an experiment of isolation host has or waits for");
                (WaitReason::HostBusy, what)
            }
        };
        QueueWait {
            reason,
            message: format!("{what}{}{}", listed(&held_by), before(position)),
            held_by,
        }
    }

    /// Returns the holders of the devices that an experiment wants on this node; empty when enough are free.
    fn held_here(&self, wanted: &Wanted, snapshot: &QueueSnapshot) -> Vec<DeviceHolder> {
        let gpus = self.context().cluster.own().host.gpus.clone();
        let gpus = gpus.into_iter().filter(|gpu| !wanted.unfit.contains(&gpu.uuid));
        let all_gpus: BTreeSet<_> = gpus.map(|gpu| Lease::Gpu(gpu.uuid)).collect();
        let mut needed = match (wanted.host, wanted.any_gpus) {
            (true, _) | (false, 1..) => all_gpus,
            (false, 0) => wanted.named.iter().cloned().map(Lease::Gpu).collect(),
        };
        let gpu_count = needed.len();
        needed.extend((wanted.cpu || wanted.host).then_some(Lease::Cpu));
        let leases = self.leases();
        let mut held = Vec::new();
        let mut gpus_held = 0;
        for lease in needed {
            let experiment_id = leases.get(&lease).copied();
            let other = snapshot.elsewhere.iter().find(|(other, _)| *other == lease);
            if experiment_id.is_none() && other.is_none() {
                continue;
            }
            gpus_held += usize::from(lease != Lease::Cpu);
            held.push(DeviceHolder {
                node_name: self.node().name.clone(),
                process_id: other
                    .and_then(|(_, process)| *process)
                    .filter(|_| experiment_id.is_none()),
                experiment_id,
                device: Some(match lease {
                    Lease::Cpu => "cpu".to_owned(),
                    Lease::Gpu(uuid) => uuid,
                }),
            });
        }
        let is_cpu_held = held.len() > gpus_held;
        if !wanted.host && !is_cpu_held && wanted.any_gpus > 0 && gpu_count - gpus_held >= wanted.any_gpus {
            held.clear();
        }
        held
    }
}

fn turn(position: u64) -> QueueWait {
    let before = before(position);
    QueueWait {
        reason: WaitReason::Turn,
        message: format!("its turn: the devices are free, and the queue is looked at every second{before}"),
        held_by: Vec::new(),
    }
}

fn before(position: u64) -> String {
    match position {
        0 | 1 => String::new(),
        2 => "; 1 experiment comes before it".to_owned(),
        _ => format!("; {} experiments come before it", position - 1),
    }
}

fn listed(holders: &[DeviceHolder]) -> String {
    if holders.is_empty() {
        return String::new();
    }
    let one = |holder: &DeviceHolder| {
        let device = holder
            .device
            .as_deref()
            .map(|device| format!("{device} of "))
            .unwrap_or_default();
        let who = match (holder.experiment_id, holder.process_id) {
            (Some(id), _) => format!("experiment {id}"),
            (None, Some(process)) => format!("another joulemark server on that host, process {process}"),
            (None, None) => "another joulemark server on that host".to_owned(),
        };
        format!("{device}node {} by {who}", holder.node_name)
    };
    let named: Vec<_> = holders.iter().take(MAX_NAMED).map(one).collect();
    let more = match holders.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(": {}{more}", named.join(", "))
}
