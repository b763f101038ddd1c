//! Sets the power limits and clocks of an experiment's boards before the load, and restores them at the end.

use std::time::Duration;

use joulemark_experiment::{ExperimentId, Spec};
use joulemark_measurement::is_same_power_limit;
use joulemark_meter::HostMeter;
use joulemark_power_control::{Controller, Held, Restored, RestoredBoard, SetBoard, Setting};

use super::failure::Stop;
use crate::scheduler::context::Context;
use crate::scheduler::restored::log_restored;

/// Maximum time until the meter, which reads the limits once a second, shows the new ones.
const VISIBLE_WITHIN: Duration = Duration::from_secs(3);
const CHECK_PERIOD: Duration = Duration::from_millis(100);

/// Sets the power limits and clocks that the experiment asks for; returns `None` when it asks for none.
///
/// # Errors
/// Returns [`Stop::Power`] when a board cannot be set.
pub async fn set_boards(context: &Context, id: ExperimentId, spec: &Spec) -> Result<Option<Held>, Stop> {
    if let Some(controller) = context.power.as_ref().filter(|_| !spec.gpus.is_empty()) {
        put_back_first(controller, spec).await?;
    }
    if !spec.sets_power() {
        return Ok(None);
    }
    let Some(controller) = &context.power else {
        let words = "this server can no longer set power limits and clocks: it was started without --power-control";
        return Err(Stop::Power(words.to_owned()));
    };
    let setting = Setting {
        power_limit_w: spec.power_limit_w,
        gpu_clock_mhz: spec.gpu_clock_mhz,
        memory_clock_mhz: spec.memory_clock_mhz,
    };
    let held = controller.set(&spec.gpus, setting, &format!("experiment {id}")).await;
    let held = held.map_err(|error| Stop::Power(error.to_string()))?;
    wait_until_visible(&context.resources.meter, &held).await;
    Ok(Some(held))
}

/// Restores boards that an earlier run could not restore, so that no experiment is measured under another one's limit.
async fn put_back_first(controller: &Controller, spec: &Spec) -> Result<(), Stop> {
    let left = controller.restore_left().await;
    let left = left.map_err(|error| Stop::Power(error.to_string()))?;
    log_restored(&left);
    let is_in_the_way =
        |board: &&RestoredBoard| matches!(board.restored, Restored::Failed(_)) && spec.gpus.contains(&board.uuid);
    match left.iter().find(is_in_the_way) {
        Some(board) => Err(Stop::Power(board.to_string())),
        None => Ok(()),
    }
}

/// Waits until the meter reads the new limits, so that no reading of an old limit falls into a cycle.
async fn wait_until_visible(meter: &HostMeter, held: &Held) {
    let is_seen = |board: &SetBoard| {
        let seen_w = meter.gpu_state(&board.uuid).and_then(|state| state.power_limit_w);
        let both = seen_w.zip(board.limit_in_force_w);
        both.is_none_or(|(seen_w, set_w)| is_same_power_limit(seen_w, set_w))
    };
    let mut waited = Duration::ZERO;
    while !held.boards().all(is_seen) && waited < VISIBLE_WITHIN {
        tokio::time::sleep(CHECK_PERIOD).await;
        waited += CHECK_PERIOD;
    }
}

/// Restores the boards. The server repeats what fails every few seconds while it runs, and when it starts.
pub async fn put_back(held: Option<Held>) {
    if let Some(held) = held {
        log_restored(&held.restore().await);
    }
}
