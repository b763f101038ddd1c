//! Looks at the queue for those who ask where they stand.

use super::look::QueueLook;
use super::order::{device_sec_by_user, first_hour, turns};
use super::places::Places;
use crate::scheduler::step::Scheduler;
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_store::StoreError;

impl Scheduler {
    /// Asks a look at the queue that is not too old; those who need a new one at the same time share it.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::scheduler) async fn with_look<T>(
        &self,
        ask: impl FnOnce(&mut QueueLook) -> T,
    ) -> Result<T, StoreError> {
        let mut look = self.kept_look().lock().await;
        if !look.is_fresh(Monotonic::now()) {
            *look = self.look_at_queue().await?;
        }
        // Started since, or while the look was made.
        for id in self.running().all().into_keys() {
            look.places.remove(id);
        }
        Ok(ask(&mut look))
    }

    async fn look_at_queue(&self) -> Result<QueueLook, StoreError> {
        let at = Monotonic::now();
        let store = &self.context().resources.store;
        let now = clock::wall_now();
        let waiting = store.waiting(u32::MAX).await?;
        let past = store.device_times(first_hour(now)).await?;
        let device_sec = device_sec_by_user(&past, &store.devices_in_use().await?, now);
        let running = store.running_by_node().await?;
        let scheduler = self.clone();
        // Locks are files, and ordering a long queue takes a while.
        let looked = tokio::task::spawn_blocking(move || {
            let locks = &scheduler.node().locks;
            let held = scheduler.held_elsewhere().into_iter();
            let held = held.map(|lease| (locks.holder(&lease), lease));
            // What this server is about to start on is locked before it is entered as running.
            let held = held.filter(|(process, _)| *process != Some(std::process::id()));
            let elsewhere = held.map(|(process, lease)| (lease, process)).collect();
            let places = Places::new(turns(&waiting, &device_sec), device_sec);
            (places, elsewhere, locks.is_host_taken())
        });
        let (places, elsewhere, is_host_taken) = looked.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the queue could not be looked through");
            Default::default()
        });
        Ok(QueueLook {
            at: Some(at),
            took_sec: Monotonic::now().sec_since(at),
            places,
            running,
            elsewhere,
            is_host_taken,
        })
    }
}
