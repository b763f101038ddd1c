//! Takes snapshots of the queue, for requests about queue positions.

use super::order::{device_sec_by_user, first_hour, turns};
use super::positions::Positions;
use super::snapshot::QueueSnapshot;
use crate::scheduler::step::Scheduler;
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_store::StoreError;

impl Scheduler {
    /// Calls `ask` with a recent snapshot of the queue. Concurrent calls that need a new one share it.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub(in crate::scheduler) async fn with_snapshot<T>(
        &self,
        ask: impl FnOnce(&mut QueueSnapshot) -> T,
    ) -> Result<T, StoreError> {
        let mut snapshot = self.queue_snapshot().lock().await;
        if !snapshot.is_fresh(Monotonic::now()) {
            *snapshot = self.take_snapshot().await?;
        }
        // Experiments that started since the snapshot, or while it was taken.
        for id in self.running().all().into_keys() {
            snapshot.positions.remove(id);
        }
        Ok(ask(&mut snapshot))
    }

    async fn take_snapshot(&self) -> Result<QueueSnapshot, StoreError> {
        let at = Monotonic::now();
        let store = &self.context().resources.store;
        let now = clock::wall_now();
        let waiting = store.waiting(u32::MAX).await?;
        let past = store.device_times(first_hour(now)).await?;
        let device_sec = device_sec_by_user(&past, &store.devices_in_use().await?, now);
        let running = store.running_by_node().await?;
        let scheduler = self.clone();
        // Locks are files, and sorting a long queue takes a while.
        let taken = tokio::task::spawn_blocking(move || {
            let locks = &scheduler.node().locks;
            let held = scheduler.held_elsewhere().into_iter();
            let held = held.map(|lease| (locks.holder(&lease), lease));
            // Before an experiment is stored as running, this server has locked its devices.
            let held = held.filter(|(process, _)| *process != Some(std::process::id()));
            let elsewhere = held.map(|(process, lease)| (lease, process)).collect();
            let positions = Positions::new(turns(&waiting, &device_sec), device_sec);
            (positions, elsewhere, locks.is_host_taken())
        });
        let (positions, elsewhere, is_host_taken) = taken.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the snapshot of the queue failed");
            Default::default()
        });
        Ok(QueueSnapshot {
            at: Some(at),
            took_sec: Monotonic::now().sec_since(at),
            positions,
            running,
            elsewhere,
            is_host_taken,
        })
    }
}
