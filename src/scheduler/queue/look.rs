use super::leases::Lease;
use super::order::{device_sec_by_user, first_hour, turns};
use super::places::Places;
use crate::scheduler::step::Scheduler;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_store::StoreError;

/// For so long one look answers all who ask.
const FRESH_SEC: f64 = 1.0;
/// However slow the database is.
const MAX_FRESH_SEC: f64 = 10.0;
/// A queue of 100,000 takes a good part of a second to read: no more than a twentieth of one CPU goes into looks, which
/// experiments are measured beside.
const FRESH_FOR_COST: f64 = 20.0;

/// The whole queue and who has what, as of one moment: what those are told from who ask where they stand.
#[derive(Debug, Default)]
pub struct QueueLook {
    /// `None` before anything was looked at.
    at: Option<Monotonic>,
    took_sec: f64,
    pub places: Places,
    /// What runs, with its node, by the database.
    pub running: Vec<(String, ExperimentId)>,
    /// Devices of this host that somebody else has the lock of, with the process where it is known.
    pub elsewhere: Vec<(Lease, Option<u32>)>,
    /// Whether an experiment has this host alone, or waits to.
    pub is_host_taken: bool,
}

impl QueueLook {
    fn is_fresh(&self, now: Monotonic) -> bool {
        let lasts_sec = (FRESH_FOR_COST * self.took_sec).clamp(FRESH_SEC, MAX_FRESH_SEC);
        self.at.is_some_and(|at| now.sec_since(at) < lasts_sec)
    }
}

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
