//! Keeps this node's power control: puts back what killed servers of this host left, and says whether boards can be set.

use std::path::Path;
use std::time::Duration;

use joulemark_meter::HostMeter;
use joulemark_power_control::{Controller, PowerControl, left_set};

use crate::scheduler::Scheduler;
use crate::scheduler::restored::log_restored;

/// A daemon that was not there yet, and a driver that was away, are back within seconds.
const PERIOD: Duration = Duration::from_secs(10);

/// Why a server that was told of nobody who sets boards sets none.
const NOBODY: &str = "it was started without --power-control (docs/power.md)";

/// Puts back what killed servers of this host left, and returns why no board can be set; `None` where boards can. To be
/// called before anything runs.
pub async fn prepare_power(controller: Option<&Controller>, meter: &HostMeter, journals: &Path) -> Option<String> {
    let Some(controller) = controller else {
        let left = left_set(journals).unwrap_or_default();
        if !left.is_empty() {
            let boards = left.join(", ");
            tracing::error!(
                "{boards} are left at another power limit or clock: joulemark power restore puts them back"
            );
        }
        return Some(NOBODY.to_owned());
    };
    put_back_left(controller).await;
    controller.problem(&meter.devices().gpus).await
}

impl Scheduler {
    /// Looks until the server leaves the database.
    pub async fn keep_power(&self) {
        let context = self.context();
        let Some(controller) = context.power.clone() else {
            // A task that ends early is one that has failed.
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
            // Setting a board to what it has is a write all the same: once it may, a server is believed.
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
