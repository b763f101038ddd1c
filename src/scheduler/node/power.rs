//! Power control of this node: restores what killed servers of this host left set, and finds out whether boards can be
//! set.

use std::path::Path;
use std::time::Duration;

use joulemark_meter::HostMeter;
use joulemark_power_control::{Controller, PowerControl, left_set};

use crate::scheduler::Scheduler;
use crate::scheduler::restored::log_restored;

/// Period of the check. A daemon or driver that was missing is often back within seconds.
const PERIOD: Duration = Duration::from_secs(10);

/// Reason why a server without power control sets no board.
const NO_POWER_CONTROL: &str = "it was started without --power-control (docs/power.md)";

/// Restores the power limits and clocks that killed servers of this host left set. Returns why no board can be set,
/// `None` when boards can be. Must be called before anything runs.
pub async fn prepare_power(controller: Option<&Controller>, meter: &HostMeter, journals: &Path) -> Option<String> {
    let Some(controller) = controller else {
        let left = left_set(journals).unwrap_or_default();
        if !left.is_empty() {
            let boards = left.join(", ");
            tracing::error!(
                "{boards} still have a changed power limit or clock: `joulemark power restore` restores them"
            );
        }
        return Some(NO_POWER_CONTROL.to_owned());
    };
    put_back_left(controller).await;
    controller.problem(&meter.devices().gpus).await
}

impl Scheduler {
    /// Repeats the restoration and the check until the server leaves the database.
    pub async fn keep_power(&self) {
        let context = self.context();
        let Some(controller) = context.power.clone() else {
            // A task that returns early counts as failed.
            self.leaving().cancelled().await;
            return;
        };
        loop {
            tokio::select! {
                () = self.leaving().cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
            put_back_left(&controller).await;
            let is_known = context.cluster.own().host.power_problem.is_none();
            // With NVML the check writes to the board, so one success is enough.
            if is_known && controller.control == PowerControl::Nvml {
                continue;
            }
            let problem = controller.problem(&context.resources.meter.devices().gpus).await;
            if context.cluster.set_power_problem(problem.clone())
                && let Some(problem) = problem
            {
                tracing::warn!("power limits and clocks cannot be set: {problem}");
            }
        }
    }
}

async fn put_back_left(controller: &Controller) {
    match controller.restore_left().await {
        Ok(all) => log_restored(&all),
        Err(error) => tracing::error!("{error}"),
    }
}
