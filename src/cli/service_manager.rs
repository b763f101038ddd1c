//! Notifies systemd (`Type=notify`) that the service is ready or stopping, and sends the notifications of its watchdog
//! (`WatchdogSec=`). Does nothing without a service manager.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::scheduler::Scheduler;
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::HostMeter;

/// Watchdog notifications within one watchdog timeout.
const NOTIFICATIONS_PER_TIMEOUT: u32 = 4;

/// Parts of the server that must work for it to be alive.
pub struct Vitals {
    pub meter: HostMeter,
    pub scheduler: Scheduler,
    /// Names and handles of the tasks that run until the server stops.
    pub tasks: Vec<(&'static str, AbortHandle)>,
}

impl Vitals {
    /// Returns what is dead or stuck; `None` when everything works. `silence` is the maximum time without a reading of
    /// the meter.
    fn what_is_wrong(&self, now: Monotonic, silence: Duration) -> Option<String> {
        if let Some((name, _)) = self.tasks.iter().find(|(_, task)| task.is_finished()) {
            return Some(format!("{name} has ended"));
        }
        let silent_sec = now.sec_since(self.meter.last_sweep());
        if silent_sec > silence.as_secs_f64() {
            return Some(format!("the energy meter has read nothing for {silent_sec:.1} s"));
        }
        self.scheduler.what_is_stuck(now)
    }
}

/// Notifies the service manager that the service is ready.
pub fn ready(address: &str) {
    notify(&[
        NotifyState::Ready,
        NotifyState::Status(&format!("listening on {address}")),
    ]);
}

/// Notifies the service manager that the service is stopping.
pub fn stopping() {
    notify(&[
        NotifyState::Stopping,
        NotifyState::Status("running experiments go back to the queue"),
    ]);
}

/// Sends watchdog notifications while the server is alive, if the service manager asks for them. The manager ends a
/// server that sends none.
pub async fn watch(vitals: Vitals, stopping: CancellationToken) {
    let Some(watch) = sd_notify::watchdog_enabled() else {
        return;
    };
    while !stopping.is_cancelled() {
        match vitals.what_is_wrong(Monotonic::now(), watch / 2) {
            None => notify(&[NotifyState::Watchdog]),
            Some(wrong) => tracing::error!("the watchdog is not notified: {wrong}"),
        }
        tokio::select! {
            () = tokio::time::sleep(watch / NOTIFICATIONS_PER_TIMEOUT) => {}
            () = stopping.cancelled() => {}
        }
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be notified");
    }
}
