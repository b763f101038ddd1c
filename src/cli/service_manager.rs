//! What systemd is told (`Type=notify`): that the service is ready, that it stops, and, for `WatchdogSec=`, that it
//! lives. Without a service manager nothing is told to nobody.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::scheduler::Scheduler;
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::HostMeter;

/// The sign of life comes this often before the manager misses it.
const SIGNS_A_WATCH: u32 = 4;

/// What must be alive for the service to be.
pub struct Vitals {
    pub meter: HostMeter,
    pub scheduler: Scheduler,
    /// Tasks that never end before the server stops, by what they do.
    pub tasks: Vec<(&'static str, AbortHandle)>,
}

impl Vitals {
    /// What is dead or stuck; none while all is well. The meter may be silent for `silence`.
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

pub fn ready(address: &str) {
    tell(&[
        NotifyState::Ready,
        NotifyState::Status(&format!("listening on {address}")),
    ]);
}

pub fn stopping() {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("running experiments go back to the queue"),
    ]);
}

/// Gives a sign of life for as long as there is one, where the manager watches; it ends a server that gives none.
pub async fn watch(vitals: Vitals, stopping: CancellationToken) {
    let Some(watch) = sd_notify::watchdog_enabled() else {
        return;
    };
    while !stopping.is_cancelled() {
        match vitals.what_is_wrong(Monotonic::now(), watch / 2) {
            None => tell(&[NotifyState::Watchdog]),
            Some(wrong) => tracing::error!("no sign of life for the watchdog: {wrong}"),
        }
        tokio::select! {
            () = tokio::time::sleep(watch / SIGNS_A_WATCH) => {}
            () = stopping.cancelled() => {}
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told how the server is");
    }
}
